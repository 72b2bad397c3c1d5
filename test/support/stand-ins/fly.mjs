// Stand-in for flyctl: the few commands that cagematch gives it, with their documented flags; it
// keeps what it was told.
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { asClient, Failed } from './sandboxes.mjs';
import { parseFlags, Usage } from './strict-flags.mjs';

const APP = { app: { short: 'a', value: true } };

/** @param {object} entry */
function note(entry) {
  const folder = process.env.CAGEMATCH_STAND_IN_STATE;
  if (!folder) throw new Failed('stand-in: CAGEMATCH_STAND_IN_STATE names no folder');
  if (!process.env.FLY_API_TOKEN)
    throw new Failed('no access token available. Please login with `flyctl auth login`');
  mkdirSync(folder, { recursive: true });
  appendFileSync(join(folder, 'fly.jsonl'), `${JSON.stringify(entry)}\n`);
}

/** @param {string[]} args */
async function main([command, ...args]) {
  switch (command === 'secrets' ? `secrets ${args.shift()}` : command) {
    case 'version':
      process.stdout.write('fly v0.4.0-stand-in\n');
      return 0;
    case 'deploy': {
      const flagSpec = {
        ...APP,
        'build-only': {},
        push: {},
        'image-label': { value: true },
        'build-arg': { value: true },
        'remote-only': {},
        'local-only': {},
        'no-cache': {},
      };
      const { flags, rest } = parseFlags(args, flagSpec);
      const folder = rest[0] ?? process.cwd();
      for (const file of ['fly.toml', 'Dockerfile'])
        if (!existsSync(join(folder, file))) throw new Failed(`${file} not found in ${folder}`);
      for (const [, source = ''] of readFileSync(join(folder, 'Dockerfile'), 'utf8').matchAll(
        /^COPY (\S+) /gm,
      ))
        if (!existsSync(join(folder, source)))
          throw new Failed(`COPY failed: ${source} is not in the build context`);
      if (!flags['build-only'] || !flags.push)
        throw new Failed('stand-in: deploys nothing; it only builds and pushes');
      const image = `registry.fly.io/${flags.app?.[0]}:${flags['image-label']?.[0]}`;
      note({ deploy: image, buildArgs: flags['build-arg'] ?? [] });
      process.stdout.write(`image: ${image}\n`);
      return 0;
    }
    case 'secrets set': {
      const { flags, rest } = parseFlags(args, { ...APP, stage: {}, detach: {} });
      for (const pair of rest) {
        const [, name, value] = /^([A-Za-z_]\w*)=(.*)$/s.exec(pair) ?? [];
        if (name === undefined || value === undefined)
          throw new Failed(`'${pair}': must be in the format NAME=VALUE`);
        const secret = value === '-' ? await text(process.stdin) : value;
        if (secret === '' || secret.length > 64 * 1024)
          throw new Failed(`secret ${name} is empty or longer than 64 KiB`);
        const fromStdin = value === '-';
        note({
          secret: name,
          app: flags.app?.[0],
          staged: flags.stage !== undefined,
          fromStdin,
          digest: createHash('sha256').update(secret).digest('hex'),
        });
      }
      process.stdout.write('Secrets have been staged, but not set on VMs.\n');
      return 0;
    }
    default:
      throw new Usage(`unknown command "${command}" for "flyctl"`);
  }
}

await asClient('fly', () => main(process.argv.slice(2)));

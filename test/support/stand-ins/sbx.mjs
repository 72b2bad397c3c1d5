// Stand-in for Docker's `sbx`: the documented commands and flags of 0.3x/0.4x, over real folders
// and processes. CAGEMATCH_STAND_IN_FAULT makes it fail as the real one was seen to fail.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import {
  asClient,
  copy,
  create,
  exec,
  Failed,
  keepSecret,
  openState,
  remove,
} from './sandboxes.mjs';
import { parseFlags, Usage } from './strict-flags.mjs';

const VERSION = 'v0.39.0-stand-in 0000000000000000000000000000000000000000';
const fault = process.env.CAGEMATCH_STAND_IN_FAULT ?? '';

/** What a command needs before it does anything: a running daemon, a login, a policy. */
function ready() {
  if (fault === 'no-daemon') {
    process.stdout.write('Starting sandboxd daemon...\n');
    throw new Failed(
      'ensure daemon: daemon failed to start properly after 10 retries, check logs at: daemon.log',
    );
  }
  if (fault === 'not-signed-in') {
    process.stdout.write('You are not authenticated to Docker. Starting the sign-in flow...\n');
    throw new Failed('sign-in failed: no terminal');
  }
  return openState('sbx');
}

/** @param {string[]} args */
async function main([command, ...args]) {
  switch (command) {
    case 'version':
      parseFlags(args, {});
      process.stdout.write(`sbx version: ${VERSION}\n`);
      return 0;
    case 'ls': {
      const { flags, rest } = parseFlags(args, { json: {}, quiet: { short: 'q' } });
      if (rest.length > 0) throw new Usage('ls accepts no arguments');
      const state = ready();
      const started = join(state.state, '.daemon');
      // The daemon starts with the first command, and says so where only JSON should be.
      if (!existsSync(started))
        process.stdout.write(
          'Starting sandboxd daemon...\nDaemon started (PID: 1, socket: sandboxd.sock)\n',
        );
      mkdirSync(started, { recursive: true });
      if (flags.json)
        process.stdout.write(`${JSON.stringify({ sandboxes: state.all() }, null, 2)}\n`);
      else
        for (const { name, agent, status } of state.all())
          process.stdout.write(flags.quiet ? `${name}\n` : `${name}  ${agent}  ${status}\n`);
      return 0;
    }
    case 'create': {
      const flagSpec = {
        name: { value: true },
        template: { short: 't', value: true },
        cpus: { value: true },
        memory: { short: 'm', value: true },
        kit: { value: true },
        mcp: { value: true },
        env: { short: 'e', value: true },
        'env-file': { value: true },
        clone: {},
        quiet: { short: 'q' },
      };
      const { flags, rest } = parseFlags(args, flagSpec);
      const state = ready();
      if (fault === 'no-policy')
        throw new Failed(
          'global network policy has not been initialized; use "sbx policy init" first',
        );
      const cpus = flags.cpus?.at(-1);
      if (cpus !== undefined && !/^\d+$/.test(cpus))
        throw new Usage(`invalid argument "${cpus}" for "--cpus" flag: strconv.ParseInt`);
      const memory = flags.memory?.at(-1);
      if (memory !== undefined && !/^\d+[kmgt]?$/i.test(memory))
        throw new Usage(`invalid argument "${memory}" for "-m, --memory" flag`);
      const [agent, ...paths] = rest;
      const name = create(state, {
        name: flags.name?.at(-1),
        agent,
        paths,
        clone: flags.clone !== undefined,
      });
      if (!flags.quiet) process.stdout.write(`Created sandbox '${name}'\n`);
      writeFileSync(join(state.state, '.template'), '');
      return 0;
    }
    case 'exec':
      return exec(ready(), args);
    case 'cp': {
      const { rest } = parseFlags(args, { 'follow-link': { short: 'L' } });
      if (rest.length !== 2) throw new Usage('cp requires SRC and DST');
      copy(ready(), rest[0] ?? '', rest[1] ?? '');
      return 0;
    }
    case 'rm': {
      const { flags, rest } = parseFlags(args, { force: { short: 'f' }, all: {} });
      const state = ready();
      const names = flags.all ? state.all().map(({ name }) => name) : rest;
      if (!flags.force)
        throw new Failed(
          'refusing to remove without confirmation: stdin is no terminal (use --force)',
        );
      for (const name of names) remove(state, name);
      return 0;
    }
    case 'policy':
      if (args[0] !== 'ls') throw new Usage(`unknown command "policy ${args[0]}" for "sbx"`);
      parseFlags(args.slice(1), { json: {}, wide: {}, type: { value: true } });
      ready();
      if (fault === 'no-policy')
        throw new Failed(
          'global network policy has not been initialized; use "sbx policy init" first',
        );
      process.stdout.write(
        'POLICY  SOURCE  APPLIES TO  SUMMARY\nlocal-policy  local  all  network: balanced\n',
      );
      return 0;
    case 'template': {
      if (args[0] !== 'ls') throw new Usage(`unknown command "template ${args[0]}" for "sbx"`);
      const state = ready();
      process.stdout.write('REPOSITORY  TAG\n');
      if (existsSync(join(state.state, '.template')))
        process.stdout.write('docker/sandbox-templates  claude-code\n');
      return 0;
    }
    case 'secret': {
      const { flags, rest } = parseFlags(args.slice(1), {
        force: { short: 'f' },
        global: { short: 'g' },
        token: { short: 't', value: true },
      });
      if (args[0] !== 'set' || rest.length !== 1)
        throw new Usage(`unknown command "secret ${args.join(' ')}" for "sbx"`);
      keepSecret(ready(), rest[0] ?? '', flags.token?.at(-1) ?? (await text(process.stdin)).trim());
      return 0;
    }
    default:
      throw new Usage(`unknown command "${command}" for "sbx"`);
  }
}

await asClient('sbx', () => main(process.argv.slice(2)));

// Stand-in for `docker sandbox`, the older plugin of Docker Desktop: no `cp`, no --force, `vms`
// instead of `sandboxes`.

import { asClient, create, exec, openState, remove } from './sandboxes.mjs';
import { parseFlags, Usage } from './strict-flags.mjs';

/** @param {string[]} args */
async function main([command, ...args]) {
  switch (command) {
    case 'version':
      parseFlags(args, {});
      process.stdout.write(
        'github.com/docker/sandboxes/cli-plugin v0.7.1-stand-in 0000000000000000000000000000000000000000\n',
      );
      return 0;
    case 'ls': {
      const { flags } = parseFlags(args, { json: {}, 'no-trunc': {}, quiet: { short: 'q' } });
      const all = openState('docker-sandbox').all();
      const vms = all.map((sandbox) => ({
        ...sandbox,
        socket_path: `${sandbox.name}.sock`,
        sandbox_count: 1,
      }));
      if (flags.json) process.stdout.write(`${JSON.stringify({ vms }, null, 2)}\n`);
      else
        for (const { name, agent, status } of all)
          process.stdout.write(flags.quiet ? `${name}\n` : `${name}  ${agent}  ${status}\n`);
      return 0;
    }
    case 'create': {
      const flagSpec = {
        name: { value: true },
        template: { short: 't', value: true },
        'pull-template': { value: true },
        quiet: { short: 'q' },
      };
      const { flags, rest } = parseFlags(args, flagSpec);
      const [agent, ...paths] = rest;
      const name = create(openState('docker-sandbox'), { name: flags.name?.at(-1), agent, paths });
      if (!flags.quiet) process.stdout.write(`${name}\n`);
      return 0;
    }
    case 'exec':
      return exec(openState('docker-sandbox'), args);
    case 'rm': {
      const { rest } = parseFlags(args, {});
      if (rest.length === 0) throw new Usage('"docker sandbox rm" requires at least 1 argument.');
      for (const name of rest) {
        remove(openState('docker-sandbox'), name);
        process.stdout.write(`${name}\n`);
      }
      return 0;
    }
    default:
      throw new Usage(`unknown command: docker sandbox ${command}`);
  }
}

await asClient('docker sandbox', () => main(process.argv.slice(2)));

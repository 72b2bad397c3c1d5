// Runs in a network namespace of the probe on this host: listens there like a service in another
// network.
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { connect, createServer } from 'node:net';
import { networkInterfaces } from 'node:os';

/** @type {{ host: string, nonce: string, repositories: string }} */
const { host, nonce, repositories } = JSON.parse(process.argv[2] ?? '{}');
// If the probe is killed, this process ends on its own, and the namespace with it.
setTimeout(() => process.exit(0), 120_000);

console.log('{}');
while (
  !Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === host))
)
  await new Promise((resolve) => setTimeout(resolve, 5));

const tcp = createServer((socket) => socket.on('error', () => {}).end(`${nonce}\n`));
const udp = createSocket('udp4').on('message', (_, from) =>
  udp.send(nonce, from.port, from.address, () => {}),
);
await new Promise((resolve) => tcp.listen(0, host, () => resolve(undefined)));
await new Promise((resolve) => udp.bind(53, host, () => resolve(undefined)));
const GIT = 9418;
const git = spawn(
  'git',
  [
    'daemon',
    '--reuseaddr',
    '--export-all',
    '--enable=receive-pack',
    '--max-connections=4',
    `--listen=${host}`,
    `--port=${GIT}`,
    `--base-path=${repositories}`,
  ],
  {
    stdio: 'ignore',
    env: {
      ...process.env,
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_CONFIG_NOSYSTEM: '1',
      HOME: '/nonexistent',
    },
  },
);
git.once('error', () => process.exit(1));
while (!(await answers(GIT))) await new Promise((resolve) => setTimeout(resolve, 5));
const bound = tcp.address();
console.log(
  JSON.stringify({ tcp: typeof bound === 'object' ? bound?.port : 0, udp: 53, git: GIT }),
);

/** @param {number} port @returns {Promise<boolean>} */
function answers(port) {
  const socket = connect({ host, port });
  return /** @type {Promise<boolean>} */ (
    new Promise((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    })
  ).finally(() => socket.destroy());
}

// The places that are searched for a credential, in the order of the report.

/**
 * Searched `while` a run goes on, `inside` the sandbox at its end, or `after` the sandbox is gone.
 */
export const PLACES = {
  argv: 'while: the command line of every process of this machine, looked at again and again',
  'others-environ':
    "while: the environment of other users' processes, those of the sandbox left out",
  output: 'while: what the sandbox printed, from which messages and results are made',
  inspect: 'while: what the runtime tells of the sandbox (inspect, configuration)',
  logs: 'while: what the runtime has kept of its output',
  'guest-environ': 'inside: the environment of the processes in it',
  'guest-files': 'inside: every file that was written since the credential was made',
  workspace: 'after: the workspace as it came back',
  'run-folder': "after: the run's own folder on this host, before it is removed",
  'host-files':
    'after: temporary folders, logs, runtime state, and what programs keep in the caller’s home, as far as it was written since',
  image: 'after: what the runtime tells of the image (inspect, history)',
  layers: "after: the bytes of the image's layers",
  record: 'after: the record of this probe, as far as it is written',
} as const;

export type PlaceName = keyof typeof PLACES;

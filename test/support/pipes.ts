// A named pipe, which nobody writes to: whoever opens it to read waits for ever.
import { execFileSync } from 'node:child_process';

export function makePipe(path: string): void {
  execFileSync('mkfifo', [path]);
}

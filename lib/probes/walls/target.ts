// Parses an address, `host:port`, that the user wants tried from inside.
import { CagematchError } from '../../errors.js';

export interface NamedTarget {
  wall: string;
  host: string;
  port: number;
}

/** A name, an IPv4 address, or an IPv6 address in brackets, followed by a port. */
const TARGET =
  /^(?:(?<host>[a-zA-Z0-9](?:[a-zA-Z0-9._-]{0,251}[a-zA-Z0-9])?)|\[(?<bracketed>[0-9a-fA-F:.]{2,45})\]):(?<port>\d{1,5})$/;

/** @throws `bad-input` if the target is not `host:port` */
export function parseTarget(target: string): NamedTarget {
  const { host, bracketed, port } = TARGET.exec(target)?.groups ?? {};
  const name = host ?? bracketed;
  if (name === undefined || Number(port) < 1 || Number(port) > 65535)
    throw new CagematchError(
      'bad-input',
      `--reach takes host:port, not ${target}`,
      '--reach example.com:443',
    );
  return { wall: `reach ${target}`, host: name, port: Number(port) };
}

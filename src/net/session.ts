import { type Address, parseAddress } from './address.ts';
import { type Port, parsePort } from './port.ts';

/** One TCP connection: both ends, with their ports. */
export interface Session {
  readonly here: Address;
  readonly herePort: Port;
  readonly there: Address;
  readonly therePort: Port;
}

/**
 * Writes the client's address and port, then the server's, which is this machine: `198.51.100.7
 * 50022 203.0.113.5 22`, like SSH_CONNECTION (ssh(1)).
 */
export function sessionText({ here, herePort, there, therePort }: Session): string {
  return `${there.text} ${therePort} ${here.text} ${herePort}`;
}

export function parseSession(text: string): Session | undefined {
  const words = text.split(' ');
  const [there, here] = [parseAddress(words[0] ?? ''), parseAddress(words[2] ?? '')];
  const [therePort, herePort] = [parsePort(words[1] ?? ''), parsePort(words[3] ?? '')];
  if (
    words.length !== 4 ||
    !there ||
    !here ||
    !therePort ||
    !herePort ||
    there.family !== here.family
  )
    return undefined;
  return { here, herePort, there, therePort };
}

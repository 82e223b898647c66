import type { Address } from '../net/address.ts';
import { type Port, parsePort } from '../net/port.ts';
import { judge, type Looks } from './evaluate.ts';
import type { Packet } from './packet.ts';
import type { Ruleset } from './ruleset.ts';

/** A person who logs in to this machine by a new TCP connection. */
export interface NewLogin {
  readonly from: Address;
  /** The address of this machine that the login comes to. */
  readonly to: Address;
  readonly port: Port;
  /** The interface that the login comes in by. */
  readonly device: string;
}

/** Every look of any backend: a packet that passes all of them passes each backend. */
const ALL_LOOKS: Looks = { first: true, final: true, frames: false, answers: false };
/** A client's port that no rule names. */
const CLIENT = parsePort('40000') as Port;

/**
 * Whether a ruleset admits a new login: the first packet (SYN) comes in, and the answer leaves by
 * the same interface.
 */
export function letsIn(ruleset: Ruleset, { from, to, port, device }: NewLogin): boolean {
  const packet = { in: undefined, out: undefined, uid: undefined, mark: 0 } as const;
  const first: Packet = {
    ...packet,
    hook: 'input',
    in: device,
    from,
    to,
    payload: { transport: 'tcp', fromPort: CLIENT, toPort: port },
    conntrack: 'new',
  };
  const answer: Packet = {
    ...packet,
    hook: 'output',
    out: device,
    from: to,
    to: from,
    payload: { transport: 'tcp', fromPort: port, toPort: CLIENT },
    conntrack: 'established',
    uid: 0,
  };
  return [first, answer].every((each) => judge(ruleset, each, ALL_LOOKS).verdict === 'accept');
}

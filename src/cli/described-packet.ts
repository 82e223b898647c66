import { type Address, parseAddress } from '../net/address.ts';
import { parseInterfaceName } from '../net/interface-name.ts';
import { parsePort } from '../net/port.ts';
import { ECHO_REQUEST } from '../net/well-known.ts';
import type { Packet } from '../ruleset/packet.ts';
import type { Hook } from '../ruleset/ruleset.ts';
import { misused } from './parse-arguments.ts';

/** A packet in a person's words: the words of `explain`, its flags without their dashes. */
export interface PacketWords {
  readonly words: readonly string[];
  readonly device?: string;
  readonly in?: string;
  /**
   * The interface that the packet really leaves by, where another rule of this machine reroutes it.
   */
  readonly 'leaves-by'?: string;
  readonly as?: string;
  readonly mark?: string;
  readonly to?: string;
  readonly 'from-port'?: string;
  readonly state?: string;
  readonly 'from-lan'?: boolean;
  /** A frame between two ports of one bridge, which br_netfilter shows to IP rules. */
  readonly bridged?: boolean;
  /** An answer to a question that a local program just sent to many hosts on the LAN. */
  readonly asked?: boolean;
}

const HOOK_OF: Readonly<Record<string, Hook>> = { out: 'output', in: 'input', forward: 'forward' };
const STATES = ['new', 'established', 'related'] as const;
/** Stands for any interface that is no tunnel, where none is named: no rule names it. */
const UPLINK = 'uplink';
/** A user that is not root, and a port that no rule names. */
const [SOMEBODY, SOME_PORT] = [1000, '40000'];

/**
 * Builds the packet that the words mean. `usage` is the command's usage; `uidOf` returns the uid of
 * a user of this machine.
 * @throws KillswitchError USAGE
 */
export function describedPacket(
  described: PacketWords,
  usage: string,
  uidOf: (account: string) => number | undefined,
): Packet {
  const wrong = (message: string) => misused({ usage }, message);
  const parsed = <Value>(
    text: string,
    parse: (text: string) => Value | undefined,
    what: string,
  ): Value => {
    const value = parse(text);
    if (value === undefined) throw wrong(`"${text}" is ${what}`);
    return value;
  };
  const [direction = '', protocol = '', address = '', port] = described.words;
  const hook = parsed(direction, (text) => HOOK_OF[text], 'none of out, in, forward');
  const there = parsed(address, parseAddress, 'not an address');
  const interfaceOf = (name: string | undefined) =>
    name === undefined ? UPLINK : parsed(name, parseInterfaceName, 'not an interface name');
  if (described['from-lan'] === true && (hook !== 'input' || described.device !== undefined))
    throw wrong('--from-lan is for a packet that comes in by no device that is named');
  if (described['leaves-by'] !== undefined && hook !== 'output')
    throw wrong(
      '--leaves-by is for packets of this machine: what is forwarded is not routed twice',
    );
  if (described.in !== undefined && hook !== 'forward')
    throw wrong('--in is for forwarded packets');
  if (described.bridged === true && (hook !== 'forward' || described.in !== undefined))
    throw wrong('--bridged is for forwarded packets that stay on one bridge, named by --device');
  if (described.asked === true && (hook !== 'input' || described.device !== undefined))
    throw wrong('--asked is for a packet that comes in by no device that is named');
  if (described.to !== undefined && hook !== 'input')
    throw wrong('--to is for packets that come in: what goes out has its address already');
  const to =
    described.to === undefined
      ? ownAddress(there)
      : parsed(described.to, parseAddress, 'not an address');
  if (to.family !== there.family) throw wrong('--to is of another IP version than the other end');
  return {
    hook,
    in:
      hook === 'output'
        ? undefined
        : interfaceOf(
            hook === 'forward' && described.bridged !== true ? described.in : described.device,
          ),
    out: hook === 'input' ? undefined : interfaceOf(described.device),
    from: hook === 'input' ? there : to,
    to: hook === 'input' ? to : there,
    payload: payload(),
    conntrack: parsed(
      described.state ?? 'new',
      (text) => STATES.find((each) => each === text),
      'none of new, established, related',
    ),
    uid:
      hook === 'output'
        ? described.as === undefined
          ? SOMEBODY
          : parsed(described.as, uidOf, 'no user of this machine')
        : undefined,
    mark: parsed(described.mark ?? '0', parseMark, 'not a mark: 0x1, say'),
    ...(described.bridged === true && { bridged: true }),
    ...(described.asked === true && { asked: true }),
  };

  function payload(): Packet['payload'] {
    if (protocol === 'icmp') return { icmp: ECHO_REQUEST[there.family] };
    if (protocol !== 'tcp' && protocol !== 'udp')
      throw wrong(`"${protocol}" is none of tcp, udp, icmp`);
    return {
      transport: protocol,
      fromPort: parsed(described['from-port'] ?? SOME_PORT, parsePort, 'not a port'),
      toPort: parsed(port ?? '', parsePort, 'not a port'),
    };
  }
}

function parseMark(text: string): number | undefined {
  return /^(0x[0-9a-fA-F]{1,8}|\d{1,10})$/.test(text) && Number(text) <= 0xffffffff
    ? Number(text)
    : undefined;
}

/**
 * Returns an address that stands for this machine: rules look at the far end, except those for a
 * tunnel's own address.
 */
function ownAddress({ family, ...rest }: Address): Address {
  return parseAddress(family === 'ipv4' ? '192.0.2.1' : '2001:db8::1') ?? { family, ...rest };
}

import { type Address, type Family, parseAddress } from '../../src/net/address.ts';
import type { Packet } from '../../src/ruleset/packet.ts';
import {
  type ChainName,
  HOOKS,
  type Hook,
  type Match,
  type Ruleset,
} from '../../src/ruleset/ruleset.ts';
import { addressNumber, prefixBounds } from './address-number.ts';
import { INTERFACES, SENDERS } from './packets.ts';
import { OWN_LAN, PLACES } from './places.ts';
import { CLIENT_UID } from './policies.ts';

/** A number as an address of a family; nothing when there is none, or none the product takes. */
function addressAt(family: Family, number: bigint): readonly Address[] {
  const [groups, base] = family === 'ipv4' ? [4, 256n] : [8, 65536n];
  if (number < 0n || number >= base ** BigInt(groups)) return [];
  const parts = Array.from(
    { length: groups },
    (_, index) => (number / base ** BigInt(groups - 1 - index)) % base,
  );
  const parsed = parseAddress(
    parts
      .map((part) => part.toString(family === 'ipv4' ? 10 : 16))
      .join(family === 'ipv4' ? '.' : ':'),
  );
  return parsed === undefined ? [] : [parsed];
}

/** The ends of a prefix and their neighbours outside. */
function edges(prefix: string): readonly Address[] {
  const family = prefix.includes(':') ? 'ipv6' : 'ipv4';
  const [first, last] = prefixBounds(prefix);
  return [first, last, first - 1n, last + 1n].flatMap((number) => addressAt(family, number));
}

const portEdges = (ranges: Match['toPorts']) =>
  (ranges ?? []).flatMap(({ first, last }) => [first, last, first - 1, last + 1]);

interface Path {
  readonly hook: Hook;
  readonly match: Match;
}

/** Each rule's match together with the matches of the jumps that lead to it. */
function* paths(ruleset: Ruleset, name: ChainName, hook: Hook, above: Match): Generator<Path> {
  for (const { match, verdict } of ruleset.find((chain) => chain.name === name)?.rules ?? []) {
    const merged = { ...above, ...match };
    yield { hook, match: merged };
    if (typeof verdict !== 'string' && 'jump' in verdict)
      yield* paths(ruleset, verdict.jump, hook, merged);
  }
}

function fitting({ hook, match }: Path, family: Family): Packet {
  const [endpoint] = match.endpoints ?? [];
  const firstOf = (networks: Match['to']) =>
    networks?.flatMap(({ text, family: own }) =>
      own === family ? addressAt(family, prefixBounds(text)[0]) : [],
    )[0];
  const here = OWN_LAN[family];
  const there = PLACES['LAN host'][family];
  const transport = endpoint?.transport ?? match.transports?.[0] ?? 'tcp';
  const [icmp] = match.icmp ?? [];
  const isOwn =
    hook === 'output' ||
    (hook === 'postrouting' && match.in === undefined && match.bridged === undefined);
  return {
    hook,
    in: isOwn || match.bridged === 'postrouting' ? undefined : (match.in ?? 'eth0'),
    out: hook === 'input' ? undefined : (match.out ?? 'eth0'),
    from: firstOf(match.from) ?? (isOwn ? here : there),
    to: endpoint?.address ?? firstOf(match.to) ?? (hook === 'input' ? here : there),
    payload:
      icmp === undefined
        ? {
            transport,
            fromPort: match.fromPorts?.[0]?.first ?? 40000,
            toPort: endpoint?.port ?? match.toPorts?.[0]?.first ?? 40000,
          }
        : { icmp, ...(match.icmpCode === undefined ? {} : { icmpCode: match.icmpCode }) },
    conntrack: match.conntrack?.[0] ?? 'new',
    uid: isOwn ? (match.owner?.kind === 'uid' ? match.owner.uid : 1000) : undefined,
    mark: match.owner?.kind === 'mark' ? match.owner.mark : 0,
    ...(match.bridged !== undefined && { bridged: true }),
    ...(match.asked === true && { asked: true }),
  };
}

/** The packet with one of its parts at, and just beyond, each edge of what the match asks. */
function* variations(packet: Packet, { match }: Path): Generator<Packet> {
  const { hook, payload } = packet;
  const same = (address: Address) => address.family === packet.to.family;
  const destinations = [
    ...(match.to ?? []).map(({ text }) => text),
    ...(match.endpoints ?? []).map(({ address }) => address.text),
  ];
  for (const text of destinations)
    for (const to of text.includes('/')
      ? edges(text)
      : [-1n, 0n, 1n].flatMap((step) => addressAt(packet.to.family, addressNumber(text) + step)))
      if (same(to)) yield { ...packet, to };
  for (const { text } of match.from ?? [])
    for (const from of edges(text)) if (same(from)) yield { ...packet, from };
  for (const place of Object.values(PLACES)) {
    yield { ...packet, to: place[packet.to.family] };
    yield { ...packet, from: place[packet.to.family] };
  }
  if ('transport' in payload) {
    for (const toPort of [
      ...portEdges(match.toPorts),
      ...(match.endpoints ?? []).flatMap(({ port }) => [port - 1, port, port + 1]),
      53,
      443,
    ])
      yield { ...packet, payload: { ...payload, toPort } };
    for (const fromPort of [...portEdges(match.fromPorts), 40001])
      yield { ...packet, payload: { ...payload, fromPort } };
    yield {
      ...packet,
      payload: { ...payload, transport: payload.transport === 'tcp' ? 'udp' : 'tcp' },
    };
  }
  for (const icmp of [...(match.icmp ?? []).flatMap((type) => [type - 1, type, type + 1]), 8, 128])
    yield { ...packet, payload: { icmp } };
  for (const icmp of match.icmp ?? [])
    for (const icmpCode of [0, 1]) yield { ...packet, payload: { icmp, icmpCode } };
  yield { ...packet, payload: { protocol: 47 } };
  for (const conntrack of ['new', 'established', 'related'] as const)
    yield { ...packet, conntrack };
  if (packet.uid !== undefined)
    for (const sender of [...SENDERS, { uid: undefined, mark: 0 }, { uid: CLIENT_UID, mark: 0 }])
      yield { ...packet, ...sender };
  for (const bytes of match.longest === undefined ? [] : [match.longest, match.longest + 1])
    yield { ...packet, bytes };
  if (packet.bridged === true) yield { ...packet, bridged: false };
  if (packet.asked === true) yield { ...packet, asked: false };
  const { during } = match;
  for (const at of during === undefined
    ? []
    : [during.from - 1, during.from, during.until, during.until + 1])
    yield { ...packet, at };
  for (const name of INTERFACES) {
    if (hook !== 'output') yield { ...packet, in: name };
    if (hook !== 'input') yield { ...packet, out: name };
  }
}

/**
 * For every rule packets that fit it and all that leads to it, and packets that miss it by one
 * part: what tells a ruleset from one with a mistake in that rule. Established ones come along,
 * because `established` hides what stands below it.
 */
export function witnesses(ruleset: Ruleset): readonly Packet[] {
  const found = new Map<string, Packet>();
  for (const hook of HOOKS)
    for (const path of paths(ruleset, hook, hook, {}))
      for (const family of path.match.family === undefined
        ? (['ipv4', 'ipv6'] as const)
        : [path.match.family]) {
        const packet = fitting(path, family);
        for (const each of [packet, ...variations(packet, path)])
          found.set(JSON.stringify(each), each);
      }
  return [...found.values()];
}

import { FAMILIES, type Family } from '../../src/net/address.ts';
import { DHCP, ECHO_REQUEST } from '../../src/net/well-known.ts';
import type { Packet } from '../../src/ruleset/packet.ts';
import {
  FIRST_MARKED_PORT,
  LINKS,
  type Link,
  PORTS_OF_A_LINK,
  type SenderName,
  type SentProbe,
} from './lan.ts';
import { PORTS } from './packets.ts';
import { address, PLACES, type Place } from './places.ts';
import { CLIENT_MARK, CLIENT_UID } from './policies.ts';

/** One packet to send, and the same as the rules should see it. */
export interface Probe {
  readonly sender: SenderName;
  readonly sent: SentProbe;
  readonly packet: Packet;
}

let used = 0;
/** A source port that no probe of this link has had: each probe is a new connection. */
function nextPort(first: number): number {
  return first + (used++ % PORTS_OF_A_LINK);
}

type What =
  | { readonly transport: 'tcp' | 'udp'; readonly toPort: number; readonly fromPort?: number }
  | { readonly transport: 'icmp' };

/** tcp and udp to every port of interest, and a ping. */
const EVERYTHING: readonly What[] = [
  ...PORTS.flatMap((toPort) =>
    (['tcp', 'udp'] as const).map((transport) => ({ transport, toPort })),
  ),
  { transport: 'icmp' },
];

function isGroup(place: Place): boolean {
  return place === 'multicast' || place === 'broadcast';
}

interface Way extends Pick<Packet, 'hook' | 'in' | 'out' | 'uid' | 'mark'> {
  readonly sender: SenderName;
  readonly firstPort: number;
  /** The interface of the sender's own namespace. */
  readonly device: string;
  readonly family: Family;
  readonly from: string;
  readonly to: string;
  readonly group: boolean;
}

function* along(way: Way, whats: readonly What[]): Generator<Probe> {
  const { sender, firstPort, device, family, from, to, group, ...packet } = way;
  for (const what of whats) {
    // A group is reached by datagrams alone.
    if (group && what.transport !== 'udp') continue;
    const fromPort = what.transport === 'icmp' ? 0 : (what.fromPort ?? nextPort(firstPort));
    const toPort = what.transport === 'icmp' ? 0 : what.toPort;
    yield {
      sender,
      sent: {
        transport: what.transport,
        from,
        fromPort,
        to,
        toPort,
        device,
        ...(group && family === 'ipv6' ? { zone: device } : {}),
      },
      packet: {
        ...packet,
        from: address(from),
        to: address(to),
        payload:
          what.transport === 'icmp'
            ? { icmp: ECHO_REQUEST[family] }
            : { transport: what.transport, fromPort, toPort },
        conntrack: 'new',
      },
    };
  }
}

const OUTPUT_PLACES: readonly Place[] = [
  'internet',
  'endpoint',
  'LAN host',
  'LAN router',
  'resolver in the tunnel',
  'resolver elsewhere',
  'network routed into the tunnel',
  'multicast',
  'broadcast',
];
const INPUT_PLACES: readonly Place[] = [
  'internet',
  'endpoint',
  'LAN host',
  'LAN router',
  'resolver in the tunnel',
  'own address in the tunnel',
  'broadcast',
];

/**
 * The packets that this machine sends by one link, as root, as an unprivileged user, or
 * unprivileged but marked.
 */
export function* outputProbes(link: Link, who: 'root' | 'nobody' | 'marked'): Generator<Probe> {
  const { own, firstPort } = LINKS[link];
  for (const family of FAMILIES) {
    const way = {
      hook: 'output' as const,
      in: undefined,
      out: link,
      uid: who === 'root' ? 0 : CLIENT_UID,
      mark: who === 'marked' ? CLIENT_MARK : 0,
      sender: who === 'root' ? ('root' as const) : ('nobody' as const),
      firstPort: who === 'marked' ? FIRST_MARKED_PORT : firstPort,
      device: link,
      family,
      from: own[family].text,
    };
    for (const place of OUTPUT_PLACES) {
      const whats =
        who === 'marked' ? EVERYTHING.filter(({ transport }) => transport === 'udp') : EVERYTHING;
      yield* along({ ...way, to: PLACES[place][family].text, group: isGroup(place) }, whats);
    }
    const { client, server } = DHCP[family];
    const dhcp: What = { transport: 'udp', fromPort: client, toPort: server };
    if (who === 'root' && link === 'eth0' && family === 'ipv4') {
      yield* along({ ...way, to: '255.255.255.255', group: true }, [dhcp]);
      yield* along({ ...way, to: PLACES['LAN router'].ipv4.text, group: false }, [dhcp]);
      yield* along({ ...way, to: PLACES.internet.ipv4.text, group: false }, [dhcp]);
    }
    if (who === 'root' && link === 'eth0' && family === 'ipv6')
      yield* along({ ...way, to: 'ff02::1:2', group: true }, [dhcp]);
  }
}

/**
 * The packets that come in by one link from beyond it, with any source address the far end likes.
 */
export function* inputProbes(link: Exclude<Link, 'docker0'>): Generator<Probe> {
  const { own, firstPort } = LINKS[link];
  for (const family of FAMILIES) {
    for (const place of INPUT_PLACES) {
      const aimed = place === 'broadcast' || place === 'own address in the tunnel';
      // To an IPv4 broadcast the kernel sends by the interface that has the source address: from
      // beyond it cannot be aimed.
      if (place === 'broadcast' && family === 'ipv4') continue;
      const way: Way = {
        hook: 'input',
        in: link,
        out: undefined,
        uid: undefined,
        mark: 0,
        sender: 'peer',
        firstPort,
        device: `${link}p`,
        family,
        from: (aimed ? PLACES['LAN host'] : PLACES[place])[family].text,
        to: aimed ? PLACES[place][family].text : own[family].text,
        group: place === 'broadcast',
      };
      yield* along(way, [
        ...EVERYTHING,
        { transport: 'udp', toPort: 6881 },
        { transport: 'tcp', toPort: 8080 },
      ]);
      const { client, server } = DHCP[family];
      // Not from the router: it was asked, so its answer belongs to a connection.
      if (link === 'eth0' && place === 'LAN host')
        yield* along(way, [{ transport: 'udp', fromPort: server, toPort: client }]);
    }
  }
}

/** The packets that a guest behind docker0 sends through this machine, out by one link. */
export function* forwardProbes(link: Exclude<Link, 'docker0'>): Generator<Probe> {
  for (const family of FAMILIES)
    for (const place of [
      'internet',
      'endpoint',
      'LAN host',
      'resolver in the tunnel',
      'network routed into the tunnel',
    ] as const)
      yield* along(
        {
          hook: 'forward',
          in: 'docker0',
          out: link,
          uid: undefined,
          mark: 0,
          sender: 'guest',
          firstPort: LINKS[link].firstPort,
          device: 'docker0p',
          family,
          from: LINKS.docker0.gateway[family].text,
          to: PLACES[place][family].text,
          group: false,
        },
        EVERYTHING.filter(({ transport }) => transport !== 'icmp'),
      );
}

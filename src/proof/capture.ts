import type { Sandbox } from '../host/sandbox.ts';
import { LAN, ROUTER_SIDE } from './addresses.ts';
import { type Packet, PROTOCOL, readFrame } from './frame.ts';
import { pcapReader } from './pcap.ts';
import type { Transport } from './probes.ts';
import { type Service, startService } from './service.ts';
import { type Sorted, sortPacket } from './sort-packet.ts';
import { waitUntil } from './wait-until.ts';

/** The packets that left the client in one stretch of time. */
export interface Tally {
  /** Every packet but those that the VPN client or a host on a LAN must send. */
  readonly clear: number;
  /** The same by probe; by protocol and destination for a packet of no probe. */
  readonly byName: Readonly<Record<string, number>>;
  readonly vpn: number;
  readonly lan: number;
  readonly neighbour: number;
  /** The same by the kind of message. */
  readonly neighbourWords: Readonly<Record<string, number>>;
}

/** tcpdump at the router's side of the client's uplink. */
export interface Capture {
  /** Waits until tcpdump listens. */
  ready(): Promise<void>;
  /** Names the client's hardware address. Only packets from it are counted. */
  watch(client: string): void;
  /** Names the VPN's transport from now on. */
  expect(transport: Transport): void;
  /** Counts the packets that left since the last call, up to this moment. The uplink must be up. */
  tally(): Promise<Tally>;
  /** Counts the packets that left so far, as far as they have been read. */
  soFar(): Tally;
  /** Ends it. @returns packets that tcpdump reports as lost. */
  end(): Promise<number>;
}

/** Room for every header and a marker after it. */
const SNAPLEN = 512;

/** Network namespaces are made by their own process here, so that `at` can be its name. */
export const ROUTER = 'router';

function empty() {
  const byName: Record<string, number> = {};
  const neighbourWords: Record<string, number> = {};
  return { clear: 0, byName, vpn: 0, lan: 0, neighbour: 0, neighbourWords };
}

/**
 * Starts the router's network namespace with tcpdump in it, which listens as soon as the router's
 * side is up. tcpdump as root insists on changing its user, which a user namespace with a single
 * user refuses. There another user, of a nested namespace, owns the router.
 */
export function startCapture(sandbox: Sandbox): Capture & { readonly service: Service } {
  const owner = sandbox.hasOtherUsers
    ? []
    : ['--user', '--map-user=1', '--map-group=1', '--keep-caps'];
  const up = `until ip link show dev ${ROUTER_SIDE} up 2>/dev/null | grep -q ${ROUTER_SIDE}; do sleep 0.02; done`;
  const dump = `exec tcpdump -i ${ROUTER_SIDE} -nn -U --immediate-mode -B 65536 -s ${SNAPLEN} -Z root -w -`;
  let client = '';
  let transport: Transport = 'udp';
  let syncs = 0;
  let synced = 0;
  let current = empty();
  const whole = empty();
  let failure: Error | undefined;

  // Sort a later fragment like its first one; without that, by itself.
  const firsts = new Map<string, Sorted>();
  const sortOf = (packet: Packet): Sorted => {
    const { datagram, later } = packet;
    if (datagram !== undefined && later === true)
      return firsts.get(datagram) ?? sortPacket(packet, transport);
    const sorted = sortPacket(packet, transport);
    if (datagram !== undefined) firsts.set(datagram, sorted);
    return sorted;
  };
  const count = (packet: Packet) => {
    const sorted = sortOf(packet);
    for (const tally of [current, whole]) {
      tally[sorted.sort]++;
      if (sorted.sort === 'clear') tally.byName[sorted.name] = (tally.byName[sorted.name] ?? 0) + 1;
      if (sorted.sort === 'neighbour')
        tally.neighbourWords[sorted.name] = (tally.neighbourWords[sorted.name] ?? 0) + 1;
    }
  };
  // Frames come in order: after the router's own packet number n, all earlier frames have been
  // read.
  const sync = ({ protocol, icmpType, bytes }: Packet) => {
    if (protocol !== PROTOCOL.icmp || icmpType !== 8) return;
    const at = bytes.indexOf('SYNC');
    if (at >= 0) synced = Math.max(synced, Number(bytes.toString('latin1', at + 4, at + 12)));
  };
  const read = pcapReader(({ bytes }) => {
    const packet = readFrame(bytes);
    if (packet.from === client) count(packet);
    else sync(packet);
  });
  const service = startService(
    sandbox,
    ROUTER,
    ['unshare', ...owner, '--net', 'sh', '-c', `${up}; ${dump}`],
    {
      onOutput: (chunk) => {
        try {
          read(chunk);
        } catch (thrown) {
          failure = thrown instanceof Error ? thrown : new Error(String(thrown));
        }
      },
    },
  );

  return {
    service,
    ready: () => service.says('listening on'),
    watch: (address) => {
      client = address.toLowerCase();
    },
    expect: (over) => {
      transport = over;
    },
    tally: async () => {
      const number = ++syncs;
      const pattern = Buffer.from(`SYNC${String(number).padStart(8, '0')}end.`).toString('hex');
      await waitUntil('the capture to catch up', async () => {
        if (failure !== undefined) throw failure;
        if (synced < number)
          await sandbox.ask(['ping', '-n', '-q', '-c1', '-W0.02', '-p', pattern, LAN.client4], {
            at: ROUTER,
          });
        return synced >= number;
      });
      const tally = current;
      current = empty();
      return tally;
    },
    soFar: () => whole,
    end: async () => {
      await service.end('TERM');
      if (failure !== undefined) throw failure;
      const [, dropped] = /(\d+) packets? dropped by kernel/.exec(service.said()) ?? [];
      if (dropped === undefined)
        throw new Error(`tcpdump did not say what it has missed: ${service.said().trim()}`);
      return Number(dropped);
    },
  };
}

import { KillswitchError } from '../errors.ts';
import type { Command } from '../host/command.ts';
import type { Host } from '../host/host.ts';
import { tapOutgoing } from '../host/tap.ts';
import { field, type Json, parseJson } from '../machine/json.ts';
import { printable } from '../net/printable.ts';
import { HERE_ADDRESSES, HERE_CLASSES, type HereClass } from './here-probes.ts';

/** Counts packets behind every rule, where they leave by an uplink; decides nothing. */
export interface HereCounters {
  /**
   * Returns how many packets of each class have left, in the end.
   * @throws KillswitchError NO_PROOF when the counts cannot be read.
   */
  read(): Promise<readonly number[]>;
  /** Removes the counters. */
  close(): void;
}

const TABLE = 'ovpn_killswitch_prove';
const AGAIN = 'Run it again.';

function reason(thrown: unknown): string {
  return printable(thrown instanceof Error ? thrown.message : String(thrown));
}

const nft = (...args: readonly string[]): Command => ({ program: 'nft', args });

function nftMatch(each: HereClass): string {
  const [ip, icmp] = each.address.includes(':') ? ['ip6', 'ipv6-icmp'] : ['ip', 'icmp'];
  const what =
    each.transport === 'icmp' ? `meta l4proto ${icmp}` : `${each.transport} dport ${each.port}`;
  return `${ip} daddr ${each.address} ${what}`;
}

/** Returns how a line of `tcpdump -nn -q` about such a packet goes on after its source. */
function tapMatch(each: HereClass): string {
  if (each.transport === 'icmp') return `> ${each.address}: ICMP`;
  return `> ${each.address}.${each.port}: ${each.transport === 'udp' ? 'UDP' : 'tcp'}`;
}

/** Renders a table at the very end of a packet's way (nft(8), egress). */
function tableText(uplinks: readonly string[]): string {
  const rules = HERE_CLASSES.map(
    (each, index) => `    ${nftMatch(each)} counter comment "${index}"\n`,
  ).join('');
  const chains = uplinks.map(
    (device, index) =>
      `  chain uplink${index} {\n    type filter hook egress device "${device}" priority 500; policy accept;\n${rules}  }\n`,
  );
  return `table netdev ${TABLE}\ndelete table netdev ${TABLE}\ntable netdev ${TABLE} {\n${chains.join('')}}\n`;
}

/** Reads the counters of each class, summed over all uplinks. */
function readTable(host: Host): readonly number[] {
  const seen = HERE_CLASSES.map(() => 0);
  const { status, stdout, stderr } = host.run(nft('-j', 'list', 'table', 'netdev', TABLE));
  const list = field(parseJson(stdout), 'nftables');
  if (status !== 0 || !Array.isArray(list))
    throw new KillswitchError('NO_PROOF', 'the counters could not be read', AGAIN, [
      printable(stderr.trim()),
    ]);
  for (const each of list as readonly Json[]) {
    const rule = field(each, 'rule');
    const [comment, items] = [field(rule, 'comment'), field(rule, 'expr')];
    if (typeof comment !== 'string' || !Array.isArray(items)) continue;
    for (const item of items as readonly Json[]) {
      const packets = field(field(item, 'counter'), 'packets');
      if (typeof packets === 'number')
        seen[Number(comment)] = (seen[Number(comment)] ?? 0) + packets;
    }
  }
  return seen;
}

function openTable(
  host: Host,
  uplinks: readonly string[],
): HereCounters | { readonly why: string } {
  const { status, stderr } = host.run({
    program: 'nft',
    args: ['-f', '-'],
    stdin: tableText(uplinks),
  });
  if (status !== 0)
    return {
      why: `nft (netdev egress: Linux 5.16, nft 1.0.1): ${printable(stderr.trim().split('\n')[0] ?? '')}`,
    };
  return {
    read: async () => readTable(host),
    close: () => void host.run(nft('delete', 'table', 'netdev', TABLE)),
  };
}

async function openTaps(
  uplinks: readonly string[],
): Promise<HereCounters | { readonly why: string }> {
  const filter = Object.values(HERE_ADDRESSES)
    .map((address) => `dst host ${address}`)
    .join(' or ');
  const opened = await Promise.allSettled(uplinks.map((device) => tapOutgoing(device, filter)));
  const taps = opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const close = () => {
    for (const tap of taps) tap.close();
  };
  for (const each of opened)
    if (each.status === 'rejected') {
      close();
      return { why: `tcpdump: ${reason(each.reason)}` };
    }
  return {
    close,
    read: async () => {
      const tapped = await Promise.all(taps.map((tap) => tap.end())).catch((thrown: unknown) => {
        throw new KillswitchError('NO_PROOF', 'the packets could not be counted', AGAIN, [
          reason(thrown),
        ]);
      });
      const lost = tapped.reduce((sum, each) => sum + each.lost, 0);
      if (lost > 0)
        throw new KillswitchError(
          'NO_PROOF',
          `tcpdump has lost ${lost} packets, so the count is worth nothing`,
          AGAIN,
        );
      const lines = tapped.flatMap((each) => each.lines);
      return HERE_CLASSES.map(
        (each) => lines.filter((line) => line.includes(tapMatch(each))).length,
      );
    },
  };
}

/**
 * Starts to count packets that leave by these interfaces: by counters of nftables, or by tcpdump
 * where the kernel has no place for them.
 * @throws KillswitchError NO_PROOF when neither works.
 */
export async function openCounters(host: Host, uplinks: readonly string[]): Promise<HereCounters> {
  const table = openTable(host, uplinks);
  if ('read' in table) return table;
  const taps = await openTaps(uplinks);
  if ('read' in taps) return taps;
  throw new KillswitchError(
    'NO_PROOF',
    'nothing here can count what leaves an interface',
    'Install nftables or tcpdump, or prove it in namespaces: ovpn-killswitch prove',
    [table.why, taps.why],
  );
}

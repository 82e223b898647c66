import type { Command } from '../host/command.ts';
import type { Host } from '../host/host.ts';
import type { Journal } from '../host/log-entry.ts';
import { readFlowtables } from '../machine/flowtables.ts';
import { printable } from '../net/printable.ts';

/**
 * The fate of connections that the kernel forwards past every rule. `why` says why they were not
 * ended.
 */
export type Ended =
  | { readonly kind: 'none' }
  | { readonly kind: 'ended'; readonly count: number }
  | { readonly kind: 'may-go-on'; readonly flowtables: readonly string[]; readonly why: string };

export const GET_CONNTRACK = 'sudo apt install conntrack; sudo ovpn-killswitch lock';

const END: Command = { program: 'conntrack', args: ['-D', '-u', 'OFFLOAD'], changes: 'flows' };

/**
 * Ends connections that a flowtable has taken over. The kernel checks no rule for their packets,
 * only that conntrack still knows the connection. Call it once the rules are in force: later
 * packets pass the forward chain again. A connection that this chain refuses is never confirmed,
 * and a flowtable takes only confirmed ones (Linux, net/netfilter/nft_flow_offload.c).
 */
export function endOffloaded(host: Host): Ended {
  const flowtables = readFlowtables(host);
  if (flowtables?.length === 0) return { kind: 'none' };
  if (!host.has(END.program)) {
    return flowtables === undefined
      ? { kind: 'none' }
      : mayGoOn(host, flowtables, 'conntrack is not installed');
  }
  const { status, stderr } = host.run(END);
  // conntrack(8) exits with 1 when there was nothing to delete, and prints the count.
  const [, count] = /(\d+) flow entries have been deleted/.exec(stderr) ?? [];
  if (count !== undefined)
    return count === '0' ? { kind: 'none' } : { kind: 'ended', count: Number(count) };
  if (status === 0 || flowtables === undefined) return { kind: 'none' };
  return mayGoOn(
    host,
    flowtables,
    printable(stderr.trim().split('\n')[0] ?? '') || 'conntrack did not end well',
  );
}

function mayGoOn(journal: Journal, flowtables: readonly string[], why: string): Ended {
  const message = `connections in the flowtable ${flowtables.join(', ')} may go on past the rules: ${why}`;
  journal.log({ level: 'warn', event: 'offloaded', message });
  return { kind: 'may-go-on', flowtables, why };
}

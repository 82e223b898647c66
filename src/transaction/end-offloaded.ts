import type { Command } from '../host/command.ts';
import type { Host } from '../host/host.ts';
import { readFlowtables } from '../machine/flowtables.ts';
import { printable } from '../net/printable.ts';

/**
 * What became of connections that the kernel forwards past every rule; `why` says what kept them
 * from being ended.
 */
export type Ended =
  | { readonly kind: 'none' }
  | { readonly kind: 'ended'; readonly count: number }
  | { readonly kind: 'may-go-on'; readonly flowtables: readonly string[]; readonly why: string };

export const GET_CONNTRACK = 'sudo apt install conntrack; sudo ovpn-killswitch lock';

const END: Command = { program: 'conntrack', args: ['-D', '-u', 'OFFLOAD'] };

/**
 * Ends connections that a flowtable has taken over: the kernel asks no rule about their packets,
 * only whether conntrack still has them. What comes after passes the forward chain again: what it
 * refuses is never confirmed, and only confirmed connections are taken over (Linux,
 * net/netfilter/nft_flow_offload.c). So it has to be done after the rules are in force.
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
  // conntrack(8) ends with 1 when there was nothing to delete, and says how much there was.
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

function mayGoOn(host: Host, flowtables: readonly string[], why: string): Ended {
  const message = `connections in the flowtable ${flowtables.join(', ')} may go on past the rules: ${why}`;
  host.log({ level: 'warn', event: 'offloaded', message });
  return { kind: 'may-go-on', flowtables, why };
}

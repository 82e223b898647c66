import { nftables } from '../backend/nftables.ts';
import type { Host } from '../host/host.ts';
import { printable } from '../net/printable.ts';
import { baseOf, decide } from '../policy/policy.ts';
import { defaultSettings } from '../policy/settings.ts';
import { compile } from '../ruleset/compile.ts';

/**
 * Tells why nftables cannot hold our rules here; undefined when it can, or when this process may
 * not look. It loads a base in a network namespace that ends with the trial: a kernel may lack
 * nf_tables, or an expression that the rules need (fib, dynamic sets).
 */
export function nftablesFails(host: Host): string | undefined {
  if (
    !host.mayChangeRules() ||
    host.run({ program: 'unshare', args: ['--net', '--', 'true'] }).status !== 0
  )
    return undefined;
  const base = baseOf(defaultSettings(), { endpoints: [], uids: [0] });
  const { commit } = nftables.replace(compile(decide(base, [])), {
    image: [],
    policies: [],
    present: false,
  });
  for (const { program, args, stdin } of commit) {
    const { status, stderr } = host.run({
      program: 'unshare',
      args: ['--net', '--', program, ...args],
      ...(stdin !== undefined && { stdin }),
    });
    if (status !== 0)
      return `${program} fails a trial in a network namespace of its own (${printable(stderr.trim().split('\n')[0] ?? '')})`;
  }
  return undefined;
}

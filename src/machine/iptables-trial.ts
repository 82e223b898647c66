import { type IptablesKind, iptables } from '../backend/iptables.ts';
import { unreadable } from '../backend/iptables-survey.ts';
import type { Processes } from '../host/processes.ts';
import type { Family } from '../net/address.ts';
import { parseEndpoint } from '../net/endpoint.ts';
import { firstPrintableLine } from '../net/printable.ts';
import { baseOf, decide } from '../policy/policy.ts';
import { defaultSettings } from '../policy/settings.ts';
import { compile } from '../ruleset/compile.ts';
import { failsInNamespace } from './namespace-trial.ts';

/** Documentation addresses (RFC 5737): the trial loads them where no packet is sent. */
const SERVERS = ['192.0.2.1:1194/udp', '[2001:db8::1]:1194/udp'];

/**
 * Says why iptables cannot hold our rules here; undefined when it can, or when this process may not
 * look. It reads the present rules, and loads a base in a network namespace that ends with the
 * trial. A kernel may have no tables for iptables-legacy, as from 6.17 on, or lack a match.
 */
export function iptablesFails(
  processes: Processes,
  families: readonly Family[],
  kind: IptablesKind = '',
): string | undefined {
  if (!processes.mayChangeRules()) return undefined;
  const backend = iptables(families, kind, false);
  for (const command of backend.look) {
    const why = unreadable(processes.run(command));
    if (why !== undefined)
      return `${command.program} cannot read the rules that are here (${firstPrintableLine(why)})`;
  }
  const base = baseOf(defaultSettings(), {
    endpoints: SERVERS.flatMap((text) => parseEndpoint(text) ?? []),
    uids: [0],
  });
  const { commit } = backend.replace(compile(decide(base, [])), {
    image: [],
    policies: [],
    present: false,
  });
  return failsInNamespace(processes, commit);
}

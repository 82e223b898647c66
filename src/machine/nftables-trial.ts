import { nftables } from '../backend/nftables.ts';
import type { Processes } from '../host/processes.ts';
import { baseOf, decide } from '../policy/policy.ts';
import { defaultSettings } from '../policy/settings.ts';
import { compile } from '../ruleset/compile.ts';
import { failsInNamespace } from './namespace-trial.ts';

/**
 * Says why nftables cannot hold our rules here; undefined when it can, or when this process may not
 * look. A kernel may lack nf_tables, or an expression that the rules need (fib, dynamic sets).
 */
export function nftablesFails(processes: Processes): string | undefined {
  if (!processes.mayChangeRules()) return undefined;
  const base = baseOf(defaultSettings(), { endpoints: [], uids: [0] });
  const ruleset = compile(decide(base, []));
  const { commit } = nftables.replace(ruleset, { image: [], policies: [], present: false });
  return failsInNamespace(processes, commit);
}

import type { Backend } from '../backend/backend.ts';
import type { Output } from '../host/command.ts';
import type { Host } from '../host/host.ts';
import { type Base, decide } from '../policy/policy.ts';
import { formerText, readFormerText, staleFormers } from '../record/former-tunnels.ts';
import { readKeptShut } from '../record/kept-shut.ts';
import { readLastTransaction, writeLastTransaction } from '../record/last-transaction.ts';
import {
  type LiveTunnel,
  liveTunnelKey,
  readLiveTunnels,
  sameLiveTunnel,
  staleTunnels,
} from '../record/live-tunnels.ts';
import { type Amendment, amendment, isEmpty } from '../ruleset/amendment.ts';
import { rulesetsOf } from '../ruleset/compile.ts';
import type { Applied } from './apply.ts';
import type { Converged } from './converge.ts';

/** Limit for one program. A program that exceeds it leaves the hook time for the long way. */
const SHORT_MILLISECONDS = 6_000;

/** The one tunnel that the hook reports: it came, or it went. */
export type Change = { readonly came: LiveTunnel } | { readonly went: LiveTunnel };

/**
 * The hooks' short way: adds or removes one live tunnel's rules on top of the last transaction. It
 * takes no lock, and neither reads nor compares every rule. The run that commits also checks that
 * the rules are still the last transaction's. Returns undefined on anything unexpected; then
 * `convergeHoldingLock` corrects the rules. `base` may lack the profiles' endpoints: no tunnel changes
 * them.
 */
export function amendRules(
  host: Host,
  backend: Backend,
  base: Base,
  change: Change,
): Converged | undefined {
  const last = readLastTransaction(host);
  const live = readLiveTunnels(host);
  const { records, former } = readKeptShut(host, live);
  const isStale = staleTunnels(host, live).length > 0 || staleFormers(host, records).length > 0;
  if (last?.backend !== backend.name || isStale) return undefined;
  // A run that settled the device's former tunnel may just be putting this one's file back.
  if ('came' in change && !live.some((each) => sameLiveTunnel(each, change.came))) return undefined;
  const loaded = loadedBefore(live, last.tunnels, change);
  if (!sameKeys(last.tunnels, loaded.map(liveTunnelKey))) return undefined;
  const before = last.former.flatMap((text) => readFormerText(text) ?? []);
  if (before.length < last.former.length) return undefined;
  const rulesetOf = rulesetsOf(base);
  const [from, to] = [
    rulesetOf(loaded.map(tunnelOf), before),
    rulesetOf(live.map(tunnelOf), former),
  ];
  const amended = amendment(from, to);
  if (amended === undefined) return undefined;
  const outputs: Output[] = [];
  for (const command of backend.amend(amended, last.fingerprint, to)) {
    const output = host.run({ ...command, milliseconds: SHORT_MILLISECONDS });
    outputs.push(output);
    if (output.status !== 0) break;
  }
  const fingerprint = backend.amended(last.fingerprint, to, amended, outputs);
  if (fingerprint === undefined) return undefined;
  const policy = decide(base, live.map(tunnelOf), undefined, former);
  const texts = former.map(formerText);
  if (isEmpty(amended) && sameKeys(last.former, texts)) return { policy, applied: 'unchanged' };
  writeLastTransaction(host, {
    backend: backend.name,
    tunnels: live.map(liveTunnelKey),
    former: texts,
    fingerprint,
  });
  return { policy, applied: appliedOf(amended) };
}

function appliedOf({ added, removed }: Amendment): Applied {
  if (added.length === 0) return removed.length === 0 ? 'unchanged' : 'removed';
  return removed.length === 0 ? 'added' : 'amended';
}

const tunnelOf = ({ tunnel }: LiveTunnel) => tunnel;

/** Returns the previously loaded tunnels, if only this change has happened since. */
function loadedBefore(
  live: readonly LiveTunnel[],
  last: readonly string[],
  change: Change,
): readonly LiveTunnel[] {
  if ('went' in change) return [...live, change.went];
  const key = liveTunnelKey(change.came);
  return last.includes(key) ? live : live.filter((each) => liveTunnelKey(each) !== key);
}

function sameKeys(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((key) => b.includes(key));
}

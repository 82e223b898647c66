import type { Host } from '../host/host.ts';
import type { Learner } from '../machine/learner.ts';
import { baseOf, decide, type Known, type Policy } from '../policy/policy.ts';
import type { Settings } from '../policy/settings.ts';
import { type KeptShut, readKeptShut } from '../record/kept-shut.ts';
import { type LiveTunnel, readLiveTunnels } from '../record/live-tunnels.ts';
import { type LockRecord, openPortalOf } from '../record/lock-record.ts';
import { readSshSessions } from '../record/ssh-sessions.ts';
import { compile } from '../ruleset/compile.ts';
import type { Ruleset } from '../ruleset/ruleset.ts';

/** The ruleset to load now, from settings, profiles and live tunnels. */
export interface Intended {
  readonly policy: Policy;
  readonly ruleset: Ruleset;
  readonly live: readonly LiveTunnel[];
  readonly kept: KeptShut;
}

const NOTHING_KEPT: KeptShut = { records: [], remembered: [], former: [] };

/**
 * Returns the ruleset for a machine with this record. With `learn` it continues past state that
 * cannot be read; without it, that throws.
 */
export function intend(
  host: Host,
  settings: Settings,
  known: Known,
  record: LockRecord | undefined,
  { learn }: Pick<Learner, 'learn'> = { learn: (read) => read() },
): Intended {
  const live = learn(() => readLiveTunnels(host), []);
  const base = baseOf(
    settings,
    known,
    learn(() => readSshSessions(host), []),
  );
  const kept = learn(() => readKeptShut(host, live), NOTHING_KEPT);
  const policy = decide(
    base,
    live.map(({ tunnel }) => tunnel),
    openPortalOf(host, record),
    kept.former,
  );
  return { policy, ruleset: compile(policy), live, kept };
}

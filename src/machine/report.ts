import type { Survey } from '../backend/backend.ts';
import { type Choice, choose } from '../backend/choose.ts';
import { type Difference, differencesOf } from '../backend/image.ts';
import type { Host } from '../host/host.ts';
import { baseOf, decide, type Policy } from '../policy/policy.ts';
import type { Settings } from '../policy/settings.ts';
import { compile } from '../ruleset/compile.ts';
import type { Ruleset } from '../ruleset/ruleset.ts';
import { gatherKnown, savedKnown } from './known-endpoints.ts';
import { type LiveTunnel, readLiveTunnels, staleTunnels } from './live-tunnels.ts';
import { type LockRecord, readLockRecord } from './lock-record.ts';
import { readWorld } from './world.ts';

/** What should be loaded now, from settings, profiles and live tunnels. */
export interface Intended {
  readonly policy: Policy;
  readonly ruleset: Ruleset;
  readonly live: readonly LiveTunnel[];
}

export function intend(host: Host, settings: Settings): Intended {
  const live = readLiveTunnels(host);
  const base = baseOf(settings, savedKnown(host) ?? gatherKnown(host, settings));
  const policy = decide(
    base,
    live.map(({ tunnel }) => tunnel),
  );
  return { policy, ruleset: compile(policy), live };
}

/** The machine's state, read from the kernel a moment ago. */
export interface Report {
  readonly state: 'unlocked' | Policy['state'];
  /** Whether the kernel holds exactly what it should. */
  readonly exact: boolean;
  readonly record: LockRecord | undefined;
  readonly choice: Choice;
  readonly intended: Intended;
  readonly stale: readonly LiveTunnel[];
  readonly differences: readonly Difference[];
}

/** `look` reads the kernel; it is given so that reading a report stays free of how rules are applied. */
export function readReport(host: Host, settings: Settings, look: (choice: Choice) => Survey): Report {
  const record = readLockRecord(host);
  const choice = choose(readWorld(host, settings.backend));
  const intended = intend(host, settings);
  const found = look(choice);
  const locked = record?.locked === true || found.present;
  const differences = locked ? differencesOf(choice.backend.image(intended.ruleset), found.image) : [];
  return {
    state: locked ? intended.policy.state : 'unlocked',
    exact: differences.length === 0,
    record,
    choice,
    intended,
    stale: staleTunnels(host, intended.live),
    differences,
  };
}

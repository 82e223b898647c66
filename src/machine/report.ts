import type { Backend, Survey } from '../backend/backend.ts';
import { type Choice, choose } from '../backend/choose.ts';
import { type Difference, differencesOf } from '../backend/image.ts';
import type { Host } from '../host/host.ts';
import { baseOf, decide, type Known, type Policy } from '../policy/policy.ts';
import type { Settings } from '../policy/settings.ts';
import { compile } from '../ruleset/compile.ts';
import type { Ruleset } from '../ruleset/ruleset.ts';
import { unendableFlowtables } from './flowtables.ts';
import { type KeptShut, readKeptShut } from './kept-shut.ts';
import { gatherKnown, savedKnown } from './known-endpoints.ts';
import { type LiveTunnel, readLiveTunnels, staleTunnels } from './live-tunnels.ts';
import { type LockRecord, openPortalOf, readLockRecord } from './lock-record.ts';
import { settingsChanged } from './settings-in-force.ts';
import { readSshSessions } from './ssh-sessions.ts';
import { installedBackends, readWorld } from './world.ts';

/** What should be loaded now, from settings, profiles and live tunnels. */
export interface Intended {
  readonly policy: Policy;
  readonly ruleset: Ruleset;
  readonly live: readonly LiveTunnel[];
  readonly kept: KeptShut;
}

export function intend(host: Host, settings: Settings, known: Known = savedKnown(host) ?? gatherKnown(host, settings)): Intended {
  const live = readLiveTunnels(host);
  const base = baseOf(settings, known, readSshSessions(host));
  const kept = readKeptShut(host, live);
  const policy = decide(
    base,
    live.map(({ tunnel }) => tunnel),
    openPortalOf(host, readLockRecord(host)),
    kept.former,
  );
  return { policy, ruleset: compile(policy), live, kept };
}

/** The machine's state, read from the kernel a moment ago. */
export interface Report {
  /** `open`: somebody locked it, but no rule of ours is loaded. */
  readonly state: 'unlocked' | 'open' | Policy['state'];
  /** Whether the kernel holds exactly what it should. */
  readonly exact: boolean;
  readonly record: LockRecord | undefined;
  readonly choice: Choice;
  /** What of ours is in the kernel, in the backend of the choice. */
  readonly found: Survey;
  readonly intended: Intended;
  readonly stale: readonly LiveTunnel[];
  readonly differences: readonly Difference[];
  /** Whether the settings file says something else than what is in force. */
  readonly settingsChanged: boolean;
}

/** Reads the kernel; undefined where the backend does not work. */
export type Look = (backend: Backend) => Survey | undefined;

/** The backend to compare with: without a record that says so, whichever has rules of ours. */
function chosen(host: Host, settings: Settings, record: LockRecord | undefined, look: Look): Choice {
  const choice = choose(readWorld(host, settings.backend));
  if (record !== undefined || look(choice.backend)?.present === true) return choice;
  const loaded = installedBackends(host).find((backend) => look(backend)?.present === true);
  return loaded === undefined
    ? choice
    : { ...choice, backend: loaded, wall: loaded.name === 'iptables', trace: [`${loaded.name}: its rules are loaded`] };
}

/** `look` reads the kernel; it is given so that reading a report stays free of how rules are applied. */
export function readReport(host: Host, settings: Settings, look: Look): Report {
  const record = readLockRecord(host);
  const choice = chosen(host, settings, record, look);
  const intended = intend(host, settings, record?.locked === true ? undefined : gatherKnown(host, settings));
  const found = look(choice.backend) ?? { image: [], policies: [], present: false };
  const others = installedBackends(host).filter(({ name }) => name !== choice.backend.name);
  const left = others.filter((backend) => look(backend)?.present === true);
  const locked = record?.locked === true || found.present || left.length > 0;
  const what = 'rules of an earlier lock are still loaded here too';
  const differences = [
    ...(locked ? differencesOf(choice.backend.image(intended.ruleset), found.image) : []),
    ...left.map(({ name }) => ({ family: undefined, chain: name, id: undefined, what })),
    ...(locked ? unendableFlowtables(host) : []).map((name) => ({
      family: undefined,
      chain: `flowtable ${name}`,
      id: undefined,
      what: 'connections from before the lock may pass through it in clear, and conntrack is not installed to end them',
    })),
  ];
  // Chains that somebody flushed leave the policies behind: then nothing at all passes.
  const shut = found.policies.length > 0 && found.policies.every(({ policy }) => policy === 'DROP');
  const nothing = !found.present && left.length === 0 && !shut;
  return {
    state: !locked ? 'unlocked' : nothing ? 'open' : intended.policy.state,
    exact: differences.length === 0,
    record,
    choice,
    found,
    intended,
    stale: staleTunnels(host, intended.live),
    differences,
    settingsChanged: settingsChanged(host),
  };
}

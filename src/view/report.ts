import type { Backend, Survey } from '../backend/backend.ts';
import { type BackendChoice, chooseBackend } from '../backend/choose-backend.ts';
import { type Difference, differencesOf } from '../backend/image.ts';
import type { Host } from '../host/host.ts';
import { installedBackends, readBackendFacts } from '../machine/backend-facts.ts';
import { unendableFlowtables } from '../machine/flowtables.ts';
import type { Learner } from '../machine/learner.ts';
import type { Known, Policy } from '../policy/policy.ts';
import type { Settings } from '../policy/settings.ts';
import { gatherKnown } from '../record/gather-known.ts';
import { type LiveTunnel, staleTunnels } from '../record/live-tunnels.ts';
import type { LockRecord } from '../record/lock-record.ts';
import { savedKnown } from '../record/saved-known.ts';
import { settingsChanged } from '../record/settings-in-force.ts';
import type { Ruleset } from '../ruleset/ruleset.ts';
import { type Intended, intend } from '../transaction/intend.ts';
import type { Look, Unread } from '../transaction/look-or-say.ts';

/** The machine's state, just read from the kernel. */
export interface Report {
  /**
   * `open`: the machine was locked, but no rule of this product is loaded. `unknown`: the tool that
   * reads the rules fails.
   */
  readonly state: 'unlocked' | 'open' | 'unknown' | Policy['state'];
  /** Whether the kernel holds exactly the intended rules. */
  readonly exact: boolean;
  readonly record: LockRecord | undefined;
  readonly choice: BackendChoice;
  /** This product's rules in the kernel, in the backend of the choice. */
  readonly found: Survey;
  readonly intended: Intended;
  readonly stale: readonly LiveTunnel[];
  readonly differences: readonly Difference[];
  /** Why the rules could not be read, escaped; undefined when they were. */
  readonly unread: string | undefined;
  /** Whether the settings file differs from the settings in force. */
  readonly settingsChanged: boolean;
}

const NOTHING: Survey = { image: [], policies: [], present: false };

function isPresent(found: Survey | Unread): boolean {
  return 'present' in found && found.present;
}

/**
 * Tells why it is unknown whether rules are loaded; undefined where it is known. A backend that
 * does not work here holds none of this product's rules, unless the record names it, no other one
 * works, or its tool was stopped.
 */
function unreadWhy(
  record: LockRecord | undefined,
  own: Backend,
  backends: readonly Backend[],
  look: Look,
): string | undefined {
  const failed = backends.flatMap((backend) => {
    const found = look(backend);
    return 'why' in found ? [{ ...found, name: backend.name }] : [];
  });
  const counting = failed.filter(({ name, stopped }) => {
    if (record !== undefined && name === record.backend) return true;
    return record?.locked === true
      ? name === own.name
      : stopped || failed.length === backends.length;
  });
  return counting.length === 0 ? undefined : counting.map(({ why }) => why).join('; ');
}

/**
 * Chooses the backend to compare with: the record's, or without a record the one that holds this
 * product's rules.
 */
function chosen(
  host: Host,
  settings: Settings,
  record: LockRecord | undefined,
  look: Look,
): BackendChoice {
  const choice = chooseBackend(readBackendFacts(host, settings.backend, record));
  if (record !== undefined || isPresent(look(choice.backend))) return choice;
  const loaded = installedBackends(host).find((backend) => isPresent(look(backend)));
  return loaded === undefined
    ? choice
    : {
        ...choice,
        backend: loaded,
        wall: loaded.name === 'iptables',
        trace: [`${loaded.name}: its rules are loaded`],
      };
}

/** For readers that treat unreadable state as an error. */
const STRICT: Learner = { learn: (read) => read(), unknown: [] };

/** Stands for the servers where they cannot be read: none, and root's own packets. */
const NO_KNOWN: Known = { endpoints: [], uids: [0] };

/**
 * Lists the differences. Where the intended rules are unknown, one difference stands for all
 * others.
 */
function differencesFrom(
  backend: Backend,
  ruleset: Ruleset,
  found: Survey,
  unknown: readonly string[],
): readonly Difference[] {
  if (unknown.length === 0) return differencesOf(backend.image(ruleset), found.image);
  return [
    {
      family: undefined,
      chain: 'the rules',
      id: undefined,
      what: `cannot be compared: ${unknown.join('; ')}`,
    },
  ];
}

/**
 * Reads the report. `look` reads the kernel; it is a parameter so that reading a report stays free
 * of how rules are applied. `learner` goes on where state cannot be read, and has already reported
 * the settings. Without it unreadable state is an error.
 */
export function readReport(
  host: Host,
  settings: Settings,
  record: LockRecord | undefined,
  look: Look,
  { learn, unknown } = STRICT,
): Report {
  const choice = chosen(host, settings, record, look);
  const saved =
    record?.locked === true ? learn(() => savedKnown(host, record), undefined) : undefined;
  const intended = intend(
    host,
    settings,
    learn(() => saved ?? gatherKnown(host, settings, record), NO_KNOWN),
    record,
    { learn },
  );
  const looked = look(choice.backend);
  const found = 'why' in looked ? NOTHING : looked;
  const others = installedBackends(host).filter(({ name }) => name !== choice.backend.name);
  const left = others.filter((backend) => isPresent(look(backend)));
  const unread = found.present
    ? undefined
    : unreadWhy(record, choice.backend, [choice.backend, ...others], look);
  const locked = record?.locked === true || found.present || left.length > 0;
  const what = 'rules of an earlier lock are still loaded here too';
  const differences = [
    ...(locked && unread === undefined
      ? differencesFrom(choice.backend, intended.ruleset, found, unknown)
      : []),
    ...left.map(({ name }) => ({ family: undefined, chain: name, id: undefined, what })),
    ...(locked ? unendableFlowtables(host) : []).map((name) => ({
      family: undefined,
      chain: `flowtable ${name}`,
      id: undefined,
      what: 'connections from before the lock may pass through it in clear, and conntrack is not installed to end them',
    })),
  ];
  // Flushed chains leave their policies behind: then nothing at all passes.
  const shut = found.policies.length > 0 && found.policies.every(({ policy }) => policy === 'DROP');
  const nothing = !found.present && left.length === 0 && !shut;
  return {
    state:
      unread !== undefined
        ? 'unknown'
        : !locked
          ? 'unlocked'
          : nothing
            ? 'open'
            : intended.policy.state,
    exact: differences.length === 0 && unread === undefined,
    unread,
    record,
    choice,
    found,
    intended,
    stale: staleTunnels(host, intended.live),
    differences,
    settingsChanged: learn(() => settingsChanged(host, record), false),
  };
}

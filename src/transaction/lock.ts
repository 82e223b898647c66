import type { ChainPolicy } from '../backend/backend.ts';
import { type BackendChoice, chooseBackend } from '../backend/choose-backend.ts';
import { type IptablesKind, iptables } from '../backend/iptables.ts';
import { nftables } from '../backend/nftables.ts';
import { KillswitchError, orElse } from '../errors.ts';
import type { Command } from '../host/command.ts';
import type { Files } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import type { Processes } from '../host/processes.ts';
import {
  hasLegacyTables,
  installedBackends,
  readBackendFacts,
  readTools,
} from '../machine/backend-facts.ts';
import { forwardedCards } from '../machine/forwarded-cards.ts';
import { type KernelState, readKernelState } from '../machine/kernel-state.ts';
import { loadSettings } from '../machine/load-settings.ts';
import { guardedConnections } from '../machine/vpn-connections.ts';
import { FAMILIES, type Family } from '../net/address.ts';
import { printable } from '../net/printable.ts';
import type { Session } from '../net/session.ts';
import { type Base, baseOf } from '../policy/policy.ts';
import type { BackendName, Settings } from '../policy/settings.ts';
import { forgetBaseTexts, keepBaseTexts } from '../record/base-texts.ts';
import { forgetFormers } from '../record/former-tunnels.ts';
import { gaps } from '../record/gaps.ts';
import { type Ask, gatherKnown } from '../record/gather-known.ts';
import { pinHosts } from '../record/hosts-file.ts';
import type { KnownEndpoints } from '../record/known-endpoints.ts';
import { forgetLastTransaction } from '../record/last-transaction.ts';
import { type LiveTunnel, readLiveTunnels } from '../record/live-tunnels.ts';
import {
  CHAINS_MADE,
  type LockRecord,
  POLICIES_BEFORE,
  readLockRecord,
  readWrittenRecord,
  writeLockRecord,
} from '../record/lock-record.ts';
import { profilePaths } from '../record/profile-paths.ts';
import { forgetKnown, hostPins, saveKnown } from '../record/saved-known.ts';
import { forgetSettings, keepSettings } from '../record/settings-in-force.ts';
import { forgetSshSessions, keepSshSessions } from '../record/ssh-sessions.ts';
import { beginTrial, forgetTrial, keptFolder } from '../record/trial.ts';
import { connectionAnswers } from '../record/tunnel-names.ts';
import { look, removeRules } from './apply.ts';
import { askNow } from './ask-names.ts';
import { baseTexts } from './base-texts.ts';
import { type Converged, convergeHoldingLock } from './converge.ts';
import { type Ended, endOffloaded } from './end-offloaded.ts';
import { endingPortal, forgetPortal } from './end-portal.ts';
import { missingChains, removeMadeChains } from './made-chains.ts';
import { removeByNft } from './remove-by-nft.ts';
import { scheduleDue } from './schedule-due.ts';

/** Seconds that `lock` waits for DNS. */
export const LOCK_SECONDS = 8;

export interface LockOptions {
  /** Whether to resolve the names of VPN servers. Otherwise the pinned addresses serve. */
  readonly asks?: boolean;
  /**
   * Whether to refuse to lock an open machine without a known endpoint: its owner would be locked
   * out.
   */
  readonly needsEndpoint?: boolean;
  /** SSH sessions to keep open, in addition to the kept ones that are still open. */
  readonly sessions?: readonly Session[];
  /** Whether to forget the previously kept sessions. */
  readonly forgetsSessions?: boolean;
  /** Whether to forget tunnels that reconnect or have ended: only a person decides so. */
  readonly forgetsFormers?: boolean;
  /** The tunnel whose hook locks an open machine: its client must be able to reconnect. */
  readonly connected?: LiveTunnel | undefined;
  /**
   * Seconds until an unconfirmed lock reverts: an open machine opens again, a locked one restores
   * its previous lock.
   */
  readonly seconds?: number | undefined;
}

/** The result of `lock`. */
export interface Locked extends Converged {
  readonly base: Base;
  readonly known: KnownEndpoints;
  readonly choice: BackendChoice;
  /** Whether it is on trial: an earlier lock returns unless it is confirmed. */
  readonly onTrial: boolean;
  /** The fate of connections that passed no rule before. */
  readonly offloaded: Ended;
}

const DUMPS: readonly { readonly file: string; readonly command: Command }[] = [
  { file: 'iptables', command: { program: 'iptables-save', args: ['-c'] } },
  { file: 'ip6tables', command: { program: 'ip6tables-save', args: ['-c'] } },
  { file: 'nft', command: { program: 'nft', args: ['list', 'ruleset'] } },
];

/**
 * Saves every existing rule as a text for people. `unlock` itself needs only the chain policies.
 */
function saveDumps(host: Host): void {
  for (const { file, command } of DUMPS) {
    if (!host.has(command.program)) continue;
    const { status, stdout } = host.run(command);
    if (status === 0) host.write(`${PATHS.state}/before/${file}`, stdout, 0o600);
  }
}

/**
 * Returns the chain policies for `unlock` to restore: the record's while locked, else the present
 * ones, else Linux's defaults.
 */
function policiesBefore(
  record: LockRecord | undefined,
  present: boolean,
  policies: readonly ChainPolicy[],
): readonly ChainPolicy[] {
  if (record?.locked === true && record.before.length > 0) return record.before;
  return present ? policies.map((each) => ({ ...each, policy: 'ACCEPT' as const })) : policies;
}

/**
 * Returns the builtin chains that iptables creates for us: the record's while locked, else those
 * missing before its first rule. A lock without a second wall may gain one.
 */
function madeHere(
  processes: Processes,
  record: LockRecord | undefined,
  firstRules: boolean,
  wall: boolean,
): LockRecord['made'] {
  if (record?.locked !== true || record.made.length === 0)
    return firstRules ? missingChains(processes) : [];
  return wall && !record.wall
    ? [...record.made, ...missingChains(processes).filter(({ table }) => table === 'mangle')]
    : record.made;
}

/** Removes an earlier lock's rules from the other backend. */
function removeOther(host: Host, name: BackendName, before: readonly ChainPolicy[]): void {
  for (const other of installedBackends(host))
    if (other.name !== name)
      unlessUnused(undefined, other.name, () =>
        other.name === 'iptables'
          ? orByNft(host, '', before, () => removeRules(host, other, before))
          : removeRules(host, other, before),
      );
}

/**
 * Locks the machine, or brings a locked one to its settings. Reads profiles and settings again, and
 * saves the previous state before the first change. Loads the base and every live tunnel, and keeps
 * the base as text for the boot.
 */
export function lockMachine(host: Host, options: LockOptions = {}): Locked {
  // Asks DNS before it takes the lock: DNS may be slow, and hooks must not wait for it.
  const answers = options.asks === true ? askFirst(host) : undefined;
  return host.exclusively(() =>
    lockHoldingLock(host, { ...options, ...(answers && { ask: () => answers }) }),
  );
}

function askFirst(host: Host): ReturnType<Ask> {
  const settings = loadSettings(host);
  let answers: ReturnType<Ask> = new Map();
  gatherKnown(host, settings, readLockRecord(host), (names) => {
    answers = askNow(host, settings, LOCK_SECONDS)(names);
    return answers;
  });
  return answers;
}

/** Refuses a pattern that matches the uplink: it would let the whole LAN into the tunnel. */
function refuseCards(host: Host, settings: Settings): void {
  const tunnels = readLiveTunnels(host).map(({ tunnel }) => tunnel.device);
  const cards = forwardedCards(host, settings, tunnels);
  if (cards.length === 0) return;
  throw new KillswitchError(
    'SETTINGS',
    `a pattern in KILLSWITCH_FORWARD matches more than guests`,
    `Make it longer in ${PATHS.settings}, or name the interfaces one by one, then run "ovpn-killswitch lock".`,
    cards.map(
      ({ pattern, device, what }) => `${pattern} matches ${printable(device)}, which is ${what}`,
    ),
  );
}

/** Refuses with NO_ENDPOINT unless a live tunnel has one: its owner would be locked out. */
function refuseWithoutEndpoint(host: Host, settings: Settings, known: KnownEndpoints): void {
  if (readLiveTunnels(host).some(({ tunnel }) => tunnel.endpoints.length > 0)) return;
  const profiles = [
    ...profilePaths(host, settings),
    ...guardedConnections(host).map(({ name }) => printable(name)),
  ];
  throw new KillswitchError(
    'NO_ENDPOINT',
    'no profile names a VPN server that can be found, so nothing could connect once this machine is locked',
    'Run "ovpn-killswitch attach FILE" for your profile. Without a profile, name the server in KILLSWITCH_ENDPOINTS.',
    [
      profiles.length > 0
        ? `read: ${profiles.slice(0, 5).join(', ')}`
        : `there is no profile at ${settings.profiles.join(', ')}`,
      ...gaps(known),
    ],
  );
}

/**
 * Refuses a trial with another packet filter or second wall. Its revert must not need a switch,
 * since no person is there when that fails.
 */
function refuseOtherBackend(record: LockRecord, { backend: { name }, wall }: BackendChoice): void {
  const text = (backend: BackendName, second: boolean) =>
    `${backend}${backend === 'iptables' ? ` ${second ? 'with' : 'without'} a second wall` : ''}`;
  if (record.backend === name && record.wall === wall) return;
  throw new KillswitchError(
    'USAGE',
    `this machine is locked with ${text(record.backend, record.wall)}, and a new lock would use ${text(name, wall)}: --confirm cannot revert that`,
    `Set KILLSWITCH_BACKEND=${record.backend}, or lock without --confirm.`,
  );
}

/** Locks the machine. The caller holds the lock already. */
export function lockHoldingLock(
  host: Host,
  {
    ask,
    connected,
    needsEndpoint = false,
    seconds,
    sessions = [],
    forgetsSessions = false,
    forgetsFormers = false,
  }: LockOptions & { readonly ask?: Ask },
): Locked {
  const settings = loadSettings(host);
  refuseCards(host, settings);
  const record = readLockRecord(host);
  const choice = chooseBackend(readBackendFacts(host, settings.backend, 'anew'));
  const { backend } = choice;
  const onTrial = seconds !== undefined && record?.locked === true && record.term?.kind !== 'timed';
  if (onTrial) refuseOtherBackend(record, choice);
  const client = connected && {
    asks: () => connectionAnswers(host, settings, connected),
    endpoints: connected.tunnel.endpoints,
  };
  const known = gatherKnown(host, settings, record, ask ?? client?.asks, client?.endpoints);
  const endpoints = baseOf(settings, known).endpoints;
  if (needsEndpoint && record?.locked !== true && endpoints.length === 0)
    refuseWithoutEndpoint(host, settings, known);
  const portal = endingPortal(host);
  const found = look(host, backend);
  const before = policiesBefore(record, found.present, found.policies);
  if (record?.locked !== true && !found.present) saveDumps(host);
  const made = madeHere(host, record, backend.name === 'iptables' && !found.present, choice.wall);
  if (onTrial && record.term === undefined) beginTrial(host);
  if (forgetsSessions) forgetSshSessions(host);
  const base = baseOf(settings, known, keepSshSessions(host, sessions));
  // Starts the timer before the first change, so that the lock reverts even if this process dies.
  const ends = seconds === undefined ? undefined : scheduleDue(host, seconds);
  // Recorded before the first change, so that after a crash `unlock` and `recover` still know the
  // previous state.
  const now: LockRecord = {
    locked: true,
    since: record?.locked === true ? record.since : host.now(),
    backend: backend.name,
    wall: choice.wall,
    ...(backend.name === 'iptables' && choice.frames && { frames: true as const }),
    before,
    made,
    ...(ends && { term: { kind: onTrial ? 'trial' : 'timed', ends } }),
    // The portal stays recorded until its rules are gone, even after a failure in between.
    ...(record?.portal && { portal: record.portal }),
  };
  writeLockRecord(host, now);
  const folder = keptFolder(now);
  pinHosts(host, hostPins(host, now, known));
  saveKnown(host, known, folder);
  keepBaseTexts(host, baseTexts(host, backend, base), folder);
  keepSettings(host, folder);
  if (!onTrial) forgetTrial(host);
  if (forgetsFormers) forgetFormers(host);
  const converged = convergeHoldingLock(host, backend, base);
  const offloaded = endOffloaded(host);
  forgetPortal(host, portal);
  removeOther(host, backend.name, before);
  return { ...converged, base, known, choice, onTrial, offloaded };
}

/**
 * Returns the kinds of iptables that may hold our rules: the machine's own, and both others where
 * its owner has switched between them.
 */
function iptablesKinds(host: Host): readonly IptablesKind[] {
  const legacy = hasLegacyTables(host);
  const installed = (kind: IptablesKind) =>
    ['iptables', 'ip6tables'].every(
      (each) => host.has(`${each}${kind}-save`) && host.has(`${each}${kind}-restore`),
    );
  return [
    '',
    ...(['-nft', '-legacy'] as const).filter(
      (kind) => installed(kind) && (kind !== '-legacy' || legacy),
    ),
  ];
}

/**
 * Runs a removal, and ignores a backend that does not work: it holds no rule of ours. Only the
 * backend that locked this machine must work.
 */
function unlessUnused<Result>(
  record: LockRecord | undefined,
  name: BackendName,
  work: () => Result,
): Result | 'unchanged' {
  if (record?.backend === name) return work();
  return orElse(work, () => 'unchanged', 'COMMAND');
}

/**
 * Removes rules by iptables, or by nft where iptables-nft cannot read them. One native rule of
 * another program in its tables is enough for that.
 */
function orByNft(
  processes: Processes,
  kind: IptablesKind,
  recorded: readonly ChainPolicy[] | undefined,
  remove: () => 'unchanged' | 'removed',
): 'unchanged' | 'removed' {
  try {
    return remove();
  } catch (thrown) {
    if (!(thrown instanceof KillswitchError) || thrown.code !== 'COMMAND' || !processes.has('nft'))
      throw thrown;
    const version = processes.run({ program: `iptables${kind}-save`, args: ['--version'] });
    if (!version.stdout.includes('nf_tables')) throw thrown;
    return removeByNft(processes, recorded);
  }
}

/**
 * Without a record of the previous policies, sets Linux's defaults, but only where our rules are.
 */
function removeIptables(
  host: Host,
  families: readonly Family[],
  kind: IptablesKind,
  record: LockRecord | undefined,
): 'unchanged' | 'removed' {
  const backend = iptables(families, kind);
  const recorded = record?.locked === true && record.before.length > 0 ? record.before : undefined;
  return orByNft(host, kind, recorded, () => {
    const { present, policies } = look(host, backend);
    // In a kind that is not the machine's own now, only places with our rules were ever changed.
    const known = kind === '' || present ? recorded : undefined;
    return removeRules(
      host,
      backend,
      known ?? (present ? policies.map((each) => ({ ...each, policy: 'ACCEPT' as const })) : []),
    );
  });
}

/**
 * Returns the record of the loaded rules: also that of an expired timed lock, and of a timed unlock
 * that a boot has ended.
 */
function loadedRecord(files: Files): LockRecord | undefined {
  const written = readWrittenRecord(files);
  return written?.locked === true ? written : readLockRecord(files);
}

/** The result of `unlock`. */
export interface Unlocked {
  /** Whether any of this product's rules were there. */
  readonly removed: boolean;
  /** The kernel's rules afterwards: none of ours, or unreadable. */
  readonly now: KernelState;
}

/**
 * Throws when rules of ours are left. A failing backend was taken for an empty one, and another
 * tool may show the opposite.
 */
function refuseLeftRules(now: KernelState): void {
  if (now.ours.length === 0) return;
  throw new KillswitchError(
    'VERIFY',
    'rules are still there',
    `Run the plain script: ${PATHS.library}/recover`,
    now.ours.map((place) => `left in: ${place}`),
  );
}

/**
 * Opens the machine: restores the builtin chains' policies, removes everything of ours, and touches
 * nothing else. Live tunnels stay known, so that a later `lock` includes them. After `seconds`, if
 * given, it locks again, and the files for that stay, for the boot as well.
 * @throws KillswitchError when something of ours could not be removed; the machine then stays
 * locked.
 */
export function unlockMachine(host: Host, seconds?: number): Unlocked {
  return host.exclusively(() => unlockHoldingLock(host, seconds));
}

/** Opens the machine. The caller holds the lock already. */
export function unlockHoldingLock(host: Host, seconds?: number): Unlocked {
  const tools = readTools(host);
  if (!tools.has.nft && !tools.has.iptables)
    throw new KillswitchError(
      'NO_BACKEND',
      'neither nft nor iptables is installed',
      'Install the one that was used to lock: apt install iptables nftables',
    );
  const record = loadedRecord(host);
  const portal = endingPortal(host);
  // Starts the timer first, so that the machine locks again even if this process dies.
  const ends = seconds === undefined ? undefined : scheduleDue(host, seconds);
  forgetLastTransaction(host);
  const families = tools.ipv6 && tools.has.ip6tables ? FAMILIES : (['ipv4'] as const);
  const results = [
    ...(tools.has.iptables
      ? iptablesKinds(host).map((kind) =>
          unlessUnused(record, 'iptables', () => removeIptables(host, families, kind, record)),
        )
      : []),
    ...(tools.has.nft
      ? [unlessUnused(record, 'nftables', () => removeRules(host, nftables, []))]
      : []),
  ];
  removeMadeChains(host, record?.locked === true ? record.made : []);
  const now = readKernelState(host);
  refuseLeftRules(now);
  const lasts = record?.locked === false && record.term === undefined && ends === undefined;
  writeLockRecord(host, {
    locked: false,
    since: lasts ? record.since : host.now(),
    backend: record?.backend ?? (tools.has.iptables ? 'iptables' : 'nftables'),
    wall: ends !== undefined && record?.wall === true,
    ...(ends !== undefined && record?.frames && { frames: record.frames }),
    before: ends === undefined ? [] : (record?.before ?? []),
    made: ends === undefined ? [] : (record?.made ?? []),
    ...(ends && { term: { kind: 'timed', ends } }),
  });
  forgetPortal(host, portal);
  forgetTrial(host);
  forgetSshSessions(host);
  if (ends !== undefined) return { removed: results.includes('removed'), now };
  for (const path of [`${PATHS.state}/before`, POLICIES_BEFORE, CHAINS_MADE]) host.remove(path);
  forgetBaseTexts(host);
  forgetKnown(host);
  forgetSettings(host);
  pinHosts(host, []);
  return { removed: results.includes('removed'), now };
}

import type { ChainPolicy, Command } from '../backend/backend.ts';
import { type Choice, choose } from '../backend/choose.ts';
import { iptables } from '../backend/iptables.ts';
import { nftables } from '../backend/nftables.ts';
import { KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { forgetKnown, gatherKnown, saveKnown } from '../machine/known-endpoints.ts';
import { type LockRecord, readLockRecord, writeLockRecord } from '../machine/lock-record.ts';
import { readWorld } from '../machine/world.ts';
import { FAMILIES, type Family } from '../net/address.ts';
import { type Base, baseOf, decide } from '../policy/policy.ts';
import type { BackendName, Settings } from '../policy/settings.ts';
import { compile } from '../ruleset/compile.ts';
import { look, removeRules } from './apply.ts';
import { type Converged, convergeAlone } from './converge.ts';
import { missingChains, removeMadeChains } from './made-chains.ts';

/** What `lock` did. */
export interface Locked extends Converged {
  readonly base: Base;
  readonly choice: Choice;
}

const DUMPS: readonly { readonly file: string; readonly command: Command }[] = [
  { file: 'iptables', command: { program: 'iptables-save', args: ['-c'] } },
  { file: 'ip6tables', command: { program: 'ip6tables-save', args: ['-c'] } },
  { file: 'nft', command: { program: 'nft', args: ['list', 'ruleset'] } },
];

const BOOT_FILES = ['base.nft', 'base.v4', 'base.v6'];

/** Keeps a copy of every rule that was there, for people: `unlock` itself needs only the chain policies. */
function saveDumps(host: Host): void {
  for (const { file, command } of DUMPS) {
    if (!host.has(command.program)) continue;
    const { status, stdout } = host.run(command);
    if (status === 0) host.write(`${PATHS.state}/before/${file}`, stdout, 0o600);
  }
}

/** The chain policies `unlock` must give back: those of the record while locked, else those of now, else what Linux starts with. */
function policiesBefore(record: LockRecord | undefined, present: boolean, policies: readonly ChainPolicy[]): readonly ChainPolicy[] {
  if (record?.locked === true && record.before.length > 0) return record.before;
  return present ? policies.map((each) => ({ ...each, policy: 'ACCEPT' as const })) : policies;
}

/** The builtin chains that iptables makes for us: those of the record while locked, else those that are missing before its first rule. */
function madeHere(host: Host, record: LockRecord | undefined, firstRules: boolean): LockRecord['made'] {
  if (record?.locked === true && record.made.length > 0) return record.made;
  return firstRules ? missingChains(host) : [];
}

/** The other backend, when something of ours is there from an earlier lock. */
function removeOther(host: Host, name: BackendName, before: readonly ChainPolicy[]): void {
  const has = readWorld(host, 'auto').has;
  if (name === 'iptables' && has.nft) removeRules(host, nftables, []);
  if (name === 'nftables' && has.iptables)
    removeRules(host, iptables(host.exists(PATHS.ipv6) && has.ip6tables ? FAMILIES : ['ipv4']), before);
}

/**
 * Locks the machine, or brings a locked one to its settings: reads profiles and settings anew, saves what was there before the first change,
 * loads the base and every live tunnel, and keeps the base as text for the boot.
 */
export function lockMachine(host: Host, settings: Settings): Locked {
  return host.exclusively(() => lockAlone(host, settings));
}

function lockAlone(host: Host, settings: Settings): Locked {
  const record = readLockRecord(host);
  const choice = choose(readWorld(host, settings.backend, true));
  const { backend } = choice;
  const known = gatherKnown(host, settings);
  const base = baseOf(settings, known);
  const found = look(host, backend);
  const before = policiesBefore(record, found.present, found.policies);
  if (record?.locked !== true && !found.present) saveDumps(host);
  const made = madeHere(host, record, backend.name === 'iptables' && !found.present);
  // Recorded before the first change: if we die in between, `unlock` and `recover` still know what was there.
  writeLockRecord(host, { locked: true, since: record?.locked === true ? record.since : host.now(), backend: backend.name, before, made });
  saveKnown(host, known);
  const texts = backend.bootText(compile(decide(base, [])));
  for (const [file, text] of Object.entries(texts)) host.write(`${PATHS.state}/${file}`, text, 0o600);
  for (const file of BOOT_FILES) if (!(file in texts)) host.remove(`${PATHS.state}/${file}`);
  const converged = convergeAlone(host, backend, base);
  removeOther(host, backend.name, before);
  return { ...converged, base, choice };
}

/** Without a record of what was there, the policies become what Linux starts with, but only where we are. */
function removeIptables(host: Host, families: readonly Family[], record: LockRecord | undefined): 'unchanged' | 'removed' {
  const backend = iptables(families);
  const { present, policies } = look(host, backend);
  const known = record?.locked === true && record.before.length > 0;
  return removeRules(
    host,
    backend,
    known ? record.before : present ? policies.map((each) => ({ ...each, policy: 'ACCEPT' as const })) : [],
  );
}

/**
 * Opens the machine: the builtin chains' policies are what they were, everything of ours is gone, nothing else is touched. Live tunnels stay
 * known, so that a later `lock` takes them in.
 * @throws KillswitchError when something of ours could not be removed; the machine then stays locked.
 */
export function unlockMachine(host: Host): { readonly removed: boolean } {
  const record = readLockRecord(host);
  const world = readWorld(host, 'auto');
  if (!world.has.nft && !world.has.iptables)
    throw new KillswitchError(
      'NO_BACKEND',
      'neither nft nor iptables is installed',
      'Install the one that was used to lock: apt install iptables nftables',
    );
  return host.exclusively(() => {
    const families = world.ipv6 && world.has.ip6tables ? FAMILIES : (['ipv4'] as const);
    const results = [
      ...(world.has.iptables ? [removeIptables(host, families, record)] : []),
      ...(world.has.nft ? [removeRules(host, nftables, [])] : []),
    ];
    removeMadeChains(host, record?.locked === true ? record.made : []);
    writeLockRecord(host, {
      locked: false,
      since: host.now(),
      backend: record?.backend ?? (world.has.iptables ? 'iptables' : 'nftables'),
      before: [],
      made: [],
    });
    for (const file of [...BOOT_FILES, 'before', 'before.policies']) host.remove(`${PATHS.state}/${file}`);
    forgetKnown(host);
    return { removed: results.includes('removed') };
  });
}

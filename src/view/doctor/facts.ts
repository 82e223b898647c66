import { X509Certificate } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import { TABLE } from '../../backend/nftables-survey.ts';
import { type BootReport, readBoot } from '../../boot/boot-report.ts';
import { chooseStrategies as chooseResolver } from '../../dns/choose-strategies.ts';
import { type ResolverState, readResolvers } from '../../dns/follow-resolvers.ts';
import { readResolverFacts } from '../../dns/resolver-facts.ts';
import { KillswitchError } from '../../errors.ts';
import type { Command } from '../../host/command.ts';
import type { Files, Owned } from '../../host/files.ts';
import type { Host } from '../../host/host.ts';
import { PATHS } from '../../host/paths.ts';
import type { Processes } from '../../host/processes.ts';
import { hasLegacyTables } from '../../machine/backend-facts.ts';
import { showsFrames } from '../../machine/bridged-frames.ts';
import { unendableFlowtables } from '../../machine/flowtables.ts';
import { type ForwardedCard, forwardedCards } from '../../machine/forwarded-cards.ts';
import { field, type Json, parseJson } from '../../machine/json.ts';
import { loadSettings } from '../../machine/load-settings.ts';
import { readAnybodys } from '../../machine/read-anybodys.ts';
import { printable } from '../../net/printable.ts';
import type { BackendName, Settings } from '../../policy/settings.ts';
import { readLiveTunnels } from '../../record/live-tunnels.ts';
import { readLockRecord } from '../../record/lock-record.ts';
import { ownerlessDevices } from '../../record/offloaded.ts';
import { addressCounts } from '../../record/pins.ts';
import { profilePaths } from '../../record/profile-paths.ts';
import { savedPins } from '../../record/saved-known.ts';
import { settingsInForce } from '../../record/settings-in-force.ts';
import { lookOrSay } from '../../transaction/look-or-say.ts';
import { readProfile } from '../../tunnel/profile.ts';
import { readProfileFacts } from '../../tunnel/profile-facts.ts';
import { options } from '../../tunnel/profile-options.ts';
import { readWatch, type WatchReport } from '../../watch/watch-report.ts';
import { type Neighbour, readNeighbours } from '../neighbours.ts';
import { type ShutLogin, shutLogin } from '../next-login.ts';
import { type Report, readReport } from '../report.ts';
import { type OpenvpnUnit, readOpenvpnUnits } from './openvpn-units.ts';
import { type Reroute, readReroutes, readUnreadable } from './reroutes.ts';
import { readTakenAddresses, type TakenAddress } from './taken-addresses.ts';

/** A file or folder that root runs or believes. */
export interface Guarded extends Owned {
  readonly path: string;
}

/** A certificate that a profile names, and its start of validity, in seconds since 1970. */
export interface Certificate {
  readonly profile: string;
  readonly from: number;
}

/** All that the checks may look at. A part that could not be read is the error that says why. */
export interface DoctorFacts {
  /** Seconds since 1970. */
  readonly now: number;
  readonly guarded: readonly Guarded[];
  /** The interpreter in the first line of the installed hooks; undefined without hooks. */
  readonly interpreter: { readonly path: string; readonly isThere: boolean } | undefined;
  /** The mistake in the settings file: with one `up` fails, whatever is in force. */
  readonly settingsError: KillswitchError | undefined;
  readonly report: Report | KillswitchError;
  /** The kernel's refusal when it only checked the rules; undefined when it would accept them. */
  readonly refusal: string | undefined;
  /**
   * Whether the modules of the running kernel are installed: after an update they may be gone until
   * the next boot.
   */
  readonly hasModules: boolean;
  readonly hasFlock: boolean;
  readonly hasIpv6: boolean;
  readonly hasIp6tables: boolean;
  /** Whether each of the two kinds of iptables holds rules. */
  readonly iptables: { readonly legacy: boolean; readonly nft: boolean };
  readonly neighbours: readonly Neighbour[];
  /**
   * Chains of other programs that drop a leaving packet unless one of their rules accepts it: table
   * and chain, as nft names them.
   */
  readonly otherDrops: readonly string[];
  /** The Node that runs, and this program's file. */
  readonly program: readonly [node: string, file: string];
  /** Rules that reroute packets of this machine. */
  readonly reroutes: readonly Reroute[];
  /** Cards that a pattern of `KILLSWITCH_FORWARD` covers by accident. */
  readonly forwardedCards: readonly ForwardedCard[];
  /** Tools of iptables that cannot read their own tables, and why. */
  readonly unreadable: readonly string[];
  /**
   * Flowtables of other programs whose connections `lock` could not end: family, table and name.
   */
  readonly flowtables: readonly string[];
  /** Whether the kernel shows the frames of a bridge to IP rules now. */
  readonly showsFrames: boolean;
  /** Devices of data channel offload whose OpenVPN is gone. */
  readonly leftDevices: readonly string[];
  /** Addresses of interfaces that a former tunnel had too. */
  readonly takenAddresses: readonly TakenAddress[];
  readonly profiles: readonly { readonly path: string; readonly text: string }[];
  /** Profiles that could not be read, and why. */
  readonly unreadProfiles: readonly { readonly path: string; readonly error: KillswitchError }[];
  readonly certificates: readonly Certificate[];
  readonly units: readonly OpenvpnUnit[];
  /**
   * Lines of the kernel's and the audit daemon's log about what SELinux or AppArmor denied OpenVPN
   * or this product's script.
   */
  readonly denials: readonly string[];
  readonly resolvers: ResolverState | KillswitchError;
  /** How many addresses are known for each name of a server. */
  readonly addresses: ReadonlyMap<string, number>;
  /** Undefined where a new SSH login can reach a locked machine, or no sshd listens. */
  readonly shutLogin: ShutLogin | undefined;
  readonly boot: BootReport;
  readonly watch: WatchReport;
}

function orError<Result>(work: () => Result): Result | KillswitchError {
  try {
    return work();
  } catch (thrown) {
    if (thrown instanceof KillswitchError) return thrown;
    throw thrown;
  }
}

function orNothing<Result>(work: () => Result): Result | undefined {
  const result = orError(work);
  return result instanceof KillswitchError ? undefined : result;
}

function readAnybodysOrNothing(files: Files, path: string): string | undefined {
  return path.startsWith('/proc/')
    ? orNothing(() => files.read(path))
    : orNothing(() => readAnybodys(files, path));
}

/** Lists a folder with all that is in it. */
function treeOf(files: Files, folder: string): readonly string[] {
  const below = files.list(folder).flatMap((name) => {
    const path = `${folder}/${name}`;
    return files.owner(path)?.kind === 'folder' ? treeOf(files, path) : [path];
  });
  return [folder, ...below];
}

/** Reads this product's files, the files that root reads, and every folder above them. */
function readGuarded(files: Files, interpreter: string | undefined): readonly Guarded[] {
  const guarded = [
    ...[PATHS.library, PATHS.state, PATHS.runtime].flatMap((folder) => treeOf(files, folder)),
    PATHS.command,
    PATHS.settings,
    PATHS.dispatcher,
    ...(interpreter === undefined ? [] : [interpreter]),
  ];
  const paths = new Set(
    guarded.flatMap((file) => {
      const all = [file];
      for (let at = file; at !== '/'; at = dirname(at)) all.push(dirname(at));
      return all;
    }),
  );
  return [...paths].sort().flatMap((path) => {
    const owned = files.owner(path);
    return owned === undefined ? [] : [{ path, ...owned }];
  });
}

/** Reads the interpreter in the first line of a hook: the last absolute path there. */
function readInterpreter(files: Files): DoctorFacts['interpreter'] {
  const [line = ''] = readAnybodys(files, `${PATHS.library}/hooks/up`).split('\n');
  const path = line
    .replace(/^#!/, '')
    .split(' ')
    .findLast((word) => word.startsWith('/'));
  return path === undefined ? undefined : { path, isThere: files.exists(path) };
}

/** Makes the tools check the intended rules; loads nothing. */
function readRefusal(processes: Processes, report: Report | KillswitchError): string | undefined {
  if (report instanceof KillswitchError) return undefined;
  const { choice, intended, found } = report;
  for (const command of choice.backend.replace(intended.ruleset, found).check) {
    const { status, stderr } = processes.run(command);
    if (status !== 0) return `${command.program}: ${printable(stderr.trim().split('\n')[0] ?? '')}`;
  }
  return undefined;
}

function holdsRules(processes: Processes, kind: 'nft' | 'legacy'): boolean {
  return (['iptables', 'ip6tables'] as const).some((tool) => {
    const command: Command = { program: `${tool}-${kind}-save`, args: ['-t', 'filter'] };
    if (!processes.has(command.program)) return false;
    return /^(-A |:(INPUT|FORWARD|OUTPUT) DROP)/m.test(processes.run(command).stdout);
  });
}

function readIptables(host: Host): DoctorFacts['iptables'] {
  return {
    legacy: hasLegacyTables(host) && holdsRules(host, 'legacy'),
    nft: holdsRules(host, 'nft'),
  };
}

/**
 * Reads chains that drop leaving packets. A second kill switch may be any program, or rules written
 * by hand: all have such a chain.
 */
function readOtherDrops(processes: Processes, backend: BackendName): DoctorFacts['otherDrops'] {
  if (!processes.has('nft')) return [];
  const list = field(
    parseJson(processes.run({ program: 'nft', args: ['-j', 'list', 'chains'] }).stdout),
    'nftables',
  );
  if (!Array.isArray(list)) return [];
  return list.flatMap((each: Json) => {
    const chain = field(each, 'chain');
    const [family, table, name] = ['family', 'table', 'name'].map((key) =>
      printable(String(field(chain, key))),
    );
    // With iptables the policy of its table is this product's too.
    if (table === TABLE || (backend === 'iptables' && table === 'filter' && name === 'OUTPUT'))
      return [];
    return field(chain, 'hook') === 'output' && field(chain, 'policy') === 'drop'
      ? [`${family} ${table} ${name}`]
      : [];
  });
}

/** Reads the state of the resolvers, and whether the next tunnel's can be set. */
function readResolverState(
  host: Host,
  settings: Settings | KillswitchError,
): DoctorFacts['resolvers'] {
  if (settings instanceof KillswitchError) return settings;
  return orError(() => {
    chooseResolver(readResolverFacts(host, settings.resolver));
    return readResolvers(host, true);
  });
}

/** Tells whether the modules exist. A container has none, and needs none. */
function readHasModules(files: Files): boolean {
  const release = (files.read('/proc/sys/kernel/osrelease') ?? '').trim();
  return !files.exists('/lib/modules') || files.exists(`/lib/modules/${release}`);
}

function readCertificates(files: Files, path: string, text: string): readonly Certificate[] {
  const inline = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  const named = [...options(text)].flatMap(([option, file]) =>
    (option === 'ca' || option === 'cert') && file !== undefined && file !== '[inline]'
      ? [orNothing(() => files.read(resolve(dirname(path), file)))]
      : [],
  );
  return [...inline, ...named].flatMap((pem) => {
    const from = pem === undefined ? Number.NaN : startOf(pem);
    return Number.isNaN(from) ? [] : [{ profile: path, from }];
  });
}

function startOf(pem: string): number {
  try {
    return Date.parse(new X509Certificate(pem).validFrom) / 1000;
  } catch {
    return Number.NaN;
  }
}

const DENIED = /avc:\s+denied|apparmor="DENIED"/;
/**
 * OpenVPN, the programs it starts, and NetworkManager's dispatcher, which starts this product's
 * script.
 */
const CONCERNS_US = /openvpn|ovpn-killswi|NetworkManager_dispatcher/i;
/** The last megabyte: an old denial may have been fixed since. */
const LOG_END: Command = { program: 'tail', args: ['-c', '1000000', '/var/log/audit/audit.log'] };

function readDenials(host: Host): readonly string[] {
  const texts = [
    host.run({ program: 'dmesg', args: [] }),
    ...(host.exists('/var/log/audit/audit.log') ? [host.run(LOG_END)] : []),
  ];
  return texts.flatMap(({ stdout }) =>
    stdout
      .split('\n')
      .filter((line) => DENIED.test(line) && CONCERNS_US.test(line))
      .map(printable),
  );
}

/** Counts the addresses of names; returns none where they cannot be read. */
function readAddresses(files: Files): DoctorFacts['addresses'] {
  const pins = orError(() => savedPins(files, readLockRecord(files)));
  return pins instanceof KillswitchError ? new Map() : addressCounts(pins);
}

/**
 * Tells whether OpenVPN would connect with it: a server's configuration in the same folder need not
 * be attached.
 */
function isClients(text: string): boolean {
  return readProfile(text).remotes.length > 0 || readProfileFacts(text).pulls;
}

/** Reads this machine. Changes nothing, and loads nothing. */
export function readDoctorFacts(host: Host, program: DoctorFacts['program']): DoctorFacts {
  const file = orError(() => loadSettings(host));
  const record = orError(() => readLockRecord(host));
  const settings =
    record instanceof KillswitchError ? record : orError(() => settingsInForce(host, record));
  const report =
    record instanceof KillswitchError
      ? record
      : settings instanceof KillswitchError
        ? settings
        : orError(() => readReport(host, settings, record, lookOrSay(host)));
  const paths = settings instanceof KillswitchError ? [] : profilePaths(host, settings);
  const texts = paths.map((path) => ({ path, text: orError(() => host.read(path)) }));
  const profiles = texts.flatMap(({ path, text }) =>
    typeof text === 'string' && isClients(text) ? [{ path, text }] : [],
  );
  const unreadProfiles = texts.flatMap(({ path, text }) =>
    text instanceof KillswitchError ? [{ path, error: text }] : [],
  );
  const interpreter = readInterpreter(host);
  // Only to show: another check reports a folder with wrong permissions, which must not hide the
  // rest.
  const looking: Host = {
    ...host,
    read: (path) => (host.exists(path) ? readAnybodysOrNothing(host, path) : undefined),
  };
  const backend = report instanceof KillswitchError ? 'iptables' : report.choice.backend.name;
  return {
    now: host.now(),
    guarded: readGuarded(host, interpreter?.path),
    interpreter,
    settingsError: file instanceof KillswitchError ? file : undefined,
    report,
    refusal: readRefusal(host, report),
    hasModules: readHasModules(host),
    hasFlock: host.has('flock'),
    hasIpv6: host.exists(PATHS.ipv6),
    hasIp6tables: host.has('ip6tables-restore'),
    iptables: readIptables(host),
    neighbours: readNeighbours(host, backend),
    otherDrops: readOtherDrops(host, backend),
    program,
    reroutes: readReroutes(host),
    forwardedCards:
      settings instanceof KillswitchError
        ? []
        : forwardedCards(
            host,
            settings,
            readLiveTunnels(host).map(({ tunnel }) => tunnel.device),
          ),
    unreadable: readUnreadable(host),
    flowtables: unendableFlowtables(host),
    showsFrames: showsFrames(host),
    leftDevices: ownerlessDevices(host),
    takenAddresses: readTakenAddresses(host, report),
    profiles,
    unreadProfiles,
    certificates: profiles.flatMap(({ path, text }) => readCertificates(host, path, text)),
    addresses: readAddresses(host),
    units: readOpenvpnUnits(host),
    denials: readDenials(host),
    resolvers: readResolverState(host, settings),
    shutLogin:
      settings instanceof KillswitchError ? undefined : orNothing(() => shutLogin(host, settings)),
    boot: readBoot(looking),
    watch: readWatch(looking),
  };
}

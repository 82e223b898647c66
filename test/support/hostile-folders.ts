/**
 * A program of its own, run as root in a sandbox: makes arrangements of links, FIFOs, devices and
 * wrong owners on the way to each path that the product opens as root, while a user swaps entries
 * there, and calls the product. Its arguments: how many, and the path of the swapper. Writes what
 * it came to as JSON.
 */
import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname } from 'node:path';
import { readBootMachine } from '../../src/boot/boot-facts.ts';
import { carryOut } from '../../src/boot/enable.ts';
import { besideNftables } from '../../src/boot/nftables-service.ts';
import { sysconfig } from '../../src/boot/sysconfig.ts';
import { planCopies, writeCopies } from '../../src/cli/copy-profiles.ts';
import { planProfiles, writeProfiles } from '../../src/cli/rewrite-profiles.ts';
import { readBefore } from '../../src/dns/resolv-conf-before.ts';
import { giveBack, resolvConfFile } from '../../src/dns/resolv-conf-file.ts';
import { readResolverFacts } from '../../src/dns/resolver-facts.ts';
import { KillswitchError } from '../../src/errors.ts';
import type { Host } from '../../src/host/host.ts';
import { linuxHost } from '../../src/host/linux.ts';
import { openLockDoor } from '../../src/host/lock-door.ts';
import { PATHS } from '../../src/host/paths.ts';
import { vpnConnections } from '../../src/machine/vpn-connections.ts';
import { defaultSettings } from '../../src/policy/settings.ts';
import { readBaseTexts } from '../../src/record/base-texts.ts';
import { readFormerRecords } from '../../src/record/former-tunnels.ts';
import { gatherKnown } from '../../src/record/gather-known.ts';
import { pinHosts } from '../../src/record/hosts-file.ts';
import { readLastTransaction } from '../../src/record/last-transaction.ts';
import { readLiveTunnels } from '../../src/record/live-tunnels.ts';
import { readLockRecord, writeLockRecord } from '../../src/record/lock-record.ts';
import { readRemembered } from '../../src/record/remembered-networks.ts';
import { savedKnown } from '../../src/record/saved-known.ts';
import { settingsInForce } from '../../src/record/settings-in-force.ts';
import { readSshSessions } from '../../src/record/ssh-sessions.ts';
import { forgetTrial } from '../../src/record/trial.ts';
import { attach, detach } from '../../src/tunnel/attachment.ts';
import { readWatch } from '../../src/watch/watch-report.ts';

const [, , countText = '0', swapper = '', seedText = '1'] = process.argv;
const USER = 61235;
const SECRET = 'SECRET-OF-ROOT';
/** A server that no rule may ever let root reach: only the user names it. */
const HOSTILE_SERVER = '203.0.113.66';
const HOSTILE_TEXT = [
  `remote ${HOSTILE_SERVER} 1194 udp`,
  'user 61235',
  `KILLSWITCH_ENDPOINTS=${HOSTILE_SERVER}:1194/udp`,
  `nameserver ${HOSTILE_SERVER}`,
].join('\n');
const HOSTILE_RECORD = JSON.stringify({
  version: 1,
  locked: false,
  since: 1,
  backend: 'nftables',
  wall: false,
  before: [],
  made: [],
});

const CANARY = '/etc/canary';
const HOME = '/run/mallory';
const TARGET = '/run/hostile-target';
const [RUN, STATE] = [PATHS.runtime, PATHS.state];
/** The file systems that entries are moved within; each has a pool of what Node cannot make. */
const POOLS = ['/etc', '/run', '/var'].map((top) => ({ top, pool: `${top}/pool` }));

/** Every kind of path that the product opens as root. */
const TARGETS: readonly string[] = [
  ...['client/a.conf', 'client/b.ovpn', 'a.conf'].map((name) => `/etc/openvpn/${name}`),
  ...['hosts', 'resolv.conf', 'vpn.ovpn'].map((name) => `${HOME}/${name}`),
  ...['/etc', '/run'].map((top) => `${top}/NetworkManager/system-connections/a.nmconnection`),
  ...['iptables', 'ip6tables', 'iptables-config'].map((name) => `/etc/sysconfig/${name}`),
  PATHS.settings,
  PATHS.log,
  ...[
    'lock',
    'refresh.lock',
    'last-transaction',
    'ssh-sessions',
    'watch',
    'tunnels/tun0',
    'former/tun0',
    'networkmanager/tun0',
  ].map((name) => `${RUN}/${name}`),
  ...['trial/settings.env', 'dns/place', 'dns/before', 'dns/resolved', 'boot.problem'].map(
    (name) => `${RUN}/${name}`,
  ),
  ...[
    'lock.json',
    'lock.plain',
    'endpoints.json',
    'settings.env',
    'base.nft',
    'base.v4',
    'before.policies',
    'attached.json',
  ].map((name) => `${STATE}/${name}`),
  ...[
    'networks/a',
    'dns/place',
    'dns/before',
    'dns/written',
    'boot/sysctl',
    'boot/sysconfig/iptables.ours',
    'profiles/a',
  ].map((name) => `${STATE}/${name}`),
];
const OWN_FOLDERS = [
  '/etc/openvpn',
  '/etc/NetworkManager',
  '/run/NetworkManager',
  '/etc/sysconfig',
  '/etc/ovpn-killswitch',
  HOME,
  RUN,
  STATE,
];

/** The same numbers at each run: a failure can be had again. */
let numbers = Number(seedText);
function below(most: number): number {
  numbers = (Math.imul(numbers, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((numbers / 2 ** 32) * most);
}
function pick<Value>(from: readonly Value[]): Value {
  const value = from[below(from.length)];
  if (value === undefined) throw new Error('nothing to pick from');
  return value;
}

function attempt(work: () => void): void {
  try {
    work();
  } catch {
    // An arrangement that cannot be made is another one.
  }
}

function makeCanary(): void {
  for (const folder of [
    CANARY,
    `${CANARY}/client`,
    `${CANARY}/dns`,
    `${CANARY}/system-connections`,
  ]) {
    mkdirSync(folder, { recursive: true });
    for (const name of ['secret', ...TARGETS.map((path) => basename(path))])
      if (name !== 'client') writeFileSync(`${folder}/${name}`, SECRET, { mode: 0o600 });
  }
}

const CANARIES = [
  CANARY,
  `${CANARY}/client`,
  `${CANARY}/dns`,
  `${CANARY}/system-connections`,
].flatMap((folder) => [
  folder,
  ...['secret', ...TARGETS.map((path) => basename(path))].map((name) => `${folder}/${name}`),
]);

function factsOf(path: string): string {
  const { uid, gid, mode, ino, size, mtimeMs }: Stats = lstatSync(path);
  return JSON.stringify([path, uid, gid, mode, ino, size, mtimeMs]);
}

/** Folders on the way to a path that a user may get: not those that every machine has. */
function foldersOf(path: string): readonly string[] {
  const parts = dirname(path).split('/');
  const all = parts.map((_, index) => parts.slice(0, index + 1).join('/'));
  return all.filter((folder) =>
    OWN_FOLDERS.some((own) => folder === own || folder.startsWith(`${own}/`)),
  );
}

function give(folder: string): void {
  switch (pick(['owner', 'owner', 'all', 'sticky', 'group', 'root'] as const)) {
    case 'owner':
      chownSync(folder, USER, USER);
      break;
    case 'all':
      chmodSync(folder, 0o777);
      break;
    case 'sticky':
      chmodSync(folder, 0o1777);
      break;
    case 'group':
      chownSync(folder, 0, USER);
      chmodSync(folder, 0o775);
      break;
    case 'root':
      break;
  }
}

/** Whether somebody besides root decides about the way to a path. */
function isHostile(path: string): boolean {
  return foldersOf(path).some((folder) => {
    const { uid, mode } = lstatSync(folder);
    // With the sticky bit nobody replaces a folder of root's in it.
    return (
      uid !== 0 || ((mode & 0o022) !== 0 && ((mode & 0o1000) === 0 || folder === dirname(path)))
    );
  });
}

const KINDS = [
  'file',
  'users',
  'users',
  'wide',
  'link',
  'folder-link',
  'hard',
  'fifo',
  'device',
  'socket',
  'folder',
  'loop',
  'big',
  'none',
] as const;

function place(path: string, kind: (typeof KINDS)[number]): void {
  const pool = POOLS.find(({ top }) => path.startsWith(`${top}/`))?.pool ?? '';
  const text = basename(path) === 'lock.json' ? HOSTILE_RECORD : HOSTILE_TEXT;
  switch (kind) {
    case 'file':
      writeFileSync(path, 'x', { flag: 'wx' });
      break;
    case 'users':
      writeFileSync(path, text, { flag: 'wx' });
      lchownSync(path, USER, USER);
      break;
    case 'wide':
      writeFileSync(path, text, { flag: 'wx' });
      chmodSync(path, 0o666);
      break;
    case 'link':
    case 'folder-link':
    case 'loop':
      symlinkSync(kind === 'link' ? `${CANARY}/secret` : kind === 'loop' ? path : CANARY, path);
      lchownSync(path, USER, USER);
      break;
    case 'hard':
      // In a folder of root's alone a second name is root's own decision.
      if (isHostile(path)) linkSync(`${pool}/hard`, path);
      break;
    case 'fifo':
    case 'device':
    case 'socket':
      linkSync(`${pool}/${kind}`, path);
      break;
    case 'folder':
      mkdirSync(path);
      chownSync(path, USER, USER);
      break;
    case 'big':
      writeFileSync(path, text, { flag: 'wx' });
      truncateSync(path, 3 * 1024 * 1024);
      lchownSync(path, USER, USER);
      break;
    case 'none':
      break;
  }
}

/** Every folder on the way to a path, the outer ones first. */
const WAYS: readonly string[] = [
  ...new Set([...OWN_FOLDERS, ...TARGETS.flatMap(foldersOf)]),
].sort();

/** A folder on the way is one, and no link that the arrangement would be made through. */
function makeWay(folder: string): void {
  if (lstatSync(folder, { throwIfNoEntry: false })?.isDirectory() === false)
    rmSync(folder, { force: true });
  mkdirSync(folder, { recursive: true, mode: 0o755 });
}

/** A user's process that swaps entries; it stands still while an arrangement is made. */
function startSwapper() {
  const program = [
    'setpriv',
    `--reuid=${USER}`,
    `--regid=${USER}`,
    '--clear-groups',
    process.execPath,
    swapper,
    `${CANARY}/secret`,
    CANARY,
    HOME,
  ];
  const child = spawn(program[0] ?? '', program.slice(1), {
    stdio: 'ignore',
    env: { HOSTILE_TEXT },
  });
  const pid = child.pid ?? 0;
  const isStopped = () =>
    / T \d/.test(readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\)/, ''));
  return {
    stop: () => {
      process.kill(pid, 'SIGSTOP');
      while (!isStopped());
    },
    go: () => void process.kill(pid, 'SIGCONT'),
    end: () => void process.kill(pid, 'SIGKILL'),
  };
}

/** The product's uses of its own paths, by name. */
function worksOf(host: Host): Readonly<Record<string, () => unknown>> {
  const settings = defaultSettings();
  const demand = { device: 'tun0', resolvers: [], searchDomains: [] } as unknown as Parameters<
    typeof resolvConfFile.set
  >[1][number];
  return {
    readLockRecord: () => readLockRecord(host),
    writeLockRecord: () =>
      writeLockRecord(host, {
        locked: true,
        since: 1,
        backend: 'nftables',
        wall: false,
        before: [],
        made: [],
      }),
    readLiveTunnels: () => readLiveTunnels(host),
    readFormerRecords: () => readFormerRecords(host),
    readRemembered: () => readRemembered(host),
    readLastTransaction: () => readLastTransaction(host),
    readSshSessions: () => readSshSessions(host),
    savedKnown: () => savedKnown(host, readLockRecord(host)),
    settingsInForce: () => settingsInForce(host, readLockRecord(host)),
    gatherKnown: () => gatherKnown(host, settings, readLockRecord(host)).endpoints,
    vpnConnections: () => vpnConnections(host),
    pinHosts: () => pinHosts(host, []),
    pinSome: () =>
      pinHosts(host, [{ name: 'vpn.example', addresses: [] }] as unknown as Parameters<
        typeof pinHosts
      >[1]),
    setResolvers: () => resolvConfFile.set(host, [demand]),
    readBefore: () => readBefore(host)?.place,
    giveBack: () => giveBack(host),
    readResolverWorld: () => readResolverFacts(host, 'auto').inUse,
    readBaseTexts: () => readBaseTexts(host),
    readWatch: () => readWatch(host),
    forgetTrial: () => forgetTrial(host),
    sysconfig: () =>
      carryOut(
        host,
        sysconfig.plan({
          ...readBootMachine(host),
          locked: true,
          base: { 'base.v4': '*filter\nCOMMIT\n' },
        }),
      ),
    besideNftables: () => besideNftables(readBootMachine(host)),
    refreshLock: () => void openLockDoor(PATHS.refreshLock),
    log: () => host.log({ level: 'warn', event: 'failed', message: 'an entry' }),
    exclusively: () => host.exclusively(() => undefined),
    attach: () =>
      writeProfiles(
        host,
        planProfiles(host.readBytes, [`${HOME}/vpn.ovpn`, '/etc/openvpn/client/a.conf'], (text) =>
          attach(text, { folder: PATHS.library, harden: false }),
        ),
      ),
    detach: () =>
      writeProfiles(
        host,
        planProfiles(host.readUntrusted, [`${HOME}/vpn.ovpn`], (text) => ({ text: detach(text) })),
      ),
    copy: () => {
      try {
        writeCopies(host, planCopies(host, [`${HOME}/vpn.ovpn`], false));
      } finally {
        // Root has decided to believe it: no other call is to find it.
        host.remove('/etc/openvpn/client/vpn.conf');
      }
    },
  };
}

/** The door itself, at one path. A call that may return a user's text is `untrusted`. */
function doorsOf(host: Host, path: string): Readonly<Record<string, () => unknown>> {
  return {
    read: () => host.read(path),
    readBytes: () => Buffer.from(host.readBytes(path) ?? []).toString('latin1'),
    // Of its own folders the product believes root alone.
    ...(!path.startsWith(`${RUN}/`) &&
      !path.startsWith(`${STATE}/`) && {
        readUntrusted: () =>
          Buffer.from(host.readUntrusted(path) ?? [])
            .toString('latin1')
            .replaceAll(HOSTILE_SERVER, ''),
      }),
    list: () => void host.list(path),
    exists: () => host.exists(path),
    owner: () => host.owner(path),
    place: () => void host.place(path),
    rewrite: () => host.rewrite(path, 'ours'),
    write: () => host.write(path, 'ours'),
    remove: () => host.remove(path),
    removeIf: () => void host.removeIf(path, () => true),
  };
}

const faults: string[] = [];
const slowest = { seconds: 0, what: '' };
const counts = { calls: 0, refused: 0, done: 0 };

function call(name: string, path: string, work: () => unknown): void {
  const since = process.hrtime.bigint();
  counts.calls++;
  try {
    const result = work();
    const text =
      result === undefined ? '' : typeof result === 'string' ? result : JSON.stringify(result);
    counts.done++;
    if (text.includes(SECRET)) faults.push(`${name} read the secret by ${path}`);
    if (text.includes(HOSTILE_SERVER))
      faults.push(`${name} believed the user at ${path}: ${text.slice(0, 200)}`);
  } catch (thrown) {
    counts.refused++;
    if (!(thrown instanceof KillswitchError))
      faults.push(
        `${name} at ${path} threw ${thrown instanceof Error ? thrown.stack : String(thrown)}`,
      );
    else if (`${thrown.message} ${thrown.detail.join()}`.includes(SECRET))
      faults.push(`${name} printed the secret by ${path}`);
  }
  const seconds = Number(process.hrtime.bigint() - since) / 1e9;
  if (seconds > slowest.seconds) Object.assign(slowest, { seconds, what: `${name} at ${path}` });
}

makeCanary();
writeFileSync(TARGET, '');
for (const { pool } of POOLS) {
  mkdirSync(pool, { mode: 0o700 });
  writeFileSync(`${pool}/hard`, SECRET, { mode: 0o600 });
  execFileSync('mkfifo', [`${pool}/fifo`]);
  execFileSync('mknod', [`${pool}/device`, 'c', '5', '0']);
  execFileSync('perl', [
    '-MIO::Socket::UNIX',
    '-e',
    'IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 1) or die',
    `${pool}/socket`,
  ]);
}
for (const link of ['hosts', 'resolv.conf']) {
  rmSync(`/etc/${link}`, { force: true });
  symlinkSync(`${HOME}/${link}`, `/etc/${link}`);
}
mkdirSync(HOME, { recursive: true });
const before = CANARIES.map(factsOf);
const poolsBefore = POOLS.map(({ pool }) => [
  readFileSync(`${pool}/hard`, 'utf8'),
  lstatSync(`${pool}/hard`).uid,
  lstatSync(`${pool}/hard`).mode,
]);
const real = linuxHost({ name: 'hostile', milliseconds: 3_600_000, shown: 'silent' });
// Calls that only start programs are not the subject: they are refused at once.
const host: Host = { ...real, run: () => ({ status: 1, stdout: '', stderr: '' }) };
const other = startSwapper();
const started = process.hrtime.bigint();
try {
  for (let number = 0; number < Number(countText) && faults.length < 20; number++) {
    other.stop();
    for (const folder of number % 20 === 0 ? OWN_FOLDERS : [])
      attempt(() => rmSync(folder, { recursive: true, force: true }));
    for (const folder of WAYS) attempt(() => makeWay(folder));
    const path = pick(TARGETS);
    if (path === PATHS.log) attempt(() => give('/var/log'));
    const folders = foldersOf(path);
    // The paths that the user can reach: a folder on the way, and all below it; or an entry of his
    // in root's
    // own.
    if (folders.length > 0) attempt(() => give(pick(folders)));
    const at = below(5) === 0 && folders.length > 1 ? pick(folders.slice(1)) : path;
    attempt(() => rmSync(at, { recursive: true, force: true }));
    attempt(() => place(at, pick(KINDS)));
    writeFileSync(`${TARGET}.new`, path);
    renameSync(`${TARGET}.new`, TARGET);
    // The file judged a moment ago was root's then: only root, as here, makes it another's.
    host.remove('/run/none');
    other.go();
    const doors = doorsOf(host, path);
    for (const [name, work] of Object.entries(doors)) if (below(2) === 0) call(name, path, work);
    const works = Object.entries(worksOf(host));
    for (let turn = 0; turn < 5; turn++) {
      const [name, work] = pick(works);
      call(name, path, work);
    }
    attempt(() => chownSync('/var/log', 0, 0));
    attempt(() => chmodSync('/var/log', 0o755));
    if (number % 25 === 0) {
      const now = CANARIES.map(factsOf);
      faults.push(
        ...now
          .filter((each, index) => each !== before[index])
          .map((each) => `arrangement ${number} (${path}): now ${each}`),
      );
    }
  }
  // One path, and one race: the folder that was looked at is a link to root's by the time of the
  // use, and back.
  other.stop();
  const [flipped, link] = [`${HOME}/flip`, `${HOME}/flip.link`];
  for (const folder of [HOME, flipped, `${flipped}.kept`, link])
    rmSync(folder, { recursive: true, force: true });
  mkdirSync(flipped, { recursive: true });
  symlinkSync(CANARY, link);
  for (const path of [HOME, flipped]) chownSync(path, USER, USER);
  lchownSync(link, USER, USER);
  writeFileSync(`${flipped}/secret`, 'x');
  lchownSync(`${flipped}/secret`, USER, USER);
  writeFileSync(TARGET, `flip ${flipped} ${link}`);
  other.go();
  const raced = doorsOf(host, `${flipped}/secret`);
  for (let number = 0; number < Number(countText) * 3 && faults.length < 20; number++) {
    const name = pick(['rewrite', 'rewrite', 'readUntrusted', 'remove', 'write', 'read', 'list']);
    const work = raced[name];
    if (work !== undefined) call(name, `${flipped}/secret`, work);
  }
} finally {
  other.end();
}
const now = CANARIES.map(factsOf);
faults.push(
  ...now.filter((each, index) => each !== before[index]).map((each) => `at the end: now ${each}`),
);
for (const path of CANARIES)
  if (lstatSync(path).isFile() && readFileSync(path, 'utf8') !== SECRET)
    faults.push(`${path} was written`);
POOLS.forEach(({ pool }, index) => {
  const found = [
    readFileSync(`${pool}/hard`, 'utf8'),
    lstatSync(`${pool}/hard`).uid,
    lstatSync(`${pool}/hard`).mode,
  ];
  if (JSON.stringify(found) !== JSON.stringify(poolsBefore[index]))
    faults.push(`${pool}/hard was changed: ${JSON.stringify(found)}`);
});
const seconds = Number(process.hrtime.bigint() - started) / 1e9;
process.stdout.write(
  `${JSON.stringify({ arrangements: Number(countText), seconds, slowest, ...counts, faults })}\n`,
);
process.exit(0);

import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openSandbox, type Sandbox, sandboxObstacle } from '../../src/host/sandbox.ts';
import { patiently } from '../../src/proof/wait-until.ts';
import { builtRoot } from '../support/debian-root.ts';
import {
  CACHES,
  COMMAND,
  filesElsewhere,
  LIBRARY,
  type PackageMachine,
  packageMachine,
  RULES,
  UP,
} from '../support/package-machine.ts';
import { differences } from '../support/traces.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const plan = builtRoot('rpm-13');
const obstacle = sandboxObstacle() ?? plan.obstacle;
const folder = mkdtempSync('/var/tmp/killswitch-rpm-');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const RPM = 'rpm --dbpath /run/rpm';
/** Bytes of files in the machine's own folders. */
const SIZE = `find /usr /etc -xdev -type f -printf '%s\\n' | awk '{ all += $1 } END { print all }'`;
const file = (version: string) => `ovpn-killswitch-${version}-1.noarch.rpm`;
const at = (version: string) => join(folder, 'rpms', file(version));
const stocked = (version: string) => join(folder, `stock/nodejs-${version}.rpm`);

/** A package that brings a Node to this path, and by their names alone what ours requires. */
const stock = (name: string, version: string, path: string) => `Name: ${name}
Version: ${version}
Release: 1
Summary: what a machine has
License: MIT

AutoReqProv: no
Provides: nftables, /bin/sh, /usr/bin/env
%description
-
%install
install -D /usr/bin/node %{buildroot}${path}
%files
${path}
`;

/** The sources in a folder of their own, as another version. */
function sources(name: string, version: string): string {
  const copy = join(folder, name);
  mkdirSync(copy);
  for (const each of readdirSync(ROOT))
    if (!['node_modules', 'dist', 'packages', '.git'].includes(each))
      cpSync(join(ROOT, each), join(copy, each), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  for (const each of ['package.json', 'src/cli/version.ts']) {
    const text = readFileSync(join(copy, each), 'utf8');
    writeFileSync(join(copy, each), text.replace('0.2.0', version));
  }
  return copy;
}

const packaged = (from: string, out: string, more: string) =>
  `cd ${from} && ${more} && SOURCE_DATE_EPOCH=1750000000 node packaging/package.mjs --only rpm --out ${out}`;

let opened: Sandbox | undefined;
/** A machine with rpm's tools, and a Node that no rpm has brought yet. */
async function machine(): Promise<PackageMachine> {
  opened?.close();
  opened = await openSandbox({
    ...(plan.root !== undefined && { root: plan.root }),
    show: [folder, ROOT],
  });
  return packageMachine(opened);
}
afterAll(() => opened?.close());

/** A machine with the Node that the package wants. */
async function stockedMachine(): Promise<PackageMachine> {
  const made = await machine();
  made.must(`${RPM} -i --replacefiles ${stocked('20.19.2')}`);
  return made;
}

/** Builds a package with one file, whose time is as many seconds after the year 2023 as `later`. */
const rpmbuild = (spec: string, later: number, out: string) => {
  const path = join(folder, 'stock.spec');
  writeFileSync(path, spec);
  const macros = [
    `_topdir ${folder}/stock`,
    'build_mtime_policy clamp_to_source_date_epoch',
    ...['__os_install_post', 'debug_package'].map((name) => `${name} %{nil}`),
    '_build_id_links none',
  ];
  return [
    `export SOURCE_DATE_EPOCH=${1_700_000_000 + later}`,
    `rpmbuild -bb --quiet ${macros.map((macro) => `--define '${macro}'`).join(' ')} ${path}`,
    `mv ${folder}/stock/RPMS/*/*.rpm ${out}`,
  ].join(' && ');
};

beforeAll(async () => {
  if (obstacle !== undefined) return;
  const { must } = await machine();
  const rpms = join(folder, 'rpms');
  must(packaged(ROOT, rpms, 'umask 022'));
  must(packaged(sources('next', '0.2.1'), rpms, 'umask 022'));
  must(packaged(sources('other', '0.2.0'), join(folder, 'again'), 'umask 077'));
  // Two packages with the machine's own Node. They differ in its time, as its code caches see it.
  must(rpmbuild(stock('nodejs', '20.19.2', '/usr/bin/node'), 1, stocked('20.19.2')));
  must(rpmbuild(stock('nodejs', '20.19.3', '/usr/bin/node'), 2, stocked('20.19.3')));
  must(rpmbuild(stock('other', '1', '/usr/bin/other'), 3, join(folder, 'stock/other.rpm')));
});

test('the rpm package has the files of the Debian package, and is the same bytes each time', async (context) => {
  if (obstacle !== undefined) context.skip(obstacle);
  execFileSync('node', ['packaging/package.mjs', '--out', join(folder, 'deb')], {
    cwd: ROOT,
    env: { ...process.env, SOURCE_DATE_EPOCH: '1800000000' },
    stdio: 'pipe',
  });
  const one = readFileSync(at('0.2.0'));
  expect(one.equals(readFileSync(join(folder, 'again', file('0.2.0'))))).toBe(true);
  const { sh, must } = await machine();
  const ask = (query: string) => must(`rpm -qp ${query} ${at('0.2.0')}`);
  expect(
    ask(`--qf '[%{FILEMODES:perms} %{FILENAMES}\\n]'`)
      .trim()
      .split('\n')
      .filter((line) => !line.startsWith('d'))
      .map((line) => line.replace(/^\S+ /, ''))
      .sort(),
  ).toEqual(filesElsewhere(join(folder, 'deb/ovpn-killswitch_0.2.0_all.deb'), COMMAND));
  expect(ask('--configfiles')).toBe('/etc/ovpn-killswitch/killswitch.env\n');
  expect(ask('--recommends')).toBe('openvpn\n');
  // Without them it is refused.
  const alone = sh(`${RPM} -i ${at('0.2.0')}`);
  expect(alone.status).not.toBe(0);
  expect(alone.stderr).toContain('nodejs >= 18.19 is needed by ovpn-killswitch');
  expect(alone.stderr).toContain('(nftables or iptables) is needed by ovpn-killswitch');
});

test('rpmlint finds nothing in the rpm package that its filters do not explain', async (context) => {
  const lint = builtRoot('rpmlint-13');
  const why = obstacle ?? lint.obstacle;
  if (why !== undefined) context.skip(why);
  const sandbox = await openSandbox({
    ...(lint.root !== undefined && { root: lint.root }),
    show: [folder, ROOT],
  });
  try {
    const filters = join(ROOT, 'packaging/rpmlint.toml');
    const { status, stdout, stderr } = sandbox.run(['rpmlint', '--config', filters, at('0.2.0')], {
      milliseconds: patiently(300_000),
    });
    expect(stdout).toMatch(/ 1 packages and 0 specfiles checked; 0 errors, 0 warnings/);
    expect(status, stdout + stderr).toBe(0);
  } finally {
    sandbox.close();
  }
});

test('the rpm package is under 1 MB, and 4 MB installed, with what it makes there', async (context) => {
  if (obstacle !== undefined) context.skip(obstacle);
  expect(statSync(at('0.2.0')).size).toBeLessThan(1_000_000);
  const { must } = await stockedMachine();
  const before = must(SIZE);
  must(`${RPM} -i ${at('0.2.0')}`);
  const size = Number(must(SIZE)) - Number(before);
  expect(size).toBeLessThan(4_000_000);
});

test('rpm makes the code caches anew when a package brings another Node, and for no other package', async (context) => {
  if (obstacle !== undefined) context.skip(obstacle);
  const { must, there } = await stockedMachine();
  must(`${RPM} -i ${at('0.2.0')}`);
  // The hook names the size and the time of the Node that has made its code cache.
  const ofThisNode = () =>
    expect(must(`grep -o '"modified":[0-9]*' ${LIBRARY}/hooks/up | uniq`)).toBe(
      must(`stat -c '"modified":%Y000' /usr/bin/node`),
    );
  ofThisNode();
  const old = must(`cat ${LIBRARY}/hooks/up`);
  must(`${RPM} -U ${stocked('20.19.3')}`);
  ofThisNode();
  expect(must(`cat ${LIBRARY}/hooks/up`)).not.toBe(old);
  must(`${RPM} -U --oldpackage ${stocked('20.19.2')}`);
  ofThisNode();
  must(`rm ${LIBRARY}/hooks-*.cache && ${RPM} -i ${join(folder, 'stock/other.rpm')}`);
  expect(there(CACHES)).toEqual([false]);
});

describe.each(['nftables', 'iptables'] as const)('on a locked machine with %s', (backend) => {
  test('an rpm that is upgraded, refused, downgraded or removed changes no rule, and says what stays', async (context) => {
    if (obstacle !== undefined) context.skip(obstacle);
    const { sh, must, there, traces } = await stockedMachine();
    const before = traces();
    must(`${RPM} -i ${at('0.2.0')}`);
    expect(there(`${LIBRARY}/hooks/up`, CACHES, COMMAND)).toEqual([true, true, true]);
    expect(must(`${COMMAND} --version`)).toBe('ovpn-killswitch 0.2.0\n');
    expect(must(`${RPM} -V ovpn-killswitch`)).toBe('');
    must(`echo KILLSWITCH_BACKEND=${backend} >>/etc/ovpn-killswitch/killswitch.env`);
    must(`${COMMAND} lock --force && ${COMMAND} boot enable --with systemd`);
    const base = must(RULES);
    must('ip tuntap add tun0 mode tun && ip link set tun0 up');
    must(UP);
    const rules = must(RULES);
    expect(rules).toContain('tun0');
    const changesNothing = (command: string) => {
      const ran = sh(`${RPM} ${command}`);
      expect(must(RULES), command).toBe(rules);
      return ran;
    };
    const works = (command: string, version: string) => {
      const { status, stderr } = changesNothing(command);
      expect(status, stderr).toBe(0);
      expect(must(`${COMMAND} --version`)).toBe(`ovpn-killswitch ${version}\n`);
      expect(there(`${LIBRARY}/hooks/up`, CACHES)).toEqual([true, true]);
      expect(must(`${COMMAND} status`)).toContain('tun0');
    };

    works(`-U ${at('0.2.1')}`, '0.2.1');
    works(`-U --replacepkgs ${at('0.2.1')}`, '0.2.1');
    expect(changesNothing(`-U ${at('0.2.0')}`).status).not.toBe(0);
    expect(must(`${RPM} -q ovpn-killswitch`)).toBe('ovpn-killswitch-0.2.1-1.noarch\n');
    works(`-U --oldpackage ${at('0.2.0')}`, '0.2.0');

    const { status, stderr } = changesNothing('-e ovpn-killswitch');
    expect(status, stderr).toBe(0);
    expect(stderr).toContain('this machine stays LOCKED');
    expect(stderr).toContain(`sudo ${LIBRARY}/recover`);
    expect(must(`ls ${LIBRARY}`)).toBe('boot\nrecover\nremoved\n');
    expect(there(COMMAND)).toEqual([false]);
    // As after a reboot: the unit that "boot enable" made calls the script that is still there.
    must('nft flush ruleset; ip link del tun0; rm -rf /run/ovpn-killswitch');
    must(`${LIBRARY}/boot`);
    expect(must(RULES)).toBe(base);

    // It comes back to a locked machine, and goes again.
    must(`${RPM} -i ${at('0.2.0')}`);
    expect(there(`${LIBRARY}/removed`, CACHES)).toEqual([false, true]);
    expect(must(`${COMMAND} status --json`)).toContain('"blocked"');
    must(`${RPM} -e ovpn-killswitch`);
    expect(must(RULES)).toBe(base);
    must(`${LIBRARY}/recover`);
    // Changed settings stay, as rpm has it.
    must('rm /etc/ovpn-killswitch/killswitch.env.rpmsave && rmdir /etc/ovpn-killswitch');
    expect(differences(before, traces())).toEqual([]);
  });

  test('an rpm is not removed before a timer has run, and leaves nothing after unlock', async (context) => {
    if (obstacle !== undefined) context.skip(obstacle);
    const { sh, must, traces } = await stockedMachine();
    const before = traces();
    must(`${RPM} -i ${at('0.2.0')}`);
    must(`${COMMAND} lock --force && ${COMMAND} boot enable --with systemd`);
    must(`${COMMAND} unlock --for 1h`);
    const refused = sh(`${RPM} -e ovpn-killswitch`);
    expect(refused.status).not.toBe(0);
    expect(refused.stderr).toContain('Nothing was removed');
    expect(must(`${COMMAND} --version`)).toBe('ovpn-killswitch 0.2.0\n');
    must(`${COMMAND} unlock`);
    must(`${RPM} -e ovpn-killswitch`);
    expect(differences(before, traces())).toEqual([]);
  });
});

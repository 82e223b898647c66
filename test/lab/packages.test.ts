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
  packageMachine,
  RULES,
  UP,
} from '../support/package-machine.ts';
import { differences } from '../support/traces.ts';
import { buildPackages, makePackages } from './package-builds.ts';

const ROOT = resolve(import.meta.dirname, '../..');

const folder = mkdtempSync('/var/tmp/killswitch-packages-');
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let made: string;
let deb: string;
let tarball: string;
let again: { readonly next: string; readonly broken: string };

const sumsOf = (out: string) => readFileSync(join(out, 'SHA256SUMS'), 'utf8');

beforeAll(() => {
  const builds = buildPackages(folder);
  ({ made, deb, tarball } = builds);
  again = {
    next: builds.variant('0.2.1', 'preinst', ':'),
    broken: builds.variant('0.2.2', 'preinst', 'rm -f /usr/lib/ovpn-killswitch/*.cache; exit 1'),
  };
});

test('the same sources give the same bytes in another folder, at another time, with another umask', () => {
  const copy = join(folder, 'copy');
  mkdirSync(copy);
  const kept = ['node_modules', 'dist', 'packages', '.git'];
  for (const name of readdirSync(ROOT))
    if (!kept.includes(name)) cpSync(join(ROOT, name), join(copy, name), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  const second = join(folder, 'second');
  makePackages(copy, second, '077');
  // The rpm package is made where rpmbuild is: below.
  const sums = sumsOf(made).trim().split('\n');
  expect(sums.filter((line) => !line.endsWith('.rpm'))).toHaveLength(6);
  expect(sumsOf(second)).toBe(sumsOf(made));
});

test('the recipe for Arch places the files of the Debian package, and its scripts are sound', () => {
  const arch = join(folder, 'arch');
  for (const name of ['src', 'pkg']) mkdirSync(join(arch, name), { recursive: true });
  execFileSync('tar', ['-xzf', join(made, 'ovpn-killswitch-0.2.0.arch.tar.gz'), '-C', arch]);
  const recipe = join(arch, 'ovpn-killswitch-0.2.0.arch');
  execFileSync('ar', ['x', deb, '--output', join(arch, 'src')]);
  cpSync(join(recipe, 'ovpn-killswitch.hook'), join(arch, 'src/ovpn-killswitch.hook'));
  for (const name of ['PKGBUILD', 'ovpn-killswitch.install'])
    execFileSync('bash', ['-n', join(recipe, name)]);
  const placed = execFileSync(
    'bash',
    [
      '-euc',
      `srcdir=$1/src pkgdir=$1/pkg; . "$2/PKGBUILD"; package >&2; cd "$pkgdir"; find . ! -type d -printf '/%P\\n'
      echo "\${sha256sums[0]}  $3" | sha256sum --check --quiet >&2
      echo "\${sha256sums[1]}  $srcdir/\${source[1]}" | sha256sum --check --quiet >&2`,
      ...['bash', arch, recipe, deb],
    ],
    { encoding: 'utf8', stdio: 'pipe' },
  );
  const hook = '/usr/share/libalpm/hooks/ovpn-killswitch.hook';
  expect(placed.trim().split('\n').sort()).toEqual(
    [...filesElsewhere(deb, '/usr/bin/ovpn-killswitch'), hook].sort(),
  );
  expect(readFileSync(join(arch, 'pkg', LIBRARY, 'package'), 'utf8')).toBe('arch\n');
});

test('the packages name the repository that their publisher names, and none without one', () => {
  const home = 'https://example.org/someone/ovpn-killswitch';
  const named = join(folder, 'named');
  makePackages(ROOT, named, '022', { HOMEPAGE: home });
  const field = (path: string) =>
    execFileSync('dpkg-deb', ['-f', path, 'Homepage'], { encoding: 'utf8' }).trim();
  const inside = (out: string, archive: string, path: string) =>
    execFileSync('tar', ['-xzOf', join(out, archive), path], { encoding: 'utf8' });
  const npm = (out: string) =>
    JSON.parse(inside(out, 'ovpn-killswitch-0.2.0-npm.tgz', 'package/package.json'));
  const recipe = (out: string) =>
    inside(out, 'ovpn-killswitch-0.2.0.arch.tar.gz', 'ovpn-killswitch-0.2.0.arch/PKGBUILD');
  expect(field(join(named, 'ovpn-killswitch_0.2.0_all.deb'))).toBe(home);
  expect(npm(named)).toMatchObject({
    homepage: home,
    repository: { type: 'git', url: `git+${home}.git` },
    bugs: { url: `${home}/issues` },
  });
  expect(recipe(named)).toContain(`url='${home}'\n`);
  expect(field(deb)).toBe('');
  expect(npm(made)).not.toHaveProperty('repository');
  expect(recipe(made)).toContain("url=''\n");
  const hostile = { HOMEPAGE: "https://example.org/'; rm -rf /" };
  expect(() => makePackages(ROOT, named, '022', hostile)).toThrow('allowed: an address such as');
});

test('the Debian package is under 1 MB, and 4 MB when it is unpacked', () => {
  expect(statSync(deb).size).toBeLessThan(1_000_000);
  const size = execFileSync('dpkg-deb', ['-f', deb, 'Installed-Size'], { encoding: 'utf8' });
  expect(Number(size)).toBeLessThan(4000);
});

describe.each([
  ['packages-12', 'plain'],
  ['packages-13', 'systemd'],
])('on a Debian of its own (%s)', (name, atBoot) => {
  let opened: Sandbox | undefined;
  const plan = builtRoot(name);
  const obstacle = sandboxObstacle() ?? plan.obstacle;
  afterAll(() => opened?.close());

  /** Its own Node alone: the machine's is not shown. */
  async function machine(): Promise<Sandbox> {
    opened?.close();
    opened = await openSandbox({
      ...(plan.root !== undefined && { root: plan.root }),
      show: [folder, ROOT],
    });
    return opened;
  }

  test('upgrades, a reinstallation and an aborted upgrade change no rule of a connected machine; nor does the removal', async (context) => {
    if (obstacle !== undefined) context.skip(obstacle);
    const { sh, must, there, traces } = packageMachine(await machine());
    const before = traces();
    must(`dpkg -i ${deb}`);
    expect(there(`${LIBRARY}/hooks/up`, CACHES, COMMAND)).toEqual([true, true, true]);
    expect(must(`${COMMAND} --version`)).toBe('ovpn-killswitch 0.2.0\n');
    expect(must('dpkg --verify ovpn-killswitch')).toBe('');
    must('echo KILLSWITCH_BACKEND=nftables >>/etc/ovpn-killswitch/killswitch.env');
    must(`${COMMAND} lock --force && ${COMMAND} boot enable --with ${atBoot}`);
    must('ip tuntap add tun0 mode tun && ip link set tun0 up');
    must(UP);
    const rules = must(RULES);
    expect(rules).toContain('tun0');
    const same = () => expect(must(RULES)).toBe(rules);

    must(`dpkg --force-confold -i ${again.next}`);
    same();
    expect(there(CACHES)).toEqual([true]);
    must(`dpkg --force-confold -i ${again.next}`);
    same();
    expect(sh(`dpkg --force-confold -i ${again.broken}`).status).not.toBe(0);
    same();
    expect(there(CACHES, COMMAND)).toEqual([true, true]);
    expect(must('dpkg -s ovpn-killswitch')).toContain('Version: 0.2.1');
    // A new Node: dpkg starts what is interested in it.
    must(`rm ${LIBRARY}/hooks-*.cache; dpkg-trigger --by-package=nodejs /usr/bin/node`);
    must('dpkg --configure --pending');
    expect(there(CACHES)).toEqual([true]);
    expect(must(`${COMMAND} status`)).toContain('tun0');

    const { status, stderr } = sh('dpkg -r ovpn-killswitch');
    expect(status, stderr).toBe(0);
    expect(stderr).toContain(`stays LOCKED`);
    same();
    expect(there(`${LIBRARY}/recover`, `${LIBRARY}/boot`, `${LIBRARY}/hooks`, COMMAND)).toEqual([
      true,
      true,
      false,
      false,
    ]);
    // As after a reboot: the unit that "boot enable" made calls the script that is still there.
    must(`nft flush ruleset; ip link del tun0; rm -rf /run/ovpn-killswitch; ${LIBRARY}/boot`);
    const base = must(RULES);
    expect(base).toContain('hook postrouting priority 200; policy drop;');

    const purged = sh('dpkg -P ovpn-killswitch');
    expect(purged.status, purged.stderr).toBe(0);
    expect(purged.stderr).toContain(`sudo ${LIBRARY}/recover`);
    expect(must(RULES)).toBe(base);
    must(`${LIBRARY}/recover`);
    expect(differences(before, traces())).toEqual([]);
  });

  test('a purge after unlock leaves nothing, and a package that comes back finds its machine locked', async (context) => {
    if (obstacle !== undefined) context.skip(obstacle);
    const { sh, must, there, traces } = packageMachine(await machine());
    const before = traces();
    must(`dpkg -i ${deb}`);
    must(`${COMMAND} lock --force`);
    must('dpkg -r ovpn-killswitch');
    must(`dpkg -i ${deb}`);
    expect(there(`${LIBRARY}/removed`, CACHES)).toEqual([false, true]);
    expect(must(`${COMMAND} status --json`)).toContain('"blocked"');
    must(`${COMMAND} boot enable --with ${atBoot}`);
    must(`${COMMAND} unlock --for 1h`);
    const refused = sh('dpkg -P ovpn-killswitch');
    expect(refused.status).not.toBe(0);
    expect(refused.stderr).toContain('Nothing was removed');
    expect(there(`${LIBRARY}/hooks/up`, CACHES, COMMAND)).toEqual([true, true, true]);
    must(`${COMMAND} unlock`);
    const { status, stderr } = sh('dpkg -P ovpn-killswitch');
    expect(status, stderr).toBe(0);
    expect(differences(before, traces())).toEqual([]);
  });

  test('a package takes over an installation from source, which refuses a package and says how to go on', async (context) => {
    if (obstacle !== undefined) context.skip(obstacle);
    const { sh, must } = packageMachine(await machine());
    must(`node ${ROOT}/dist/cli.js install`);
    must(`dpkg -i ${deb}`);
    expect(must('readlink /usr/local/lib/ovpn-killswitch')).toBe(`${LIBRARY}\n`);
    expect(must('/usr/local/sbin/ovpn-killswitch --version')).toBe('ovpn-killswitch 0.2.0\n');
    const beside = sh(`node ${ROOT}/dist/cli.js install`);
    expect(beside.status).toBe(73);
    expect(beside.stderr).toContain('sudo apt remove ovpn-killswitch');
    // Of the package's own copy it makes anew what belongs to the machine.
    expect(must(`${COMMAND} install`)).toContain(`up ${LIBRARY}/hooks/up`);
    expect(must('dpkg --verify ovpn-killswitch')).toBe('');
  });

  test('an installation from source moves the profiles of a package that was removed, and the lock stays', async (context) => {
    if (obstacle !== undefined) context.skip(obstacle);
    const { must } = packageMachine(await machine());
    const profile = '/etc/openvpn/client/office.conf';
    must(`dpkg -i ${deb}`);
    must(
      `mkdir -p /etc/openvpn/client; printf 'client\\ndev tun\\nremote 203.0.113.10 1194\\n' >${profile}`,
    );
    must(`${COMMAND} attach ${profile} && ${COMMAND} lock`);
    expect(must(`cat ${profile}`)).toContain(`up ${LIBRARY}/hooks/up`);
    const rules = must(RULES);
    must('dpkg -r ovpn-killswitch');
    must(`node ${ROOT}/dist/cli.js install`);
    const moved = must(`cat ${profile}`);
    for (const hook of ['up', 'down', 'route-up'])
      expect(moved).toContain(`${hook} /usr/local/lib/ovpn-killswitch/hooks/${hook}\n`);
    expect(moved).not.toContain(`${LIBRARY}/`);
    expect(must(RULES)).toBe(rules);
    expect(must('/usr/local/sbin/ovpn-killswitch status --json')).toContain('"blocked"');
  });

  test('an installation from source that cannot be moved stays whole and in use, and is moved later', async (context) => {
    if (obstacle !== undefined) context.skip(obstacle);
    const { sh, must } = packageMachine(await machine());
    const library = '/usr/local/lib/ovpn-killswitch';
    const source = '/usr/local/sbin/ovpn-killswitch';
    must(`mkdir /run/source; tar -xzf ${tarball} -C /run/source`);
    must('node /run/source/*/dist/cli.js install');
    must(`mount --bind ${library} ${library}`);
    const whole = must(`cd ${library}; find . -type f -exec sha256sum {} + | sort`);

    const first = sh(`dpkg -i ${deb}`);
    expect(first.status, first.stdout + first.stderr).toBe(0);
    expect(first.stderr).toContain(
      `Not moved to this installation, and still in use: ${library}: `,
    );
    expect(must(`cd ${library}; find . -type f -exec sha256sum {} + | sort`)).toBe(whole);
    expect(must(`ls /usr/local/lib /usr/local/sbin`)).not.toMatch(/\.(new|old)$/m);
    expect(must(`${source} --version`)).toContain('ovpn-killswitch ');

    must(`umount ${library}`);
    must(`${COMMAND} install`);
    expect(must(`readlink ${library} ${source}`)).toBe(`${LIBRARY}\n${COMMAND}\n`);
  });
});

test('lintian finds nothing in the Debian package that its overrides do not explain', async (context) => {
  const plan = builtRoot('lintian-13');
  const obstacle = sandboxObstacle() ?? plan.obstacle;
  if (obstacle !== undefined) context.skip(obstacle);
  const sandbox = await openSandbox({
    ...(plan.root !== undefined && { root: plan.root }),
    show: [folder],
  });
  try {
    const ran = sandbox.run(
      ['lintian', '--allow-root', '--display-info', '--pedantic', '--tag-display-limit=0', deb],
      { milliseconds: patiently(600_000) },
    );
    expect(ran.stdout.replace(/^N:.*\n/gm, '')).toBe('');
    expect(ran.status, ran.stderr).toBe(0);
  } finally {
    sandbox.close();
  }
});

test('the npm tarball installs without a registry, and so does the plain one', async (context) => {
  const obstacle = sandboxObstacle();
  if (obstacle !== undefined) context.skip(obstacle);
  const sandbox = await openSandbox();
  try {
    const ran = sandbox.run(
      [
        'sh',
        '-ec',
        `npm i -g --prefix /usr/local --offline --no-audit --no-fund ${made}/ovpn-killswitch-0.2.0-npm.tgz
          ls /usr/local/lib/node_modules
          /usr/local/bin/ovpn-killswitch install
          /usr/local/sbin/ovpn-killswitch --version
          cd /run
          tar -xzf ${made}/ovpn-killswitch-0.2.0.tar.gz
          node ovpn-killswitch-0.2.0/dist/cli.js install`,
      ],
      { milliseconds: 100_000, env: { HOME: '/run', npm_config_cache: '/run/npm' } },
    );
    expect(ran.status, `${ran.stdout}${ran.stderr}`).toBe(0);
    expect(ran.stdout).toContain('ovpn-killswitch 0.2.0\n');
  } finally {
    sandbox.close();
  }
});

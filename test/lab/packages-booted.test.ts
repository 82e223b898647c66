import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import { VPN } from '../../src/proof/addresses.ts';
import { CONNECTED, PUSHED_TIMERS } from '../../src/proof/openvpn.ts';
import { patiently, waitUntil } from '../../src/proof/wait-until.ts';
import { type Booted, bootMachine, bootObstacle } from '../support/booted.ts';
import { differences, TRACES } from '../support/traces.ts';
import { heard, PROBER, seenAtBoot, seenDuring } from './boot-scene.ts';
import { PATIENT } from './open-lab.ts';
import { buildFormerVersion, buildPackages, type PackageBuilds } from './package-builds.ts';

const CI = resolve(import.meta.dirname, '../../.ci');
const LIBRARY = '/usr/lib/ovpn-killswitch';
const COMMAND = '/usr/sbin/ovpn-killswitch';
const PROFILE = '/etc/openvpn/client/my-vpn.conf';
/** Files that dpkg(1), apt(8), systemd(1) and Node's package write themselves. */
const OTHERS =
  /\/var\/(lib\/(dpkg|apt|systemd)|log|cache)\/|\/run\/|\/etc\/(ld\.so\.cache|openvpn|alternatives)|\/usr\/.*(node|acorn|corepack)|(nf_conntrack|random)/;

/** Bytes of the package's files, with those that it makes on the machine. */
const SIZE = `{ dpkg -L ovpn-killswitch; find ${LIBRARY}; } | sort -u | xargs -d '\\n' stat -c '%s %F' | awk '/ regular file/ { all += $1 } END { print all }'`;
/** Options of apt(8): nobody is asked; what it needs is there. */
const APT =
  'DEBIAN_FRONTEND=noninteractive apt-get -qy -o Dpkg::Use-Pty=0 -o APT::Sandbox::User=root -o Dpkg::Options::=--force-confold';

const folder = mkdtempSync('/var/tmp/killswitch-booted-');
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let packages: PackageBuilds | undefined;
const built = (): PackageBuilds => {
  packages ??= buildPackages(folder);
  return packages;
};

let versionBefore: { readonly folder: string | undefined } | undefined;
const former = (): string | undefined => {
  versionBefore ??= { folder: buildFormerVersion(folder) };
  return versionBefore.folder;
};

const ROOTS = [
  { root: 'packages-booted-12', newer: [] },
  { root: 'packages-13', newer: ['22', '24'] },
] as const;

/** One story: each test goes on from the one before. */
describe.each(ROOTS)('on $root, booted for real, with its own Node,', ({ root, newer }) => {
  let obstacle: string | undefined;
  let machine: Booted | undefined;
  let before = '';
  beforeAll(async () => {
    obstacle = bootObstacle({ root });
    if (obstacle !== undefined) return;
    built();
    former();
    machine = await bootMachine({ root, prepare: PROBER(root), show: [folder] });
    const pushes = [
      ...PUSHED_TIMERS,
      'redirect-gateway def1',
      `dhcp-option DNS ${VPN.resolver4}`,
      PATIENT,
    ];
    await machine.world.startServer({ pushes, more: [PATIENT] });
    await machine.writeProfile(PROFILE, false, undefined, { more: [PATIENT] });
  });
  afterAll(() => machine?.close());
  const on = (context: TestContext): Booted => {
    if (obstacle !== undefined) context.skip(obstacle);
    if (machine === undefined) throw new Error('the machine was not booted');
    return machine;
  };
  const sh = (it: Booted, script: string) =>
    it.ask(['sh', '-c', script], { milliseconds: patiently(120_000) });
  const must = async (it: Booted, script: string): Promise<string> => {
    const { status, stdout, stderr } = await sh(it, script);
    if (status !== 0) throw new Error(`${script}: ${status}\n${stdout}${stderr}`);
    return stdout;
  };
  const traces = async (it: Booted) =>
    (await must(it, `${TRACES}\nfind /usr -xdev -printf 'file %p %u:%g %m %l\\n' | sort`))
      .split('\n')
      .filter((line) => /killswitch/.test(line) || !OTHERS.test(line))
      .join('\n');
  const rules = (it: Booted) => must(it, 'nft -s list ruleset');
  const statusOf = async (it: Booted) =>
    JSON.parse((await it.ask([COMMAND, 'status', '--json'])).stdout);
  const connected = async (it: Booted) => {
    let said: unknown;
    await waitUntil(
      () => `the tunnel: ${JSON.stringify(said)}`,
      async () => {
        said = await statusOf(it);
        return (said as { state: string }).state === 'connected';
      },
      60_000,
    );
    // The end of the connect and what its refresh learns may change a rule.
    await waitUntil('the end of the connect', async () =>
      (await must(it, 'journalctl -b --no-pager -u openvpn-client@my-vpn')).includes(CONNECTED),
    );
    await waitUntil(
      'the refresh to end',
      async () =>
        !(await must(it, 'systemctl list-units --all --plain')).includes('ovpn-killswitch refresh'),
      60_000,
    );
    expect(await statusOf(it)).toMatchObject({ exact: true });
  };
  /** Returns the process of `watch`, once it says that it watches. */
  const watcher = async (it: Booted): Promise<string> => {
    await waitUntil('the watcher', async () => (await statusOf(it)).watch.running === true);
    return (await must(it, 'systemctl show --value -p MainPID ovpn-killswitch-watch')).trim();
  };
  /** Does something to the package; nothing leaves but the VPN, and no rule changes. */
  const unseen = async (it: Booted, script: string, fails = false) => {
    const loaded = await rules(it);
    let ended: Awaited<ReturnType<typeof sh>> | undefined;
    const seen = await seenDuring({ machine: it }, async () => {
      ended = await sh(it, script);
    });
    const said = `${script}: ${ended?.status}\n${ended?.stdout}${ended?.stderr}`;
    expect(ended?.status !== 0, said).toBe(fails);
    expect(seen, said).toMatchObject({ clear: [], lan: 0 });
    expect(await rules(it), said).toBe(loaded);
    return said;
  };

  test('apt installs it, and six commands later it is locked and connected', async (context) => {
    const it = on(context);
    await heard({ machine: it });
    before = await traces(it);
    await must(it, `${APT} install ${built().deb}`);
    expect(await must(it, `ls ${LIBRARY}/hooks-nftables.cache`)).not.toBe('');
    expect(Number(await must(it, SIZE))).toBeLessThan(4_000_000);
    await must(it, 'echo KILLSWITCH_LAN=off >>/etc/ovpn-killswitch/killswitch.env');
    for (const line of [`attach ${PROFILE}`, 'lock --yes', 'boot enable', 'watch enable'])
      await must(it, `${COMMAND} ${line}`);
    await must(it, 'systemctl enable --now openvpn-client@my-vpn');
    await connected(it);
    expect(await seenDuring({ machine: it }, async () => undefined)).toMatchObject({
      clear: [],
      lan: 0,
    });
  });

  test('connected, a reinstallation, an upgrade and a downgrade let nothing out and change no rule', async (context) => {
    const it = on(context);
    const next = built().variant('0.9.0', 'preinst', ':');
    const unit = '/etc/systemd/system/ovpn-killswitch.service';
    const wrong = `${unit} is not what it should be`;
    await must(it, `echo '# of another version' >>${unit}; systemctl daemon-reload`);
    expect((await statusOf(it)).boot.problems).toContain(wrong);
    const first = await watcher(it);
    await unseen(it, `${APT} --reinstall install ${built().deb}`);
    expect((await statusOf(it)).boot.problems).not.toContain(wrong);
    // The same program: nobody is without a watcher, even for a moment.
    expect(await watcher(it)).toBe(first);
    await unseen(it, `${APT} install ${next}`);
    expect(await must(it, 'dpkg -s ovpn-killswitch')).toContain('Version: 0.9.0');
    expect(await must(it, `${COMMAND} --version`)).toBe('ovpn-killswitch 0.9.0\n');
    const second = await watcher(it);
    expect(second).not.toBe(first);
    await unseen(it, `${APT} --allow-downgrades install ${built().deb}`);
    const third = await watcher(it);
    expect([first, second]).not.toContain(third);
    // The new one does its work. An added rule lets nothing out.
    await must(it, 'nft add rule inet ovpn_killswitch postrouting counter');
    await waitUntil('the rules', async () => (await statusOf(it)).exact === true);
    await must(it, 'systemctl restart openvpn-client@my-vpn');
    await connected(it);
  });

  test('connected, an upgrade that is aborted, or finds no space, lets nothing out and leaves what was there', async (context) => {
    const it = on(context);
    const broken = built().variant('0.9.1', 'preinst', 'exit 1');
    const next = built().variant('0.9.2', 'preinst', ':');
    const old = await watcher(it);
    await unseen(it, `${APT} install ${broken}`, true);
    expect(await watcher(it)).toBe(old);
    await must(
      it,
      `rm ${LIBRARY}/hooks-*.cache
       cp -a ${LIBRARY} /run/kept
       mount -t tmpfs -o mode=755,size=$(($(du -sk ${LIBRARY} | cut -f1) + 64))k full ${LIBRARY}
       cp -a /run/kept/. ${LIBRARY}/`,
    );
    const said = await unseen(it, `${APT} install ${next}`, true);
    expect(said).toContain('No space left on device');
    expect(await watcher(it)).toBe(old);
    await must(it, `umount ${LIBRARY}; rm -r /run/kept; dpkg --configure -a`);
    await must(it, `${APT} --reinstall --allow-downgrades install ${built().deb}`);
    await must(it, 'systemctl restart openvpn-client@my-vpn');
    await connected(it);
  });

  test.for(newer)(
    'connected, Node %s comes as an upgrade: hooks go on, compiled anew',
    async (major, context) => {
      const it = on(context);
      const program = execFileSync(`${CI}/node`, [major], { encoding: 'utf8' }).trim();
      const version = execFileSync(program, ['--version'], { encoding: 'utf8' }).trim().slice(1);
      const old = await watcher(it);
      await unseen(it, `${APT} install ${built().nodejs(version, program)}`);
      const after = await watcher(it);
      expect(after).not.toBe(old);
      expect(await must(it, `readlink /proc/${after}/exe`)).toBe('/usr/bin/node\n');
      expect(await must(it, 'node --version')).toBe(`v${version}\n`);
      expect(await must(it, `cat ${LIBRARY}/hooks/up`)).toContain(`"v${version}"`);
      await must(it, 'systemctl restart openvpn-client@my-vpn');
      await connected(it);
    },
  );

  test('boots locked, and connects again', async (context) => {
    const it = on(context);
    const seen = await seenAtBoot({ machine: it }, it.reboot);
    expect(seen).toMatchObject({ clear: [], lan: 0 });
    expect(await it.failedUnits()).toEqual([]);
    await connected(it);
  });

  test('removed while it is connected, the machine stays locked, now and after a boot', async (context) => {
    const it = on(context);
    expect(await unseen(it, `${APT} remove ovpn-killswitch`)).toContain('stays LOCKED');
    // On the way down OpenVPN may still say goodbye.
    expect(await seenAtBoot({ machine: it }, it.reboot)).toMatchObject({ clear: [], lan: 0 });
    expect(await rules(it)).toContain('hook postrouting priority 200; policy drop;');
  });

  test('installed again it knows its state; purged after unlock it leaves nothing', async (context) => {
    const it = on(context);
    await unseen(it, `${APT} install ${built().deb}`);
    expect(await statusOf(it)).toMatchObject({ state: 'blocked' });
    await must(it, 'systemctl disable --now openvpn-client@my-vpn');
    for (const line of [`detach ${PROFILE}`, 'boot disable', 'unlock'])
      await must(it, `${COMMAND} ${line}`);
    await heard({ machine: it });
    await must(it, `${APT} purge ovpn-killswitch`);
    expect(differences(before, await traces(it))).toEqual([]);
  });

  test.for([
    ['of this version', () => built().tarball],
    ['of 0.1.0', former],
  ] as const)(
    'connected, an installation from source %s becomes part of the package; nothing leaves, and a purge after unlock leaves nothing',
    async ([, from], context) => {
      const it = on(context);
      const source = '/usr/local/sbin/ovpn-killswitch';
      const files = from();
      if (files === undefined) return context.skip('the history of this repository is not here');
      await must(
        it,
        files.endsWith('.gz')
          ? `mkdir /run/source; tar -xzf ${files} -C /run/source; node /run/source/*/dist/cli.js install; rm -r /run/source`
          : `node ${files}/dist/cli.js install`,
      );
      await must(it, 'echo KILLSWITCH_LAN=off >>/etc/ovpn-killswitch/killswitch.env');
      for (const line of [`attach ${PROFILE}`, 'lock --yes', 'boot enable', 'watch enable'])
        await must(it, `${source} ${line}`);
      await must(it, 'systemctl enable --now openvpn-client@my-vpn');
      await waitUntil('the tunnel', async () =>
        (await must(it, `${source} status --short || :`)).includes('connected'),
      );

      await unseen(it, `${APT} install ${built().deb}`);
      const placed = await must(
        it,
        `cat ${PROFILE} /etc/systemd/system/ovpn-killswitch*; readlink /usr/local/lib/ovpn-killswitch ${source}`,
      );
      expect(placed).not.toContain('/usr/local');
      expect(placed).toContain(`up ${LIBRARY}/hooks/up`);
      expect(placed.split('\n').slice(-3)).toEqual([LIBRARY, COMMAND, '']);
      await connected(it);
      // OpenVPN still calls the hook of the old place.
      await must(it, 'systemctl stop openvpn-client@my-vpn');
      expect(await statusOf(it)).toMatchObject({ state: 'blocked', exact: true, tunnels: [] });
      await must(it, 'systemctl start openvpn-client@my-vpn');
      await connected(it);
      expect(await seenAtBoot({ machine: it }, it.reboot)).toMatchObject({ clear: [], lan: 0 });
      expect(await it.failedUnits()).toEqual([]);
      await connected(it);

      await must(it, 'systemctl disable --now openvpn-client@my-vpn');
      for (const line of [`detach ${PROFILE}`, 'watch disable', 'boot disable', 'unlock'])
        await must(it, `${COMMAND} ${line}`);
      await must(it, `${APT} purge ovpn-killswitch`);
      expect(differences(before, await traces(it))).toEqual([]);
    },
  );
});

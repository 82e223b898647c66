import { describe, expect, test } from 'vitest';
import { writeSettings } from '../../src/proof/product.ts';
import { waitUntil } from '../../src/proof/wait-until.ts';
import { tunnelCall } from '../hooks/captures.ts';
import { hookArgv } from '../hooks/installed-machine.ts';
import {
  type Debian,
  HEARD,
  NOTHING,
  SETTINGS,
  sceneOf,
  seenAtBoot,
  statusOf,
  TOOLS,
} from './boot-scene.ts';

/**
 * The service of those that have one loads what was saved, and saves. Debian has
 * none.
 */
const IPTABLES_SERVICE = `#!/sbin/openrc-run
extra_commands="save"
depend() {
	after mountall
	before net
}
start() {
	ebegin "Loading iptables state"
	[ ! -e /var/lib/iptables/rules-save ] || iptables-restore </var/lib/iptables/rules-save
	eend $?
}
save() {
	mkdir -p /var/lib/iptables
	iptables-save >/var/lib/iptables/rules-save
}
`;

/**
 * Debian with OpenRC as its first processes and ifupdown; netfilter-persistent is on. One story:
 * each test goes on from the one before.
 */
const DEBIAN: Debian = { root: 'openrc-networking-12', backend: 'nftables' };

describe('a machine that OpenRC boots', () => {
  const at = sceneOf(DEBIAN);

  test('is known as one, and has the service in a runlevel, before the network', async (context) => {
    const it = at(context);
    expect((await statusOf(it)).boot).toEqual({ with: 'openrc', sysctl: false, problems: [] });
    expect(await it.machine.sh('rc-update show sysinit')).toContain('ovpn-killswitch | sysinit');
    expect(await seenAtBoot(it, it.machine.powerCut)).toMatchObject(NOTHING);
    expect(await statusOf(it)).toMatchObject({
      state: 'blocked',
      exact: true,
      boot: { problems: [] },
    });
    expect(await it.machine.failedUnits()).toEqual([]);
    const started = await it.machine.sh(
      "rc-status --nocolor sysinit | awk '/started/ { print $1 }'",
    );
    expect(started.split('\n')).toEqual(
      expect.arrayContaining(['ovpn-killswitch', 'networking', 'netfilter-persistent']),
    );
  });

  test('is not opened by a stop of the service, and a start loads what somebody has flushed', async (context) => {
    const it = at(context);
    await it.machine.sh('rc-service ovpn-killswitch stop');
    expect(await statusOf(it)).toMatchObject({ state: 'blocked', exact: true });
    await it.machine.sh('nft flush ruleset; rc-service ovpn-killswitch start');
    expect(await statusOf(it)).toMatchObject({ state: 'blocked', exact: true });
  });

  test('sees the service fail where no rule can be loaded', async (context) => {
    const it = at(context);
    await it.machine.sh(`nft flush ruleset; for each in ${TOOLS}; do mv $each $each.away; done`);
    const failed = await it.machine.ask(['rc-service', 'ovpn-killswitch', 'restart']);
    expect(failed.status).not.toBe(0);
    expect(failed.stdout + failed.stderr).toContain('the network is off');
    expect(
      (await it.machine.sh('ip rule; ip -6 rule')).match(/1:\s+from all prohibit/g),
    ).toHaveLength(2);
    await it.machine.sh(
      'for each in /usr/sbin/*.away; do mv $each $(dirname $each)/$(basename $each .away); done',
    );
    await it.machine.sh('rc-service ovpn-killswitch restart');
    expect(await it.machine.sh('ip rule')).not.toContain('prohibit');
  });

  test('keeps "watch" running: after a crash, and after a restart of the machine', async (context) => {
    const it = at(context);
    const runs = () =>
      waitUntil('the watcher', async () => (await statusOf(it)).watch.running === true);
    const putsBack = async () => {
      await it.machine.sh('nft flush ruleset');
      await waitUntil('the rules', async () => (await statusOf(it)).exact === true, 5_000);
    };
    expect((await statusOf(it)).watch).toEqual({ enabled: false, running: false });
    await it.product.must('watch', 'enable');
    await runs();
    await putsBack();
    const pid = JSON.parse(it.machine.file('/run/ovpn-killswitch/watch')).pid;
    await it.machine.sh(`kill -9 ${pid}`);
    await waitUntil(
      'another watcher',
      async () =>
        (await statusOf(it)).watch.running &&
        JSON.parse(it.machine.file('/run/ovpn-killswitch/watch')).pid !== pid,
    );
    await putsBack();
    expect(await seenAtBoot(it, it.machine.powerCut)).toMatchObject(NOTHING);
    await runs();
    await putsBack();
    await it.product.must('watch', 'disable');
    expect((await statusOf(it)).watch).toEqual({ enabled: false, running: false });
    expect(await it.machine.sh('ls /etc/init.d /etc/runlevels/*; ps -eo args')).not.toMatch(
      /ovpn-killswitch.watch/,
    );
  });

  test('is refused with iptables while netfilter-persistent is on, which would load its rules over ours after the network', async (context) => {
    const it = at(context);
    await writeSettings(it.machine, SETTINGS('iptables'));
    await it.product.must('lock');
    expect((await statusOf(it)).boot.problems).toEqual([
      expect.stringContaining('netfilter-persistent'),
    ]);
    for (const how of [[], ['--with', 'netfilter-persistent']])
      expect(await it.product.command('boot', 'enable', ...how)).toMatchObject({ status: 69 });
    await it.machine.sh(
      'rc-service netfilter-persistent save; rc-update del netfilter-persistent sysinit',
    );
    await it.product.must('boot', 'enable');
    expect(await seenAtBoot(it, it.machine.powerCut)).toMatchObject(NOTHING);
    expect(await statusOf(it)).toMatchObject({
      state: 'blocked',
      exact: true,
      boot: { problems: [] },
    });
  });

  test('with the iptables service of Gentoo and Alpine, played: a save while a tunnel is up brings no tunnel back, and it may not start after us', async (context) => {
    const it = at(context);
    await it.machine.sh(
      'cat >/etc/init.d/iptables; chmod 755 /etc/init.d/iptables; rc-update add iptables default',
      IPTABLES_SERVICE,
    );
    expect((await statusOf(it)).boot.problems).toEqual([
      expect.stringContaining('OpenRC starts iptables in the runlevel default, after our service'),
    ]);
    expect(await it.product.command('boot', 'enable')).toMatchObject({ status: 69 });
    await it.machine.sh('rc-update del iptables default; rc-update add iptables sysinit');
    await it.product.must('boot', 'enable');
    const { status, stderr } = await it.machine.ask(hookArgv('up', tunnelCall('tun0')));
    expect(status, stderr).toBe(0);
    await it.machine.sh('rc-service iptables save');
    expect(it.machine.file('/var/lib/iptables/rules-save')).toContain('KILLSWITCH-O-tun0');
    expect(await seenAtBoot(it, it.machine.powerCut)).toMatchObject(NOTHING);
    expect(
      await it.machine.sh("rc-status --nocolor sysinit | awk '/started/ { print $1 }'"),
    ).toMatch(/^iptables$/m);
    expect(await statusOf(it)).toMatchObject({
      state: 'blocked',
      exact: true,
      boot: { problems: [] },
    });
    expect(await it.machine.sh('iptables-save')).not.toContain('tun0');
    await it.machine.sh('rc-update del iptables sysinit; rm /etc/init.d/iptables');
  });

  test('is open after "boot disable", and knows the service no more', async (context) => {
    const it = at(context);
    await it.product.must('boot', 'disable');
    expect(await it.machine.sh('ls /etc/init.d /etc/runlevels/*')).not.toContain('ovpn-killswitch');
    expect((await seenAtBoot(it, it.machine.powerCut)).clear).toHaveLength(HEARD);
  });
});

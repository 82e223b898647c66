import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { LAN, UPLINK } from '../../src/proof/addresses.ts';
import { waitUntil } from '../../src/proof/wait-until.ts';
import { tunnelCall } from '../hooks/captures.ts';
import { hookArgv } from '../hooks/installed-machine.ts';
import { exposureIn } from '../support/exposure.ts';
import {
  type Debian,
  GROUP,
  HEARD,
  heard,
  NOTHING,
  type Scene,
  STATE,
  sceneOf,
  seenAtBoot,
  seenFromNow,
  statusOf,
} from './boot-scene.ts';

const EXAMPLES = resolve(import.meta.dirname, '../../openvpn-examples');

const DEBIANS: readonly Debian[] = [
  { root: 'systemd-12', backend: 'iptables' },
  { root: 'systemd-13', backend: 'nftables' },
];

/**
 * A fault on the disk that the next boot meets, what fixes it, and whether the network comes up:
 * shut, or not at all. More in boot-minute.
 */
interface Fault {
  readonly fault: string;
  readonly make: string;
  readonly fix: string;
  readonly network: 'up' | 'down';
}

const FAULTS: readonly Fault[] = [
  {
    fault: 'the state is gone',
    make: `mv ${STATE} /var/kept`,
    fix: `mv /var/kept ${STATE}`,
    network: 'up',
  },
  {
    fault: 'the boot script is gone',
    make: 'mv /usr/local/lib/ovpn-killswitch/boot /var/kept',
    fix: 'mv /var/kept /usr/local/lib/ovpn-killswitch/boot',
    network: 'down',
  },
  {
    fault: 'both units are masked',
    make: 'cd /etc/systemd/system; mkdir /var/kept; mv ovpn-killswitch*.service /var/kept; for each in /var/kept/*; do ln -s /dev/null $(basename $each); done',
    fix: 'mv -f /var/kept/* /etc/systemd/system/; rmdir /var/kept',
    network: 'down',
  },
  {
    fault: 'both units are gone',
    make: 'mkdir /var/kept; mv /etc/systemd/system/ovpn-killswitch*.service /var/kept',
    fix: 'mv -f /var/kept/* /etc/systemd/system/; rmdir /var/kept',
    network: 'down',
  },
  {
    fault: 'nftables.service flushes every rule at its start',
    make: 'ln -s /lib/systemd/system/nftables.service /etc/systemd/system/sysinit.target.wants/nftables.service',
    fix: 'rm /etc/systemd/system/sysinit.target.wants/nftables.service',
    network: 'up',
  },
];

describe.each(DEBIANS)('a restart of $root with $backend, from before power-on,', (debian) => {
  const at = sceneOf(debian);

  test('lets nothing out but what neighbours say, and the base is exactly what it should be', async (context) => {
    const it = at(context);
    const seen = await seenAtBoot(it, it.machine.reboot);
    expect(seen).toMatchObject(NOTHING);
    expect(seen.neighbours['ARP']).toBeGreaterThan(0);
    expect(await statusOf(it)).toMatchObject({
      state: 'blocked',
      exact: true,
      boot: { with: 'systemd', problems: [] },
    });
    expect(await it.machine.failedUnits()).toEqual([]);
    for (const unit of ['ovpn-killswitch.service', 'ovpn-killswitch-early.service']) {
      const exposure = exposureIn(
        await it.machine.sh(`systemd-analyze security --no-pager ${unit}`),
      );
      process.stdout.write(`${debian.root}: ${unit} is exposed ${exposure}\n`);
      expect(exposure).toBeLessThan(5);
    }
    const order = await it.machine.sh(
      'systemctl show -p ActiveEnterTimestampMonotonic --value ovpn-killswitch.service network-pre.target systemd-networkd.service',
    );
    const [unit = 0, pre = 0, networkd = 0] = order
      .split('\n')
      .filter((line) => line !== '')
      .map(Number);
    expect(unit).toBeGreaterThan(0);
    expect(pre).toBeGreaterThanOrEqual(unit);
    expect(networkd).toBeGreaterThanOrEqual(unit);
    const log = await it.machine.sh(
      'journalctl -b --no-pager -o cat 2>/dev/null | grep -i "ordering cycle" || :',
    );
    expect(log).toBe('');
  });

  for (const { fault, make, fix, network } of FAULTS)
    test(`is never open when ${fault}`, async (context) => {
      const it = at(context);
      await it.machine.sh(make);
      try {
        const seen = await seenAtBoot(it, it.machine.powerCut);
        const addresses = await it.machine.sh(`ip -br address show dev ${UPLINK}`);
        expect(seen).toMatchObject(NOTHING);
        expect(addresses.includes(LAN.client4)).toBe(network === 'up');
      } finally {
        await it.machine.sh(fix);
      }
    });

  test('starts a client with the drop-in of the examples after the rules, again and again, and docker likewise', async (context) => {
    const { machine } = at(context);
    for (const [example, unit] of [
      ['openvpn-client', 'openvpn-client@'],
      ['docker', 'docker'],
    ]) {
      const folder = `/etc/systemd/system/${unit}.service.d`;
      await machine.sh(
        `mkdir -p ${folder}; cat >${folder}/killswitch.conf`,
        readFileSync(join(EXAMPLES, `${example}.service.conf`), 'utf8'),
      );
    }
    await machine.sh(
      'printf "[Service]\\nExecStart=/bin/true\\n" >/etc/systemd/system/docker.service; systemctl daemon-reload',
    );
    const shown = async (unit: string) =>
      machine.sh(`systemctl show -p Requires,After,Restart ${unit}.service`);
    for (const unit of ['openvpn-client@mine', 'docker']) {
      expect(await shown(unit)).toMatch(/^Requires=.*\bovpn-killswitch\.service\b/m);
      expect(await shown(unit)).toMatch(/^After=.*\bovpn-killswitch\.service\b/m);
    }
    expect(await shown('openvpn-client@mine')).toMatch(/^Restart=always$/m);
  });

  test('ends a portal: its rules are gone', async (context) => {
    const it = at(context);
    const rules = () => it.machine.sh('iptables-save; nft list ruleset');
    await it.product.must('portal', '--user', 'nobody', '--for', '30m');
    expect(await statusOf(it)).toMatchObject({ state: 'portal', exact: true });
    expect(await rules()).toContain('portal');
    expect(await seenAtBoot(it, it.machine.powerCut)).toMatchObject(NOTHING);
    expect(await statusOf(it)).toMatchObject({ state: 'blocked', exact: true });
    expect(await rules()).not.toContain('portal');
  });

  // Five seconds have passed by the time it has booted, an hour has not.
  test.for([
    ['5s', 'reboot'],
    ['1h', 'powerCut'],
  ] as const)(
    'ends an unlock for %s: it is locked from its first frame on (%s)',
    async ([time, how], context) => {
      const it = at(context);
      await it.product.must('unlock', '--for', time);
      await heard(it);
      // It starts again with the machine. The kernel says a second time that it has left a group,
      // within a second (RFC 3376, 8.1 and 8.11).
      await it.machine.sh(
        `systemctl stop prober; ip address del ${GROUP}/32 dev ${UPLINK} 2>/dev/null || true; sleep 2`,
      );
      await it.machine.world.capture.tally();
      expect(await seenAtBoot(it, it.machine[how])).toMatchObject(NOTHING);
      expect(await statusOf(it)).toMatchObject({ state: 'blocked', exact: true, until: null });
    },
  );

  test('is not needed for an unlock to end: a unit of systemd locks again, also over a suspend', async (context) => {
    const it = at(context);
    await it.product.must('unlock', '--for', '1h');
    expect(await it.machine.sh('systemctl list-units --no-legend --no-pager')).toContain(
      'ovpn-killswitch due at ',
    );
    await heard(it);
    // The clock of the boot after a suspend of more than an hour.
    await it.machine.sh(
      `read -r now rest </proc/uptime; echo "$((\${now%.*} + 3700)).00 $rest" >/run/uptime; mount --bind /run/uptime /proc/uptime`,
    );
    await waitUntil('the lock', async () => (await statusOf(it)).state === 'blocked', 60_000);
    await it.machine.sh('umount /proc/uptime');
    expect(await seenFromNow(it)).toMatchObject(NOTHING);
    expect(await statusOf(it)).toMatchObject({ exact: true, until: null });
  });

  test('is not needed for a lock to be taken back: its terminal was killed, and nobody confirmed it', async (context) => {
    const it = at(context);
    await it.product.must('unlock');
    const lock = 'ovpn-killswitch lock --confirm 20; sleep 1000';
    it.machine.start(['sh', '-c', `echo $$ >/run/terminal; exec script -qec '${lock}' /dev/null`]);
    await waitUntil('the lock', async () => (await statusOf(it)).state === 'blocked');
    expect(await seenFromNow(it)).toMatchObject(NOTHING);
    await it.machine.sh(
      'kill -9 $(cat /run/terminal); while [ -e /proc/$(cat /run/terminal) ]; do sleep 0.1; done',
    );
    expect(await statusOf(it)).toMatchObject({ state: 'blocked', until: expect.any(Number) });
    await waitUntil(
      'the end of the lock',
      async () => (await statusOf(it)).state === 'unlocked',
      60_000,
    );
    await heard(it);
    await it.product.must('lock');
  });

  test('is open after a lock that nobody had confirmed, also beside nftables.service', async (context) => {
    const it = at(context);
    await it.product.must('unlock');
    const link = '/etc/systemd/system/sysinit.target.wants/nftables.service';
    await it.machine.sh(`ln -s /lib/systemd/system/nftables.service ${link}`);
    await it.product.must('lock', '--confirm', '3600');
    expect(await it.machine.sh('systemctl restart nftables; systemctl cat nftables')).toContain(
      'killswitch',
    );
    expect(await seenFromNow(it)).toMatchObject(NOTHING);
    const seen = await seenAtBoot(it, it.machine.powerCut);
    await it.machine.sh(`systemctl is-active nftables; rm ${link}; systemctl stop nftables`);
    expect(seen.clear).toHaveLength(HEARD);
    expect(await statusOf(it)).toMatchObject({ state: 'unlocked' });
    await it.product.must('lock');
  });

  test('would be open without the unit: the prober is heard at once', async (context) => {
    const it = at(context);
    await it.product.must('boot', 'disable');
    const seen = await seenAtBoot(it, it.machine.powerCut);
    expect(seen.clear).toHaveLength(HEARD);
    expect(seen.lan).toBeGreaterThan(0);
  });
});

describe('a restart with netfilter-persistent, after it has saved the rules of a live tunnel,', () => {
  const at = sceneOf({
    root: 'netfilter-persistent-12',
    backend: 'iptables',
    how: 'netfilter-persistent',
  });
  const saved = (it: Scene) => it.machine.sh('cat /etc/iptables/rules.v4');

  test.for(['netfilter-persistent', 'systemd'])(
    'lets nothing out, and brings back no tunnel: %s',
    async (how, context) => {
      const it = at(context);
      await it.product.must('boot', 'enable', '--with', how);
      const { status, stderr } = await it.machine.ask(hookArgv('up', tunnelCall('tun0')));
      expect(status, stderr).toBe(0);
      await it.machine.sh('netfilter-persistent save');
      expect(await saved(it)).toContain('KILLSWITCH-O-tun0');
      await it.machine.sh('netfilter-persistent reload');
      expect(await it.machine.sh('iptables-save; ip6tables-save')).not.toContain('tun0');
      expect(await statusOf(it)).toMatchObject({ state: 'connected', exact: false });
      const seen = await seenAtBoot(it, it.machine.powerCut);
      expect(seen).toMatchObject(NOTHING);
      expect(await statusOf(it)).toMatchObject({
        state: 'blocked',
        exact: true,
        boot: { with: how, problems: [] },
      });
      expect(await it.machine.sh('iptables-save')).not.toContain('tun0');
      expect(await it.machine.sh('systemctl is-active netfilter-persistent')).toBe('active\n');
    },
  );

  test('with rules of the owner that were saved before, loads both, ours on top', async (context) => {
    const it = at(context);
    await it.machine.sh(
      'iptables -A INPUT -p tcp --dport 22 -j ACCEPT; iptables -A OUTPUT -j ACCEPT; netfilter-persistent save',
    );
    expect(await seenAtBoot(it, it.machine.powerCut)).toMatchObject(NOTHING);
    expect(await it.machine.sh('iptables -S')).toContain(
      '-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT',
    );
    expect(await statusOf(it)).toMatchObject({ state: 'blocked', exact: true });
  });
});

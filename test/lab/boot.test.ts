import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import type { BackendName } from '../../src/policy/settings.ts';
import { INTERNET, LAN, UPLINK } from '../../src/proof/addresses.ts';
import type { Tally } from '../../src/proof/capture.ts';
import { installProduct, type Product } from '../../src/proof/product.ts';
import { until } from '../../src/proof/until.ts';
import { DIST } from '../e2e/stage.ts';
import { tunnelCall } from '../hooks/captures.ts';
import { hookArgv } from '../hooks/installed-machine.ts';
import { type Booted, bootMachine, bootObstacle } from '../support/booted.ts';

const EXAMPLES = resolve(import.meta.dirname, '../../openvpn-examples');

interface Debian {
  readonly root: string;
  readonly backend: BackendName;
  /** What loads the rules at boot; without it what `boot enable` chooses. */
  readonly how?: string;
}

const DEBIANS: readonly Debian[] = [
  { root: 'systemd-12', backend: 'iptables' },
  { root: 'systemd-13', backend: 'nftables' },
];

const SETTINGS = (backend: BackendName) =>
  `KILLSWITCH_BACKEND=${backend}\nKILLSWITCH_LAN=off\nKILLSWITCH_ENDPOINTS=${INTERNET.vpn4}:1194/udp\n`;

const STATE = '/var/lib/ovpn-killswitch';
const TOOLS = '/usr/sbin/nft /usr/sbin/iptables* /usr/sbin/ip6tables* /usr/sbin/xtables*';

/** A service that sends to the internet and to the LAN from the first moment there is anything to send with, and counts its rounds. */
const PROBER = `
cat >/usr/local/bin/prober <<'END'
#!/bin/bash
exec 2>/dev/null
while :; do
  for each in ${INTERNET.web4} ${INTERNET.web6} ${INTERNET.resolver4} ${LAN.host4}; do echo probe >/dev/udp/$each/7777; done
  echo >>/run/probes
  read -t 0.02 <> <(:)
done
END
chmod 755 /usr/local/bin/prober
cat >/etc/systemd/system/prober.service <<'END'
[Unit]
DefaultDependencies=no
[Service]
ExecStart=/usr/local/bin/prober
[Install]
WantedBy=sysinit.target
END
systemctl enable prober.service
`;

/** Rounds of the prober that are waited for after everything has started: it sends at most fifty a second. */
const ROUNDS = 60;

/** Places in clear that it sends to. */
const HEARD = 3;

interface Scene {
  readonly machine: Booted;
  readonly product: Product;
}

async function open({ root, backend, how = 'auto' }: Debian): Promise<Scene> {
  const machine = await bootMachine({ root, prepare: PROBER });
  try {
    const product = await installProduct(machine, DIST, SETTINGS(backend));
    // Open, all of it is heard. What waits for the answer of a neighbour has passed the filter already, and would be sent after the lock.
    await until('the prober to be heard', () => Object.keys(machine.world.capture.soFar().byName).length === HEARD);
    await product.must('lock');
    await product.must('boot', 'enable', '--with', how);
    await machine.world.capture.tally();
    return { machine, product };
  } catch (thrown) {
    await machine.close();
    throw thrown;
  }
}

/** What left: in clear by probe, else in packets. */
interface Seen extends Pick<Tally, 'lan' | 'vpn' | 'neighbour'> {
  readonly clear: readonly string[];
}

/** What left from power-on until the prober has gone its rounds. */
async function seenAtBoot({ machine }: Scene, switchOn: () => Promise<void>): Promise<Seen> {
  const { capture } = machine.world;
  const before = structuredClone(capture.soFar());
  await switchOn();
  const rounds = async () => Number(await machine.sh('wc -l </run/probes'));
  const first = await rounds();
  await until('the prober', async () => (await rounds()) >= first + ROUNDS);
  // With the link down nothing can leave; else the capture is asked whether it has seen all.
  const isUp = (await machine.sh(`ip -br -4 address show dev ${UPLINK} up`)).includes(LAN.client4);
  if (isUp) await capture.tally();
  const { byName, lan, vpn, neighbour } = capture.soFar();
  const clear = Object.entries(byName).filter(([name, count]) => count > (before.byName[name] ?? 0));
  return { clear: clear.map(([name]) => name), lan: lan - before.lan, vpn: vpn - before.vpn, neighbour: neighbour - before.neighbour };
}

const NOTHING = { clear: [], lan: 0, vpn: 0 };

/**
 * A fault on the disk that the next boot meets, what mends it, and whether the network comes up: shut, or not at all. `either`: what systemd
 * does while it boots with a service that requires a masked one differs between its versions.
 */
interface Fault {
  readonly fault: string;
  readonly make: string;
  readonly mend: string;
  readonly network: 'up' | 'down' | 'either';
}

const DEPENDENCY = '/etc/systemd/system/dependency.service';
const FAULTS: readonly Fault[] = [
  {
    fault: 'the base is cut off',
    make: `cp -a ${STATE} /var/kept; for each in ${STATE}/base.*; do sed -i 3q $each; done`,
    mend: `rm -r ${STATE}; mv /var/kept ${STATE}`,
    network: 'up',
  },
  {
    fault: 'the state is gone',
    make: `mv ${STATE} /var/kept`,
    mend: `mv /var/kept ${STATE}`,
    network: 'up',
  },
  {
    fault: 'nft and every iptables are renamed away',
    make: `for each in ${TOOLS}; do mv $each $each.away; done`,
    mend: 'for each in /usr/sbin/*.away; do mv $each $(dirname $each)/$(basename $each .away); done',
    network: 'down',
  },
  {
    fault: 'the boot script is gone',
    make: 'mv /usr/local/lib/ovpn-killswitch/boot /var/kept',
    mend: 'mv /var/kept /usr/local/lib/ovpn-killswitch/boot',
    network: 'down',
  },
  {
    fault: 'the unit is masked, and the early one has loaded the base',
    make: 'cd /etc/systemd/system; mv ovpn-killswitch.service /var/kept; ln -s /dev/null ovpn-killswitch.service',
    mend: 'mv -f /var/kept /etc/systemd/system/ovpn-killswitch.service',
    network: 'either',
  },
  {
    fault: 'both units are masked',
    make: 'cd /etc/systemd/system; mkdir /var/kept; mv ovpn-killswitch*.service /var/kept; for each in /var/kept/*; do ln -s /dev/null $(basename $each); done',
    mend: 'mv -f /var/kept/* /etc/systemd/system/; rmdir /var/kept',
    network: 'down',
  },
  {
    fault: 'both units are gone',
    make: 'mkdir /var/kept; mv /etc/systemd/system/ovpn-killswitch*.service /var/kept',
    mend: 'mv -f /var/kept/* /etc/systemd/system/; rmdir /var/kept',
    network: 'down',
  },
  {
    fault: 'something that the unit was made to require fails',
    make: `printf '[Service]\\nType=oneshot\\nExecStart=/bin/false\\n' >${DEPENDENCY}
      mkdir /etc/systemd/system/ovpn-killswitch.service.d
      printf '[Unit]\\nRequires=dependency.service\\nAfter=dependency.service\\n' >/etc/systemd/system/ovpn-killswitch.service.d/more.conf`,
    mend: `rm -r ${DEPENDENCY} /etc/systemd/system/ovpn-killswitch.service.d`,
    network: 'down',
  },
  {
    fault: '/usr cannot be written',
    make: `cat >/etc/systemd/system/usr-ro.service <<'END'
[Unit]
DefaultDependencies=no
Before=local-fs.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'mount --bind /usr /usr && mount -o remount,bind,ro /usr'
END
      mkdir -p /etc/systemd/system/local-fs.target.wants; ln -s ../usr-ro.service /etc/systemd/system/local-fs.target.wants/`,
    mend: 'rm /etc/systemd/system/usr-ro.service /etc/systemd/system/local-fs.target.wants/usr-ro.service',
    network: 'up',
  },
  {
    fault: 'nftables.service flushes every rule at its start',
    make: 'ln -s /lib/systemd/system/nftables.service /etc/systemd/system/sysinit.target.wants/nftables.service',
    mend: 'rm /etc/systemd/system/sysinit.target.wants/nftables.service',
    network: 'up',
  },
];

/** The machine of a `describe`, booted, locked and with its way to boot; a test that asks for it where it cannot be made is skipped. */
function sceneOf(debian: Debian): (context: TestContext) => Scene {
  const obstacle = bootObstacle(debian);
  let scene: Scene | undefined;
  beforeAll(async () => {
    if (obstacle === undefined) scene = await open(debian);
  }, 180_000);
  afterAll(() => scene?.machine.close());
  return (context) => {
    if (obstacle !== undefined) context.skip(obstacle);
    if (scene === undefined) throw new Error('the machine was not booted');
    return scene;
  };
}

async function statusOf({ product }: Scene): Promise<unknown> {
  return JSON.parse((await product.command('status', '--json')).stdout);
}

describe.each(DEBIANS)('a restart of $root with $backend, from before power-on,', (debian) => {
  const at = sceneOf(debian);

  test('lets nothing out but what neighbours say, and the base is exactly what it should be', async (context) => {
    const it = at(context);
    const seen = await seenAtBoot(it, it.machine.reboot);
    expect(seen).toMatchObject(NOTHING);
    expect(seen.neighbour).toBeGreaterThan(0);
    expect(await statusOf(it)).toMatchObject({ state: 'blocked', exact: true, boot: { with: 'systemd', problems: [] } });
    expect(await it.machine.failedUnits()).toEqual([]);
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
    const log = await it.machine.sh('journalctl -b --no-pager -o cat 2>/dev/null | grep -i "ordering cycle" || :');
    expect(log).toBe('');
  });

  for (const { fault, make, mend, network } of FAULTS)
    test(`is never open when ${fault}`, async (context) => {
      const it = at(context);
      await it.machine.sh(make);
      try {
        const seen = await seenAtBoot(it, it.machine.powerCut);
        const addresses = await it.machine.sh(`ip -br address show dev ${UPLINK}`);
        expect(seen).toMatchObject(NOTHING);
        if (network !== 'either') expect(addresses.includes(LAN.client4)).toBe(network === 'up');
      } finally {
        await it.machine.sh(mend);
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
    await machine.sh('printf "[Service]\\nExecStart=/bin/true\\n" >/etc/systemd/system/docker.service; systemctl daemon-reload');
    const shown = async (unit: string) => machine.sh(`systemctl show -p Requires,After,Restart ${unit}.service`);
    for (const unit of ['openvpn-client@mine', 'docker']) {
      expect(await shown(unit)).toMatch(/^Requires=.*\bovpn-killswitch\.service\b/m);
      expect(await shown(unit)).toMatch(/^After=.*\bovpn-killswitch\.service\b/m);
    }
    expect(await shown('openvpn-client@mine')).toMatch(/^Restart=always$/m);
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
  const at = sceneOf({ root: 'netfilter-persistent-12', backend: 'iptables', how: 'netfilter-persistent' });
  const saved = (it: Scene) => it.machine.sh('cat /etc/iptables/rules.v4');

  test.for(['netfilter-persistent', 'systemd'])('lets nothing out, and brings back no tunnel: %s', async (how, context) => {
    const it = at(context);
    await it.product.must('boot', 'enable', '--with', how);
    const { status, stderr } = await it.machine.ask(hookArgv('up', tunnelCall('tun0')));
    expect(status, stderr).toBe(0);
    await it.machine.sh('netfilter-persistent save');
    expect(await saved(it)).toContain('KILLSWITCH-O-tun0');
    const seen = await seenAtBoot(it, it.machine.powerCut);
    expect(seen).toMatchObject(NOTHING);
    expect(await statusOf(it)).toMatchObject({ state: 'blocked', exact: true, boot: { with: how, problems: [] } });
    expect(await it.machine.sh('iptables-save')).not.toContain('tun0');
    expect(await it.machine.sh('systemctl is-active netfilter-persistent')).toBe('active\n');
  });

  test('with rules of the owner that were saved before, loads both, ours on top', async (context) => {
    const it = at(context);
    await it.machine.sh('iptables -A INPUT -p tcp --dport 22 -j ACCEPT; iptables -A OUTPUT -j ACCEPT; netfilter-persistent save');
    expect(await seenAtBoot(it, it.machine.powerCut)).toMatchObject(NOTHING);
    expect(await it.machine.sh('iptables -S')).toContain('-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT');
    expect(await statusOf(it)).toMatchObject({ state: 'blocked', exact: true });
  });
});

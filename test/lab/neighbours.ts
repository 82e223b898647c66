import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import type { BackendName } from '../../src/policy/settings.ts';
import { DEVICE, INTERNET, LAN } from '../../src/proof/addresses.ts';
import { startProberIn } from '../../src/proof/client-programs.ts';
import { CONNECTED } from '../../src/proof/openvpn.ts';
import type { ProberRun } from '../../src/proof/prober-run.ts';
import { marker, NOBODY } from '../../src/proof/probes.ts';
import { installProduct, type Product, writeSettings } from '../../src/proof/product.ts';
import { waitUntil } from '../../src/proof/wait-until.ts';
import { DIST } from '../e2e/stage.ts';
import { LOG } from '../hooks/installed-machine.ts';
import { type Booted, bootMachine, bootObstacle } from '../support/booted.ts';
import {
  type Effect,
  LIBVIRTD,
  NEIGHBOURS,
  type Neighbour,
  PHASES,
  type Phase,
} from './neighbour-table.ts';
import { PATIENT_SERVER } from './open-lab.ts';

/** The product's promise for "watch", plus the time that a busy machine may add. */
const PROMISED_MILLISECONDS = 1_000;
const GRACE_MILLISECONDS = 1_000;

const SERVICES =
  'ufw firewalld fail2ban docker.service docker.socket containerd libvirtd.service libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket libvirt-guests virtlockd.socket virtlockd-admin.socket virtlogd.socket virtlogd-admin.socket netfilter-persistent';

/** Nothing of them runs until a test starts it. */
const PREPARE = `
for each in ${SERVICES}; do systemctl disable $each || :; done
cp /etc/nftables.conf /etc/nftables.conf.debian
mkdir -p /etc/docker /etc/fail2ban/jail.d
echo '{ "data-root": "/run/docker-data", "exec-root": "/run/docker-exec", "storage-driver": "vfs" }' >/etc/docker/daemon.json
printf '[sshd]\\nenabled = true\\nbackend = systemd\\n' >/etc/fail2ban/jail.d/lab.local
[ ! -e /etc/ufw/ufw.conf ] || sed -i s/ENABLED=no/ENABLED=yes/ /etc/ufw/ufw.conf
`;

/**
 * A guest's repeated message: the capture knows it by its payload. Its shell has to be bash.
 */
export const SAY = `echo ${marker('guest', 1)} >/dev/udp/${INTERNET.web4}/7`;

/**
 * Sends from a machine of its own behind a bridge, as a guest or a container would, for as long as
 * its bridge is there.
 */
const GUEST = (bridge: string, network: string) => `
ip netns add guest
ip link add guest0 type veth peer name eth0 netns guest
# A port would wait for seconds before it forwards.
ip link set ${bridge} type bridge stp_state 0
ip link set ${bridge} type bridge forward_delay 0
ip link set guest0 master ${bridge} up
ip -n guest address add ${network}.77/24 dev eth0
ip -n guest link set eth0 up
ip -n guest route add default via ${network}.1
cat >/run/guest <<'END'
while :; do ${SAY}; echo >>/run/guest.sent; read -t 0.02 <> <(:); done
END
systemd-run --quiet --unit guest ip netns exec guest bash /run/guest
`;

const CLEAN = `
[ ! -e /var/lib/ovpn-killswitch/boot/with ] || ovpn-killswitch boot disable
! systemctl -q is-active libvirtd || { ${LIBVIRTD('stop')}; }
systemctl stop ${SERVICES} nftables guest openvpn-client@lab 2>/dev/null || :
ip netns delete guest 2>/dev/null || :
[ ! -e /run/libvirt/network/default.pid ] || kill $(cat /run/libvirt/network/default.pid) || :
for each in guest0 docker0 virbr0; do ip link delete $each 2>/dev/null || :; done
nft flush ruleset
cp /etc/nftables.conf.debian /etc/nftables.conf
rm -f /etc/systemd/system/multi-user.target.wants/firewalld.service
`;

export const SETTINGS = (backend: BackendName) =>
  `KILLSWITCH_BACKEND=${backend}\nKILLSWITCH_LAN=off\nKILLSWITCH_ENDPOINTS=${INTERNET.vpn4}:1194/udp\n`;

/** A container's root with one program in it. */
export const IMAGE =
  'mkdir -p /run/image/bin; cp /bin/busybox /run/image/bin; tar -C /run/image -c . | docker import - lab';

/** Says who has asked, which is what the web answers. */
export const ASK = `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | /bin/busybox timeout 10 /bin/busybox nc -w 2 ${INTERNET.web4} 80`;

/** Whether the neighbour runs before the lock. */
const ORDERS = ['after', 'before'] as const;
type Order = (typeof ORDERS)[number];

/** The state after a phase. */
export interface Outcome {
  /** Packets of this machine's own that left in clear. */
  readonly clear: number;
  /** Packets of the guest that did. */
  readonly guest: number;
  /** Of `status`. */
  readonly status: number | null;
  /**
   * The differences, each with its chain: as JSON, and what the text for people says.
   */
  readonly differences: readonly string[];
  readonly text: string;
  /** With "watch": until `status` said 0. */
  readonly milliseconds: number;
}

interface Scene {
  readonly machine: Booted;
  readonly product: Product;
  readonly prober: ProberRun;
}

async function open(backend: BackendName, root: string): Promise<Scene> {
  const machine = await bootMachine({ root, prepare: PREPARE });
  try {
    const product = await installProduct(machine, DIST, SETTINGS(backend));
    const orders = {
      probes: machine.world.probes,
      payloads: 800,
      connects: 10,
      seconds: 3600,
      uid: NOBODY,
    };
    return {
      machine,
      product,
      prober: await startProberIn(
        machine,
        { node: process.execPath, folder: DIST },
        'prober',
        orders,
      ),
    };
  } catch (thrown) {
    await machine.close();
    throw thrown;
  }
}

interface Said {
  readonly family: string | null;
  readonly chain: string;
  readonly what: string;
}

/** The output of `status`. */
async function told(product: Product): Promise<Pick<Outcome, 'status' | 'differences' | 'text'>> {
  const { stdout } = await product.command('status', '--json');
  const differences: readonly Said[] = JSON.parse(stdout).differences;
  const { status, stdout: text } = await product.command('status');
  return {
    status,
    text,
    differences: differences.map(({ family, chain, what }) =>
      `${family ?? ''} ${chain}: ${what}`.trim(),
    ),
  };
}

/** Probes that are waited for after each phase. */
const PROBES = 200;

async function seen(
  { machine, prober, product }: Scene,
  work: () => Promise<unknown>,
  watched: boolean,
): Promise<Outcome> {
  const { capture } = machine.world;
  await capture.tally();
  await work();
  const ended = performance.now();
  if (watched)
    await waitUntil(
      () => `the rules to be whole again; ${machine.file(LOG).split('\n').slice(-12).join('\n')}`,
      async () => (await product.command('status')).status === 0,
      PROMISED_MILLISECONDS + GRACE_MILLISECONDS,
    );
  const milliseconds = performance.now() - ended;
  await prober.more(PROBES);
  const { clear, byName } = await capture.tally();
  const guest = byName['guest'] ?? 0;
  return { clear: clear - guest, guest, milliseconds, ...(await told(product)) };
}

/**
 * A guest behind a bridge reaches the web through the tunnel alone, and only while
 * KILLSWITCH_FORWARD names the bridge. `page` is what they get of the web at this moment. The
 * machine has to be unlocked; it is locked afterwards.
 */
export async function expectTunnelAlone(
  { machine, product }: Pick<Scene, 'machine' | 'product'>,
  backend: BackendName,
  bridge: string,
  page: () => Promise<string | undefined>,
): Promise<void> {
  const { world } = machine;
  expect(await page()).toBe(LAN.client4);
  const server = await world.startServer(PATIENT_SERVER);
  await machine.writeProfile('/etc/openvpn/client/lab.conf', true);
  await product.must('lock');
  await machine.sh('systemctl start openvpn-client@lab');
  const connected = async () =>
    JSON.parse((await product.command('status', '--json')).stdout).state === 'connected';
  await waitUntil('the tunnel', connected, 60_000);
  await world.capture.tally();
  expect(await page()).toBe('');
  await writeSettings(machine, `${SETTINGS(backend)}KILLSWITCH_FORWARD=${bridge}\n`);
  await product.must('lock');
  expect(await page()).toMatch(/^10\.8\.0\./);
  await machine.sh('systemctl stop openvpn-client@lab');
  expect(await page()).toBe('');
  const { byName, vpn } = await world.capture.tally();
  expect(byName).toEqual({});
  expect(vpn).toBeGreaterThan(0);
  await writeSettings(machine, SETTINGS(backend));
  await server.end();
}

const ROOT = 'neighbours-12';

/** The same neighbours in the versions of another Debian. */
const NEWER_ROOT = 'neighbours-13';

/**
 * The neighbours of a root on one machine, one after the other, each before us and after us, with
 * "watch" and without; in the newer root just after us and without.
 */
export function neighboursWith(backend: BackendName, root = ROOT): void {
  const obstacle = bootObstacle({ root });
  const newer = root === NEWER_ROOT;
  const neighbours = NEIGHBOURS.filter((each) => (each.root ?? ROOT) === (newer ? ROOT : root));
  const orders: readonly Order[] = newer ? ['after'] : ORDERS;
  const watched: readonly Order[] = newer ? [] : ORDERS;
  let scene: Scene | undefined;
  const waits: number[] = [];
  beforeAll(async () => {
    if (obstacle === undefined) scene = await open(backend, root);
  });
  afterAll(async () => {
    if (waits.length > 0) {
      const [median = 0, most = 0] = [0.5, 1].map(
        (part) => waits.sort((a, b) => a - b)[Math.ceil(waits.length * part) - 1] ?? 0,
      );
      process.stdout.write(
        `beside ${backend}: whole again after ${Math.round(median)} ms in half of ${waits.length} phases, ${Math.round(most)} ms at most\n`,
      );
    }
    await scene?.machine.close();
  });
  const at = (context: TestContext): Scene => {
    if (obstacle !== undefined) context.skip(obstacle);
    if (scene === undefined) throw new Error('the machine was not booted');
    return scene;
  };

  async function startGuest({ machine }: Scene, { bridge, network }: Neighbour): Promise<void> {
    if (bridge === undefined || network === undefined) return;
    await machine.sh(GUEST(bridge, network));
    await waitUntil(
      'the guest',
      async () => (await machine.sh('wc -c </run/guest.sent 2>/dev/null || echo 0')) !== '0\n',
    );
  }

  async function clean({ machine, product }: Scene): Promise<void> {
    await product.must('watch', 'disable');
    await product.must('unlock');
    await machine.sh(CLEAN);
  }

  async function story(
    it: Scene,
    neighbour: Neighbour,
    order: Order,
    watched: boolean,
  ): Promise<Record<Phase, Outcome>> {
    const { machine, product } = it;
    await clean(it);
    if (neighbour.prepare !== undefined) await machine.sh(neighbour.prepare);
    if (order === 'before') {
      await machine.sh(neighbour.start);
      await startGuest(it, neighbour);
    }
    await product.must('lock');
    if (watched) {
      await product.must('watch', 'enable');
      await waitUntil(
        'the watcher',
        async () => JSON.parse((await product.command('status', '--json')).stdout).watch.running,
      );
    }
    const outcomes: Partial<Record<Phase, Outcome>> = {};
    for (const phase of PHASES) {
      const work = async () => {
        if (phase !== 'start') await machine.sh(neighbour[phase]);
        else if (order === 'after') {
          await machine.sh(neighbour.start);
          await startGuest(it, neighbour);
        }
        const effect = effectOf(neighbour, order, phase);
        // Some have not done everything when they say that they have.
        if (!watched && typeof effect === 'object')
          await waitUntil(`what ${phase} changes`, async () =>
            isNamed(effect, await told(product)),
          );
      };
      outcomes[phase] = await seen(it, work, watched);
      if (watched) waits.push(outcomes[phase].milliseconds);
      if (!watched) await product.must('lock');
    }
    return outcomes as Record<Phase, Outcome>;
  }

  const isNamed = (names: readonly string[], { differences }: Pick<Outcome, 'differences'>) =>
    names.every((name) => differences.includes(name));

  /** The lock of a machine on which the neighbour runs already touches nothing but ours. */
  const effectOf = ({ beside }: Neighbour, order: Order, phase: Phase): Effect =>
    order === 'before' && phase === 'start' ? 'none' : beside[backend][phase];

  describe.each(neighbours)(`$name, beside ${backend},`, (neighbour) => {
    test.for(orders)(
      'started %s us, does what docs/reference/neighbours.md says, and status tells',
      async (order, context) => {
        const outcomes = await story(at(context), neighbour, order, false);
        for (const phase of PHASES) {
          const { clear, guest, status, differences, text } = outcomes[phase];
          const effect = effectOf(neighbour, order, phase);
          expect([phase, clear, guest]).toEqual([phase, 0, 0]);
          if (effect !== 'perhaps')
            expect([phase, status, differences]).toEqual(
              effect === 'none' ? [phase, 0, []] : [phase, 2, expect.arrayContaining([...effect])],
            );
          expect([phase, differences.length > 0]).toEqual([phase, status === 2]);
          // People are shown the first twenty.
          expect(
            differences
              .slice(0, 20)
              .filter((each) => !text.includes(each.slice(each.indexOf(': ') + 2))),
          ).toEqual([]);
        }
      },
    );

    test.for(watched)(
      'started %s us, with watch: the rules are whole within a second, and nothing leaves',
      async (order, context) => {
        const outcomes = await story(at(context), neighbour, order, true);
        for (const phase of PHASES) {
          const { clear, guest, status } = outcomes[phase];
          expect([phase, clear, guest, status]).toEqual([phase, 0, 0, 0]);
        }
      },
    );
  });

  describe.each(neighbours.filter(({ bridge }) => bridge !== undefined))(
    `a guest of $name, beside ${backend},`,
    (neighbour) => {
      test('is heard while this machine is open: the cells above are not empty', async (context) => {
        const it = at(context);
        await clean(it);
        await it.machine.sh(neighbour.start);
        await it.machine.world.capture.tally();
        await startGuest(it, neighbour);
        await waitUntil(
          'the guest to be heard',
          async () => ((await it.machine.world.capture.tally()).byName['guest'] ?? 0) > 0,
        );
      });
    },
  );

  // A root for one neighbour is for that alone.
  if (neighbours.length === 1) return;
  test(`nftables.service beside ${backend} loads the base for as long as this machine is locked, and takes no half of a file`, async (context) => {
    const it = at(context);
    const { machine, product } = it;
    await clean(it);
    const each = async () => [
      await machine.sh('systemctl start nftables; nft -s list ruleset'),
      await machine.sh('nft add table inet extra; systemctl reload nftables; nft -s list ruleset'),
      await machine.sh('systemctl stop nftables; nft -s list ruleset'),
    ];
    const units = () =>
      machine.sh(
        'find /etc/systemd /run/systemd/system -type f -o -type l | sort; systemctl cat nftables',
      );
    const stopped = async () => {
      const { clear, status } = await seen(
        it,
        () => machine.sh('systemctl start nftables; systemctl stop nftables'),
        false,
      );
      return [clear, status];
    };
    const before = { units: await units(), rules: await each() };
    expect(before.rules[0]).toContain('table inet filter');
    // Not vacuous: what is sent is heard while nothing is locked.
    expect((await seen(it, each, false)).clear).toBeGreaterThan(0);

    // For every boot, whatever loads the rules there; on an open machine it does nothing.
    await product.must('boot', 'enable', '--with', 'plain');
    expect(await each()).toEqual(before.rules);
    await product.must('lock');
    expect(await stopped()).toEqual([0, 0]);
    await product.must('boot', 'disable');
    expect(await stopped()).toEqual([0, 0]);

    await machine.sh('echo "no such word" >>/etc/nftables.conf');
    const rules = await machine.sh('nft -s list ruleset');
    const { clear, status } = await seen(
      it,
      () => machine.ask(['systemctl', 'start', 'nftables']),
      false,
    );
    expect([clear, status]).toEqual([0, 0]);
    expect(await machine.sh('nft -s list ruleset')).toBe(rules);
    await machine.sh(
      'cp /etc/nftables.conf.debian /etc/nftables.conf; systemctl reset-failed nftables',
    );

    await product.must('unlock');
    expect(await units()).toBe(before.units);
    await product.must('lock');
    expect(await units()).not.toBe(before.units);
    await machine.sh('/usr/local/lib/ovpn-killswitch/recover');
    expect({ units: await units(), rules: await each() }).toEqual(before);
  });

  test(`commands that a person gave nftables.service are left alone beside ${backend}, lock and status say what they may do, and once they are gone it is told again`, async (context) => {
    const it = at(context);
    const { machine, product } = it;
    await clean(it);
    await machine.sh(
      "mkdir -p /run/systemd/system/nftables.service.d; printf '[Service]\\nExecStop=/bin/true\\n' >/run/systemd/system/nftables.service.d/own.conf; systemctl daemon-reload",
    );
    const said = 'nftables.service, which has commands of its own here, may flush every rule';
    expect(await product.must('lock')).toContain(said);
    expect((await product.command('status')).stdout).toContain(said);
    expect(await machine.sh('systemctl cat nftables')).not.toContain('killswitch');
    // The rules that a reboot forgets come back with "refresh", and with the rules that "watch"
    // loads.
    const forget = 'rm -r /run/systemd/system/nftables.service.d; systemctl daemon-reload';
    const told = async () => (await machine.sh('systemctl cat nftables')).includes('killswitch');
    await machine.sh(forget);
    await product.must('refresh');
    expect([
      await told(),
      (await product.command('status')).stdout.includes('nftables.service'),
    ]).toEqual([true, false]);
    await product.must('watch', 'enable');
    await machine.sh(`${forget}; nft flush ruleset`);
    await waitUntil('the drop-in', told);
  });

  test(`with a tunnel up, nftables.service beside ${backend} lets nothing out in clear, also after a reboot, and the next hook brings the tunnel back`, async (context) => {
    const it = at(context);
    const { machine, product } = it;
    const { world } = machine;
    await clean(it);
    const server = await world.startServer(PATIENT_SERVER);
    await machine.writeProfile('/etc/openvpn/client/lab.conf', true);
    await product.must('lock');
    // A reboot without "boot enable" forgets the rules; the hook loads it again.
    await machine.sh(
      'nft flush ruleset; rm -r /run/ovpn-killswitch /run/systemd/system/nftables.service.d; systemctl daemon-reload',
    );
    await machine.sh('systemctl start openvpn-client@lab');
    const report = async () => JSON.parse((await product.command('status', '--json')).stdout);
    await waitUntil(
      'the tunnel',
      async () => (await report()).exact === true && (await report()).state === 'connected',
      60_000,
    );
    // A late route-up or refresh would put right what the next lines take away.
    await waitUntil('the end of the connect', async () =>
      (await machine.sh('journalctl -b --no-pager -u openvpn-client@lab')).includes(CONNECTED),
    );
    await waitUntil(
      'the refresh to end',
      async () =>
        !(await machine.sh('systemctl list-units --all --plain')).includes(
          'ovpn-killswitch refresh',
        ),
      60_000,
    );
    const { clear, status, differences } = await seen(
      it,
      () =>
        machine.sh('systemctl start nftables; systemctl reload nftables; systemctl stop nftables'),
      false,
    );
    expect([clear, status]).toEqual([0, 2]);
    expect(
      differences.filter((each) => each.includes(': missing: ') && each.includes(DEVICE)),
    ).not.toEqual([]);
    await machine.sh('systemctl restart openvpn-client@lab');
    await waitUntil(
      'the tunnel again',
      async () => (await report()).exact === true && (await report()).state === 'connected',
      60_000,
    );
    await server.end();
  });

  const firewalld = neighbours.find(({ name }) => name === 'firewalld (iptables)');
  if (firewalld !== undefined && backend === 'iptables')
    test('firewalld (iptables) opens a machine without nft, as lock and status say beforehand, and a lock takes nftables once that is there', async (context) => {
      const it = at(context);
      const { machine, product } = it;
      const said = 'firewalld with FirewallBackend=iptables opens this machine';
      await clean(it);
      await machine.sh(`${firewalld.prepare}; mv /usr/sbin/nft /usr/sbin/nft.away`);
      try {
        expect(await product.must('lock')).toContain(said);
        expect((await product.command('status')).stdout).toContain(said);
        expect((await seen(it, () => machine.sh(firewalld.start), false)).clear).toBeGreaterThan(0);
      } finally {
        await machine.sh('mv /usr/sbin/nft.away /usr/sbin/nft');
      }
      expect(await product.must('lock')).toContain(
        'nftables: KILLSWITCH_BACKEND says iptables, but firewalld',
      );
      const { clear, status } = await seen(
        it,
        () => machine.sh(`${firewalld.reload}; ${firewalld.stop}`),
        false,
      );
      expect([clear, status]).toEqual([0, 0]);
      expect((await product.command('status')).stdout).toContain(
        'KILLSWITCH_BACKEND says iptables, but firewalld',
      );
      expect((await product.command('status')).stdout).not.toContain(said);
    });

  test(`a container beside ${backend} reaches the internet through the tunnel alone, and only if KILLSWITCH_FORWARD names its bridge`, async (context) => {
    const it = at(context);
    const { machine } = it;
    await clean(it);
    await machine.sh(`systemctl start containerd docker; ${IMAGE}`);
    const page = async () =>
      (await machine.ask(['docker', 'run', '--rm', 'lab', '/bin/busybox', 'sh', '-c', ASK])).stdout
        .trim()
        .split('\n')
        .at(-1);
    await expectTunnelAlone(it, backend, 'docker0', page);
  });
}

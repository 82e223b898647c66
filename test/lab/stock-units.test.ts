import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import type { BackendName } from '../../src/policy/settings.ts';
import { INTERNET, VPN_NAME } from '../../src/proof/addresses.ts';
import { startProberIn } from '../../src/proof/client-programs.ts';
import { CONNECTED, PUSHED_TIMERS, PUSHES } from '../../src/proof/openvpn.ts';
import { NOBODY } from '../../src/proof/probes.ts';
import { installProduct, type Product } from '../../src/proof/product.ts';
import { waitUntil } from '../../src/proof/wait-until.ts';
import { DIST } from '../e2e/stage.ts';
import { type Booted, bootMachine, bootObstacle } from '../support/booted.ts';
import { nothingLeaves, type Watched } from '../support/watched.ts';

/** The folders that the units for clients read profiles from. */
const FOLDERS = { 'openvpn@': '/etc/openvpn', 'openvpn-client@': '/etc/openvpn/client' } as const;
type Template = keyof typeof FOLDERS;
const TEMPLATES: readonly Template[] = ['openvpn@', 'openvpn-client@'];

/** A Debian's own units for clients; `tasks` is what they say for TasksMax. */
interface Debian {
  readonly root: string;
  readonly openvpn: string;
  readonly backend: BackendName;
  readonly tasks: Readonly<Partial<Record<Template, number>>>;
}

const DEBIANS: readonly Debian[] = [
  { root: 'systemd-11', openvpn: '2.5', backend: 'iptables', tasks: {} },
  { root: 'systemd-12', openvpn: '2.6', backend: 'nftables', tasks: { 'openvpn@': 10 } },
  { root: 'systemd-13', openvpn: '2.6', backend: 'iptables', tasks: { 'openvpn@': 10 } },
  {
    root: 'systemd-13-openvpn-2.7',
    openvpn: '2.7',
    backend: 'nftables',
    tasks: { 'openvpn@': 20, 'openvpn-client@': 20 },
  },
];

/** The longest time of a hook, whatever hangs. */
const DEADLINE_SECONDS = 20;
/**
 * OpenVPN's line when `up` has ended with the status for a firewall that cannot be changed, and
 * it gives up.
 */
const FAILED_UP = 'external program exited with error status: 71';
/** The tools that read and change rules. */
const TOOLS = {
  nftables: 'nft',
  iptables: 'iptables-save ip6tables-save iptables-restore ip6tables-restore',
} as const;

/** OpenVPN itself, and a hook with the child it waits for. */
const MOST_TASKS = 1 + 6;

/**
 * Nobody else on this machine has it: the kernel counts a user's processes over all name spaces.
 */
const ACCOUNT = { name: 'stock', uid: 61_000 + (process.pid % 1000) } as const;

const PREPARE = `
echo nameserver ${INTERNET.resolver4} >/etc/resolv.conf
useradd --system --uid ${ACCOUNT.uid} --no-create-home ${ACCOUNT.name}
`;

interface Scene extends Watched {
  readonly machine: Booted;
  readonly product: Product;
}

async function open({ root, backend }: Debian): Promise<Scene> {
  const machine = await bootMachine({ root, prepare: PREPARE });
  try {
    const product = await installProduct(machine, DIST, `KILLSWITCH_BACKEND=${backend}\n`);
    // On a loaded machine nobody should take the other for dead.
    const pushes = [
      ...PUSHES.filter((each) => !PUSHED_TIMERS.includes(each)),
      'ping 2',
      'ping-restart 60',
    ];
    await machine.world.startServer({ pushes, more: ['ping-restart 60'] });
    const prober = await startProberIn(
      machine,
      { node: process.execPath, folder: DIST },
      'prober',
      {
        probes: machine.world.probes,
        payloads: 600,
        connects: 10,
        seconds: 3600,
        uid: NOBODY,
      },
    );
    return { machine, world: machine.world, product, prober, probing: () => prober.more(500) };
  } catch (thrown) {
    await machine.close();
    throw thrown;
  }
}

/**
 * The kernel's counts of the tasks of a unit's cgroup: the most it may have and has had, and how
 * many were refused.
 */
async function tasks(
  { machine }: Scene,
  unit: string,
): Promise<{ readonly max: string; readonly peak: number; readonly refused: number }> {
  const group = (await machine.sh(`systemctl show --value -p ControlGroup ${unit}`)).trim();
  const text = await machine.sh(
    `cd /sys/fs/cgroup; [ ! -d pids ] || cd pids; cd '.${group}'; grep . pids.*`,
  );
  const found = (form: RegExp) => form.exec(text)?.[1] ?? `no ${form} in ${text}`;
  return {
    max: found(/pids\.max:(\w+)/),
    peak: Number(found(/pids\.peak:(\d+)/)),
    refused: Number(found(/pids\.events:max (\d+)/)),
  };
}

/** One story: each test goes on from the one before. */
describe.each(DEBIANS)('on $root, with OpenVPN $openvpn and $backend,', (debian) => {
  let obstacle: string | undefined;
  let opened: Scene | undefined;
  beforeAll(async () => {
    obstacle = bootObstacle(debian);
    if (obstacle === undefined) opened = await open(debian);
  });
  afterAll(() => opened?.machine.close());
  const scene = (context: TestContext): Scene => {
    if (obstacle !== undefined) context.skip(obstacle);
    if (opened === undefined) throw new Error('the scene was not made');
    return opened;
  };
  const journal = ({ machine }: Scene, unit: string) =>
    machine.sh(`journalctl --no-pager -o cat -u ${unit}`);
  const connects = async (it: Scene, unit: string, work: () => Promise<unknown>) => {
    const times = async () => (await journal(it, unit)).split(CONNECTED).length - 1;
    const before = await times();
    await work();
    let said = '';
    await waitUntil(
      () => `${unit} to connect; it said:\n${said.slice(-3000)}`,
      async () => {
        said = await journal(it, unit);
        return (await times()) > before;
      },
      60_000,
    );
    // One that is still under way holds the lock, and forgets the tunnel of a client that is
    // stopped meanwhile.
    const isRefreshing = async () =>
      (await it.machine.sh('systemctl list-units --all --plain')).includes(
        'ovpn-killswitch refresh',
      );
    await waitUntil('the refresh to end', async () => !(await isRefreshing()), 60_000);
  };
  /** While a hook or a refresh is at work, files and kernel may differ for a moment. */
  const comesTo = async ({ product }: Scene, headline: string) => {
    let last = '';
    await waitUntil(
      () => `status 0 and "${headline}":\n${last}`,
      async () => {
        const { status, stdout, stderr } = await product.command('status');
        last = stdout + stderr;
        return status === 0 && stdout.includes(headline);
      },
      30_000,
    );
  };

  test('every kind of probe is seen at the router while nothing is locked', async (context) => {
    const { world } = scene(context);
    const unseen = () =>
      world.probes
        .map(({ name }) => name)
        .filter((name) => world.capture.soFar().byName[name] === undefined);
    await waitUntil(
      () => `these at the router: ${unseen().join(', ')}`,
      () => unseen().length === 0,
      30_000,
    );
  });

  describe.each(TEMPLATES)('a client under %s', (template) => {
    const unit = `${template}stock`;
    const profile = `${FOLDERS[template]}/stock.conf`;

    test('connects while locked, and its hooks have run', async (context) => {
      const it = scene(context);
      const { machine, product } = it;
      await machine.sh(`systemctl stop ${TEMPLATES.map((each) => `${each}stock`).join(' ')}
rm -f ${Object.values(FOLDERS).join('/*.conf ')}/*.conf /var/log/ovpn-killswitch.log`);
      await machine.writeProfile(profile, true, VPN_NAME);
      await product.command('unlock');
      await product.must('lock');
      const { vpn } = await nothingLeaves(it, async () => {
        await connects(it, unit, () => machine.sh(`systemctl start ${unit}`));
        await comesTo(it, 'LOCKED: connected');
      });
      expect(vpn).toBeGreaterThan(20);
      await machine.sh('test -e /run/ovpn-killswitch/tunnels/tun0');
      const events = machine
        .file('/var/log/ovpn-killswitch.log')
        .trim()
        .split('\n')
        .map(
          (line) =>
            JSON.parse(line) as {
              readonly name: string;
              readonly level: number;
              readonly msg: string;
            },
        );
      expect(events.map(({ name }) => name)).toContain('up');
      // With this, route-up ends before it says anything.
      await machine.sh('test -e /run/ovpn-killswitch/told');
      expect(events.filter(({ level }) => level > 30)).toEqual([]);
    });

    test("asks for its server's name again, in a unit of its own", async (context) => {
      const it = scene(context);
      await waitUntil(
        'the new address',
        () => it.machine.file('/etc/hosts').includes(INTERNET.moved4),
        60_000,
      );
      expect(it.machine.file('/var/lib/ovpn-killswitch/endpoints.json')).toContain(INTERNET.moved4);
      expect(await it.machine.sh('journalctl --no-pager -o cat')).toMatch(
        /Started .*ovpn-killswitch refresh/,
      );
      await comesTo(it, 'LOCKED: connected');
    });

    test('reconnects, and has not come near the limit of tasks', async (context) => {
      const it = scene(context);
      const { vpn } = await nothingLeaves(it, () =>
        connects(it, unit, () => it.machine.sh(`systemctl kill -s USR1 --kill-who=main ${unit}`)),
      );
      expect(vpn).toBeGreaterThan(20);
      await comesTo(it, 'LOCKED: connected');
      const none = await it.machine.tasksObstacle();
      if (none !== undefined) context.skip(none);
      const { max, peak, refused } = await tasks(it, unit);
      if (debian.tasks[template] !== undefined) expect(max).toBe(String(debian.tasks[template]));
      expect(refused).toBe(0);
      expect(peak).toBeGreaterThan(1);
      expect(peak).toBeLessThanOrEqual(MOST_TASKS);
    });

    test('is restarted', async (context) => {
      const it = scene(context);
      await nothingLeaves(it, async () => {
        await connects(it, unit, () => it.machine.sh(`systemctl restart ${unit}`));
        await comesTo(it, 'LOCKED: connected');
      });
    });

    test('is killed, and comes back', async (context) => {
      const it = scene(context);
      await nothingLeaves(it, async () => {
        await it.machine.sh(`systemctl kill -s KILL ${unit}`);
        await comesTo(it, 'GONE');
        await it.probing();
        await connects(it, unit, () => it.machine.sh(`systemctl start ${unit}`));
        await comesTo(it, 'LOCKED: connected');
      });
    });

    test('is stopped, and leaves the base', async (context) => {
      const it = scene(context);
      const log = () => it.machine.file('/var/log/ovpn-killswitch.log');
      const since = log().length;
      await nothingLeaves(it, async () => {
        await it.machine.sh(`systemctl stop ${unit}`);
        await comesTo(it, 'LOCKED: blocked');
      });
      expect(log().slice(since)).not.toContain('reported');
      expect(await journal(it, unit)).not.toMatch(
        /remains running|EAGAIN|Resource temporarily unavailable/,
      );
    });

    // It mostly waits: once with each backend, under the narrowest unit.
    if (debian.tasks[template] === 10)
      test('whose firewall tool hangs gives up in time, and nothing leaves', async (context) => {
        const it = scene(context);
        const { machine, product } = it;
        await machine.writeProfile(profile, true, VPN_NAME);
        await product.must('lock');
        await connects(it, unit, () => machine.sh(`systemctl start ${unit}`));
        await comesTo(it, 'LOCKED: connected');
        await machine.sh(
          `printf '#!/bin/sh\\nexec sleep 300\\n' >/usr/local/bin/hangs; chmod 755 /usr/local/bin/hangs; mkdir /root/tools`,
        );
        const each = (work: string) =>
          machine.sh(`for tool in ${TOOLS[debian.backend]}; do ${work}; done`);
        await each('mv /usr/sbin/$tool /root/tools; ln -s /usr/local/bin/hangs /usr/sbin/$tool');
        const started = performance.now();
        let seconds = 0;
        await nothingLeaves(it, async () => {
          // `down`, and then `up`, each within its deadline.
          await machine.sh(`systemctl kill -s USR1 --kill-who=main ${unit}`);
          await waitUntil(
            'OpenVPN to give up',
            async () => (await journal(it, unit)).includes(FAILED_UP),
            100_000,
          );
          seconds = (performance.now() - started) / 1000;
          await machine.sh(`systemctl stop ${unit}`);
          await each('mv /root/tools/$tool /usr/sbin');
        });
        // OpenVPN reconnects and starts both on a busy machine.
        expect(seconds).toBeLessThan(2 * DEADLINE_SECONDS + 45);
        const said = await journal(it, unit);
        // One of its programs was, or all of it, on a machine that is busy.
        const ended = '.*(was stopped after \\d+ s|took longer than 20 s)';
        expect(said).toMatch(new RegExp(`killswitch: down: ${ended}`));
        expect(said).toMatch(new RegExp(`killswitch: up: ${ended}`));
        await product.must('lock');
        await comesTo(it, 'LOCKED: blocked');
      });

    // The user and the limit alone say what a user may have: once for each Debian.
    if (template === 'openvpn@') return;

    test('gives root up, and reconnects with ten processes at most', async (context) => {
      const it = scene(context);
      const { machine, product } = it;
      await machine.writeProfile(profile, true, VPN_NAME, {
        more: [
          `user ${ACCOUNT.name}`,
          `group ${ACCOUNT.name}`,
          'persist-tun',
          'persist-key',
          'up-restart',
        ],
      });
      await machine.sh(`mkdir -p /run/systemd/system/${unit}.service.d
printf '[Service]\\nLimitNPROC=10\\n' >/run/systemd/system/${unit}.service.d/limit.conf; systemctl daemon-reload`);
      await product.must('lock');
      await nothingLeaves(it, async () => {
        await connects(it, unit, () => machine.sh(`systemctl start ${unit}`));
        expect(
          await machine.sh(`ps -o user= -p "$(systemctl show --value -p MainPID ${unit})"`),
        ).toBe(`${ACCOUNT.name}\n`);
        await connects(it, unit, () =>
          machine.sh(`systemctl kill -s USR1 --kill-who=main ${unit}`),
        );
        await comesTo(it, 'LOCKED: connected');
      });
      await nothingLeaves(it, async () => {
        await machine.sh(`systemctl stop ${unit}`);
        // Its `down` had no root: the rules of its tunnel are there until the next hook or lock.
        await comesTo(it, 'GONE: the next hook or lock takes its rules away');
      });
      const said = await journal(it, unit);
      expect(said).toContain(
        'up: unprivileged: tun0: this hook runs without root, so the loaded rules still fit',
      );
      expect(said).toContain('down: unprivileged: tun0: this hook runs without root');
      await product.must('lock');
      await comesTo(it, 'LOCKED: blocked');
    });
  });
});

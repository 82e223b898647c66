import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import { entrance } from '../../src/host/sandbox.ts';
import { INTERNET, LAN } from '../../src/proof/addresses.ts';
import { waitUntil } from '../../src/proof/wait-until.ts';
import { type Booted, bootMachine, bootObstacle } from '../support/booted.ts';
import { cgroupObstacle, cgroupsOf } from '../support/cgroups.ts';

/** A service that says on the disk when it was stopped in order. */
const FAREWELL = `
cat >/etc/systemd/system/farewell.service <<'END'
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
ExecStop=/bin/touch /var/lib/stopped-in-order
[Install]
WantedBy=multi-user.target
END
systemctl enable farewell.service
`;

function namespaceOf(process: number | 'self'): string {
  return readlinkSync(`/proc/${process}/ns/net`);
}

/** Waits for the answer to a ping: the first ones may go before the neighbours know each other. */
async function reaches(machine: Booted, address: string): Promise<void> {
  await waitUntil(
    `an answer of ${address}`,
    async () => (await machine.ask(['ping', '-n', '-c1', '-W1', address])).status === 0,
  );
}

const mounts = () => readFileSync('/proc/self/mountinfo', 'utf8');

/** One story: each test goes on from the one before. */
describe.each(['systemd-12', 'systemd-13'])('a machine of %s', (root) => {
  const plan = { root, prepare: FAREWELL };
  const before = mounts();
  let obstacle: string | undefined;
  let booted: Booted | undefined;
  beforeAll(async () => {
    obstacle = bootObstacle(plan);
    if (obstacle === undefined) booted = await bootMachine(plan);
  });
  afterAll(() => booted?.close());
  const machine = (context: TestContext): Booted => {
    if (obstacle !== undefined) context.skip(obstacle);
    if (booted === undefined) throw new Error('the machine was not booted');
    return booted;
  };

  test('boots with systemd as its first process, and every unit starts', async (context) => {
    const it = machine(context);
    expect(await it.sh('readlink /proc/1/exe')).toMatch(/^(\/usr)?\/lib\/systemd\/systemd\n$/);
    expect(await it.failedUnits()).toEqual([]);
    expect(it.state).toBe('running');
    process.stdout.write(`${root} booted in ${it.bootSeconds.toFixed(1)} s\n`);
  });

  test('has a network of its own, and its first frames were captured', async (context) => {
    const it = machine(context);
    expect(new Set([it.pid, it.world.sandbox.pid, 'self' as const].map(namespaceOf)).size).toBe(3);
    const { clear, neighbour } = await it.world.capture.tally();
    expect(neighbour).toBeGreaterThan(0);
    expect(clear).toBe(0);
  });

  test('reaches the LAN and the internet, and the capture sees it', async (context) => {
    const it = machine(context);
    for (const address of [LAN.host4, INTERNET.web4, INTERNET.web6]) await reaches(it, address);
    const { clear, lan } = await it.world.capture.tally();
    expect(clear).toBeGreaterThanOrEqual(2);
    expect(lan).toBeGreaterThan(0);
  });

  test('limits the tasks of its services', async (context) => {
    const it = machine(context);
    const none = await it.tasksObstacle();
    if (none !== undefined) context.skip(none);
    const forks = (most: number) =>
      it.ask([
        'systemd-run',
        '--wait',
        '--pipe',
        '-q',
        '-p',
        `TasksMax=${most}`,
        'sh',
        '-c',
        'for each in 1 2 3; do sleep 0.1 & done; wait',
      ]);
    expect(await forks(4)).toMatchObject({ status: 0 });
    expect(await forks(3)).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('annot fork'),
    });
  });

  test('cannot write what concerns the whole machine that it runs on', async (context) => {
    const it = machine(context);
    const script =
      'for each in kernel/core_pattern vm/swappiness fs/protected_regular; do test ! -w /proc/sys/$each; done; test ! -e /dev/kmsg; ! mkdir /sys/kernel/x';
    await it.sh(`${script} 2>&1; test -w /proc/sys/net/ipv4/ip_forward`);
  });

  test('keeps its disk through a reboot; not its /run, not its rules', async (context) => {
    const it = machine(context);
    const kept = ['/etc/kept', '/usr/local/kept', '/var/lib/kept'];
    await it.sh(
      `touch ${kept.join(' ')} /run/lost; nft add table inet lost; iptables -A INPUT -j ACCEPT`,
    );
    const first = it.pid;
    await it.reboot();
    expect(it.pid).not.toBe(first);
    await it.sh(`ls ${kept.join(' ')} /var/lib/stopped-in-order; test ! -e /run/lost`);
    expect(await it.sh('nft list ruleset; iptables -S')).toBe(
      '-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n',
    );
    expect(await it.failedUnits()).toEqual([]);
  });

  test('has no time to stop its services in a power cut', async (context) => {
    const it = machine(context);
    await it.sh('rm /var/lib/stopped-in-order; touch /run/lost');
    await it.powerCut();
    await it.sh('test ! -e /var/lib/stopped-in-order; test ! -e /run/lost; ls /etc/kept');
    expect(await it.failedUnits()).toEqual([]);
  });

  test('reaches the internet again after that', async (context) => {
    const it = machine(context);
    await it.world.capture.tally();
    await reaches(it, INTERNET.web4);
    expect((await it.world.capture.tally()).clear).toBeGreaterThanOrEqual(1);
  });

  test('leaves no process, no cgroup and no mount behind', async (context) => {
    const it = machine(context);
    const { pid } = it;
    expect(cgroupsOf(process.pid).length).toBeGreaterThan(0);
    await it.close();
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
    expect(cgroupsOf(process.pid)).toEqual([]);
    expect(mounts()).toBe(before);
  });
});

test('cgroups go when their owner was killed', async (context) => {
  const obstacle = process.getuid?.() === 0 ? cgroupObstacle() : 'cgroups need root';
  if (obstacle !== undefined) context.skip(obstacle);
  const folder = mkdtempSync(join(tmpdir(), 'cgroups-'));
  try {
    const outfile = join(folder, 'cgroups.mjs');
    await build({
      entryPoints: [resolve(import.meta.dirname, '../support/cgroups.ts')],
      outfile,
      bundle: true,
      platform: 'node',
      format: 'esm',
    });
    const owner = spawn(process.execPath, [
      '-e',
      `import('${outfile}').then((it) => { it.makeCgroups(); console.log('made'); })`,
    ]);
    const [said] = await once(owner.stdout, 'data');
    expect(String(said)).toBe('made\n');
    expect(cgroupsOf(owner.pid ?? 0).length).toBeGreaterThan(0);
    owner.kill('SIGKILL');
    await waitUntil('its cgroups to go', () => cgroupsOf(owner.pid ?? 0).length === 0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('nothing enters the network of this machine', () => {
  expect(() => entrance(process.pid, []).run(['true'])).toThrow('refused');
});

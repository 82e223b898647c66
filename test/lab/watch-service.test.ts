import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import type { BackendName } from '../../src/policy/settings.ts';
import { INTERNET } from '../../src/proof/addresses.ts';
import { installProduct, type Product, writeSettings } from '../../src/proof/product.ts';
import { patiently, waitUntil } from '../../src/proof/wait-until.ts';
import { SERVICE_FILES } from '../../src/watch/service.ts';
import { DIST } from '../e2e/stage.ts';
import { LOG } from '../hooks/installed-machine.ts';
import { type Booted, bootMachine, bootObstacle } from '../support/booted.ts';
import { expectWhole, HELD, heldIn, parsedAnswer, whats } from '../support/json-answers.ts';
import { machinePace } from '../support/machine-pace.ts';
import { COST, HAS_BEGUN, IS_BACK, readTold, STORM, type Stormer, TAMPER } from './storm.ts';

const PLAN = { root: 'systemd-12' } as const;
const SETTINGS = (backend: BackendName) =>
  `KILLSWITCH_BACKEND=${backend}\nKILLSWITCH_ENDPOINTS=${INTERNET.vpn4}:1194/udp\n`;
const TRACES =
  'find /etc /usr/local /var/lib /run -xdev -name "*killswitch*" ! -path "/run/systemd/units/*" | sort; nft list ruleset; ps -eo args | grep "[k]illswitch.watch" || :';

const STORM_SECONDS = 12;
/** Of them nobody touches our rules. */
const QUIET_MILLISECONDS = 3_000;
const TAMPERINGS = 4;

/** Rules that others change a second: what the product promises to stand. */
const PROMISED_RATE = 1_000;

/**
 * The programs that change rules then, and how many transactions our whole ruleset is. The last
 * stays for the tests below.
 */
const STORMS: readonly {
  readonly backend: BackendName;
  readonly stormers: readonly Stormer[];
  readonly transactions: number;
}[] = [
  // Each table of each family is one of its own, and there are two of each.
  { backend: 'iptables', stormers: ['nft', 'iptables'], transactions: 4 },
  { backend: 'nftables', stormers: ['nft', 'iptables'], transactions: 1 },
];

/**
 * How the kernel bounds the service, as far as this machine has the controllers: one line each,
 * with what was refused or slowed down so far.
 */
const BOUNDS = `
cd /sys/fs/cgroup
unit=system.slice/ovpn-killswitch-watch.service
[ ! -e cpu/$unit ] || { echo "cpu $(cat cpu/$unit/cpu.cfs_quota_us) $(cat cpu/$unit/cpu.cfs_period_us) $(awk '/^nr_throttled/ { print $2 }' cpu/$unit/cpu.stat)"; }
[ ! -e $unit/cpu.max ] || { echo "cpu $(cat $unit/cpu.max) $(awk '/^nr_throttled/ { print $2 }' $unit/cpu.stat)"; }
[ ! -e $unit/memory.max ] || { echo "memory $(cat $unit/memory.max) $(awk '/^max/ { print $2 }' $unit/memory.events)"; }
for each in pids/$unit $unit; do
  [ ! -e $each/pids.max ] || { echo "tasks $(cat $each/pids.max) $(awk '/^max/ { print $2 }' $each/pids.events)"; }
done
`;

describe('the service under systemd', () => {
  const obstacle = bootObstacle(PLAN);
  let machine: Booted | undefined;
  let product: Product | undefined;
  let before = '';
  beforeAll(async () => {
    if (obstacle !== undefined) return;
    machine = await bootMachine(PLAN);
    before = await machine.sh(TRACES);
    product = await installProduct(machine, DIST, SETTINGS('nftables'));
    await product.must('lock');
    await product.must('boot', 'enable');
  });
  afterAll(() => machine?.close());
  const at = (context: TestContext): { readonly machine: Booted; readonly product: Product } => {
    if (obstacle !== undefined) context.skip(obstacle);
    if (machine === undefined || product === undefined)
      throw new Error('the machine was not booted');
    return { machine, product };
  };
  const watchOf = async (it: Product) =>
    JSON.parse((await it.command('status', '--json')).stdout).watch;
  const runs = (it: Product) =>
    waitUntil('the watcher', async () => (await watchOf(it)).running === true);
  const mainPid = (it: Booted) => it.sh('systemctl show --value -p MainPID ovpn-killswitch-watch');
  /** Its answer as JSON names the files and rules that really differ after it, or nothing. */
  const whole = async (
    { machine, product }: ReturnType<typeof at>,
    args: readonly string[],
    changed: boolean,
  ) => {
    const before = heldIn(await machine.sh(HELD));
    const answer = parsedAnswer(await product.command(...args, '--json'));
    expectWhole(answer, before, heldIn(await machine.sh(HELD)));
    expect([answer.error, answer.exit, answer.changed]).toEqual([null, 0, changed]);
    return answer;
  };
  const putsBack = async ({ machine, product }: ReturnType<typeof at>) => {
    await machine.sh('nft flush ruleset');
    await waitUntil('the rules', async () => (await product.command('status')).status === 0, 2_000);
  };

  test('runs from "watch enable" on, and puts the rules back', async (context) => {
    const it = at(context);
    expect(await watchOf(it.product)).toEqual({ enabled: false, running: false });
    expect((await it.product.command('status')).stdout).toContain('ovpn-killswitch watch enable');
    const { changes } = await whole(it, ['watch', 'enable'], true);
    expect(whats(changes, 'service')).toEqual(['systemctl restart ovpn-killswitch-watch.service']);
    // At once: systemd has started a watcher that has not yet said so.
    const pid = await mainPid(it.machine);
    await whole(it, ['watch', 'enable'], false);
    expect(await mainPid(it.machine)).toBe(pid);
    await runs(it.product);
    // "nft monitor" may start later than the watcher, which then finds the first flush by itself
    // and knows nobody.
    await waitUntil('who has flushed', async () => {
      await putsBack(it);
      const journal = await it.machine.sh('journalctl --no-pager -o cat -u ovpn-killswitch-watch');
      return /restored the rules that were changed by nft \(process \d+\)/.test(journal);
    });
  });

  test('comes back when it is killed, with what it missed', async (context) => {
    const it = at(context);
    await it.machine.sh('kill -9 $(systemctl show --value -p MainPID ovpn-killswitch-watch)');
    await it.machine.sh('nft flush ruleset');
    await waitUntil(
      'the rules',
      async () => (await it.product.command('status')).status === 0,
      5_000,
    );
    expect(await watchOf(it.product)).toEqual({ enabled: true, running: true });
  });

  test.for(STORMS)(
    'with $backend, stays within its bounds while others change more than a thousand rules a second, and makes no storm of its own',
    async ({ backend, stormers, transactions }, context) => {
      const it = at(context);
      await writeSettings(it.machine, SETTINGS(backend));
      await it.product.must('lock');
      await runs(it.product);
      const pid = Number(
        await it.machine.sh('systemctl show --value -p MainPID ovpn-killswitch-watch'),
      );
      const cost = async () => (await it.machine.sh(COST(pid))).split(' ').map(Number);
      expect(
        await it.machine.sh(
          'systemctl show -p CPUQuotaPerSecUSec,MemoryMax,TasksMax ovpn-killswitch-watch',
        ),
      ).toBe('CPUQuotaPerSecUSec=500ms\nMemoryMax=268435456\nTasksMax=64\n');
      const bounds = await it.machine.sh(BOUNDS);
      expect(bounds).toMatch(/^tasks 64 0$/m);
      if (bounds.includes('cpu')) expect(bounds).toMatch(/^cpu 50000 100000 \d+$/m);
      if (bounds.includes('memory')) expect(bounds).toMatch(/^memory 268435456 0$/m);
      const logged = it.machine.file(LOG).length;
      it.machine.run([
        'systemd-run',
        '-q',
        '--unit=told',
        '--property=StandardOutput=truncate:/run/told',
        'nft',
        'monitor',
      ]);
      const [started = 0] = await cost();
      const began = performance.now();
      const storm = it.machine.ask(['sh', '-c', STORM(STORM_SECONDS, stormers)], {
        milliseconds: patiently(60_000),
      });
      await waitUntil(
        'the storm',
        async () => (await it.machine.ask(['sh', '-c', HAS_BEGUN])).status === 0,
      );
      await pause(QUIET_MILLISECONDS);
      let memory = 0;
      const waits: number[] = [];
      for (let turn = 0; turn < TAMPERINGS; turn++) {
        await it.machine.sh(TAMPER[backend]);
        const tampered = performance.now();
        await waitUntil(
          'ours in the storm',
          async () => (await it.machine.ask(['sh', '-c', IS_BACK[backend]])).status === 0,
        );
        waits.push(Math.round(performance.now() - tampered));
        memory = Math.max(memory, (await cost())[1] ?? 0);
        await pause(1_500);
      }
      const { stdout, stderr } = await storm;
      const seconds = (performance.now() - began) / 1_000;
      const [ended = 0, last = 0] = await cost();
      memory = Math.max(memory, last);
      const share = (ended - started) / seconds;
      const after = await it.machine.sh(BOUNDS);
      await it.machine.sh('systemctl stop told');
      const { changes, quiet, later, lost } = readTold(it.machine.file('/run/told'));
      const rate = Math.round(changes / seconds);
      const entries = it.machine.file(LOG).slice(logged).split('\n').length - 1;
      process.stdout.write(
        `watch with ${backend} in a storm of ${rate} rules a second (${stdout.trim()} sent): ${Math.round(share * 100)} % of a processor, ${Math.round(memory)} MiB, back after ${waits.join(', ')} ms, ${quiet} and ${later} changes of its own, ${entries} entries in the log; ${after.trim().replaceAll('\n', ', ')}\n`,
      );
      expect(lost).toBe(0);
      expect(quiet).toBe(0);
      // A look may come between two transactions of one tampering, or of our own.
      expect(later).toBeGreaterThanOrEqual(TAMPERINGS);
      expect(later).toBeLessThanOrEqual(TAMPERINGS * transactions * 2);
      expect(entries).toBeLessThanOrEqual(TAMPERINGS * 3);
      // Its unit holds it at half.
      expect(share).toBeLessThan(Math.min(0.35 * machinePace(), 0.52));
      expect(memory).toBeLessThan(192);
      expect(after).toMatch(/^tasks 64 0$/m);
      expect(await it.machine.sh('systemctl show --value -p MainPID ovpn-killswitch-watch')).toBe(
        `${pid}\n`,
      );
      await waitUntil(
        'the rules',
        async () => (await it.product.command('status')).status === 0,
        5_000,
      );
      if (rate < PROMISED_RATE)
        context.skip(`this machine made ${rate} changes a second, and no more: ${stderr}`);
    },
  );

  test('guards with nft that was installed after it has started', async (context) => {
    const it = at(context);
    await writeSettings(it.machine, SETTINGS('iptables'));
    await it.machine.sh('mv /usr/sbin/nft /usr/sbin/nft.away');
    await it.product.must('lock');
    await it.machine.sh('systemctl restart ovpn-killswitch-watch');
    await runs(it.product);
    await it.machine.sh('mv /usr/sbin/nft.away /usr/sbin/nft');
    await writeSettings(it.machine, SETTINGS('nftables'));
    await it.product.must('lock');
    await putsBack(it);
    expect(await it.machine.sh('iptables-save')).not.toContain('KILLSWITCH');
    await it.machine.sh('systemctl restart ovpn-killswitch-watch');
    await runs(it.product);
  });

  test('is gone after "watch disable", which names its files, and the rules stay', async (context) => {
    const it = at(context);
    const rules = await it.machine.sh('nft -s -a list ruleset');
    const { changes } = await whole(it, ['watch', 'disable'], true);
    expect(changes).toContainEqual({ kind: 'file', what: SERVICE_FILES[0], how: 'removed' });
    expect(await watchOf(it.product)).toEqual({ enabled: false, running: false });
    await whole(it, ['watch', 'disable'], false);
    expect(await it.machine.sh('nft -s -a list ruleset')).toBe(rules);
    await it.product.must('watch', 'enable');
    await runs(it.product);
  });

  test('runs again after a restart of the machine', async (context) => {
    const it = at(context);
    await it.machine.powerCut();
    await runs(it.product);
    await putsBack(it);
  });

  test('is gone after the script recover, which opens in spite of it, and after uninstall nothing is left', async (context) => {
    const it = at(context);
    await it.product.must('watch', 'enable');
    await runs(it.product);
    await it.machine.sh('/usr/local/lib/ovpn-killswitch/recover');
    expect(await watchOf(it.product)).toEqual({ enabled: false, running: false });
    expect(await it.machine.sh('nft list ruleset; ls /etc/systemd/system')).not.toMatch(
      /killswitch/,
    );
    await it.product.must('lock');
    await it.product.must('watch', 'enable');
    await runs(it.product);
    await it.product.must('uninstall');
    expect(await it.machine.sh(TRACES)).toBe(before);
  });
});

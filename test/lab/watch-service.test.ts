import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import { INTERNET } from '../../src/proof/addresses.ts';
import { installProduct, type Product } from '../../src/proof/product.ts';
import { until } from '../../src/proof/until.ts';
import { DIST } from '../e2e/stage.ts';
import { type Booted, bootMachine, bootObstacle } from '../support/booted.ts';
import { builtRoot } from '../support/debian-root.ts';
import { machineWith } from '../support/machine.ts';

const PLAN = { root: 'systemd-12' } as const;
const SETTINGS = `KILLSWITCH_BACKEND=nftables\nKILLSWITCH_ENDPOINTS=${INTERNET.vpn4}:1194/udp\n`;
const TRACES =
  'find /etc /usr/local /var/lib /run -xdev -name "*killswitch*" ! -path "/run/systemd/units/*" | sort; nft list ruleset; ps -eo args | grep "[k]illswitch.watch" || :';

describe('the service under systemd', () => {
  const obstacle = bootObstacle(PLAN);
  let machine: Booted | undefined;
  let product: Product | undefined;
  let before = '';
  beforeAll(async () => {
    if (obstacle !== undefined) return;
    machine = await bootMachine(PLAN);
    before = await machine.sh(TRACES);
    product = await installProduct(machine, DIST, SETTINGS);
    await product.must('lock');
    await product.must('boot', 'enable');
  }, 120_000);
  afterAll(() => machine?.close());
  const at = (context: TestContext): { readonly machine: Booted; readonly product: Product } => {
    if (obstacle !== undefined) context.skip(obstacle);
    if (machine === undefined || product === undefined) throw new Error('the machine was not booted');
    return { machine, product };
  };
  const watchOf = async (it: Product) => JSON.parse((await it.command('status', '--json')).stdout).watch;
  const runs = (it: Product) => until('the watcher', async () => (await watchOf(it)).running === true);
  const putsBack = async ({ machine, product }: ReturnType<typeof at>) => {
    await machine.sh('nft flush ruleset');
    await until('the rules', async () => (await product.command('status')).status === 0, 2_000);
  };

  test('runs from "watch enable" on, and puts the rules back', async (context) => {
    const it = at(context);
    expect(await watchOf(it.product)).toEqual({ enabled: false, running: false });
    expect((await it.product.command('status')).stdout).toContain('ovpn-killswitch watch enable');
    await it.product.must('watch', 'enable');
    await runs(it.product);
    await putsBack(it);
    expect(await it.machine.sh('journalctl --no-pager -o cat -u ovpn-killswitch-watch')).toMatch(
      /put back what was changed by nft \(process \d+\)/,
    );
  });

  test('comes back when it is killed, with what it missed', async (context) => {
    const it = at(context);
    await it.machine.sh('kill -9 $(systemctl show --value -p MainPID ovpn-killswitch-watch)');
    await it.machine.sh('nft flush ruleset');
    await until('the rules', async () => (await it.product.command('status')).status === 0, 5_000);
    expect(await watchOf(it.product)).toEqual({ enabled: true, running: true });
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
    expect(await it.machine.sh('nft list ruleset; ls /etc/systemd/system')).not.toMatch(/killswitch/);
    await it.product.must('lock');
    await it.product.must('watch', 'enable');
    await runs(it.product);
    await it.product.must('uninstall');
    expect(await it.machine.sh(TRACES)).toBe(before);
  });
});

/** What the program openrc makes before its first runlevel. */
const SOFTLEVEL = 'mkdir -p /run/openrc/exclusive /run/openrc/started /run/openrc/starting /run/openrc/failed; : >/run/openrc/softlevel';

describe('the service under OpenRC', () => {
  const machine = machineWith(
    'nftables',
    async (sandbox) => {
      sandbox.run(['sh', '-c', SOFTLEVEL]);
      const product = await installProduct(sandbox, DIST, SETTINGS);
      await product.must('lock');
    },
    builtRoot('openrc-12'),
  );

  test('runs from "watch enable" on, puts the rules back, and is gone after "watch disable"', async (context) => {
    const it = machine.sandbox(context);
    const status = () => JSON.parse(it.run(['ovpn-killswitch', 'status', '--json']).stdout);
    const enabled = it.run(['ovpn-killswitch', 'watch', 'enable']);
    expect(enabled.status, enabled.stdout + enabled.stderr).toBe(0);
    await until('the watcher', () => status().watch.running === true);
    expect(it.run(['rc-update', 'show', 'default']).stdout).toContain('ovpn-killswitch-watch | default');
    it.run(['nft', 'flush', 'ruleset']);
    await until('the rules', () => status().exact === true, 2_000);
    const disabled = it.run(['ovpn-killswitch', 'watch', 'disable']);
    expect(disabled.status, disabled.stdout + disabled.stderr).toBe(0);
    expect(status().watch).toEqual({ enabled: false, running: false });
    expect(it.run(['sh', '-c', 'ls /etc/init.d /etc/runlevels/*; ps -eo args']).stdout).not.toMatch(/ovpn-killswitch.watch/);
  });
});

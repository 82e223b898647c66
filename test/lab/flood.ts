import { afterAll, beforeAll, expect, test } from 'vitest';
import { PATHS } from '../../src/host/paths.ts';
import type { BackendName } from '../../src/policy/settings.ts';
import { INTERNET, PORTS } from '../../src/proof/addresses.ts';
import { missingRequirements } from '../../src/proof/missing-requirements.ts';
import { type ProberRun, total } from '../../src/proof/prober-run.ts';
import { installProduct, type Product } from '../../src/proof/product.ts';
import { waitUntil } from '../../src/proof/wait-until.ts';
import { openWorld, type World } from '../../src/proof/world.ts';
import { DIST } from '../e2e/stage.ts';

const CYCLES = 100;
const PER_SECOND = 10_000;
const DEVICE = 'tun7';

/** The input of OpenVPN 2.6 to its hooks, as far as they read it. */
function environmentOf(hook: 'up' | 'down'): Readonly<Record<string, string>> {
  return {
    script_type: hook,
    script_context: 'init',
    dev: DEVICE,
    dev_type: 'tun',
    tun_mtu: '1500',
    ifconfig_local: '10.9.0.2',
    ifconfig_netmask: '255.255.255.0',
    trusted_ip: INTERNET.vpn4,
    trusted_port: String(PORTS.vpn),
    remote_1: INTERNET.vpn4,
    remote_port_1: String(PORTS.vpn),
    proto_1: 'udp4',
    foreign_option_1: 'dhcp-option DNS 10.9.0.1',
    // The sandbox's first process: it is there as long as OpenVPN would be.
    daemon_pid: '1',
  };
}

interface Flood {
  readonly world: World;
  readonly product: Product;
  readonly prober: ProberRun;
}

async function open(backend: BackendName): Promise<Flood> {
  const world = await openWorld({ dist: DIST, transport: 'udp' });
  try {
    await world.writeProfile(true);
    const product = await installProduct(world.sandbox, DIST, `KILLSWITCH_BACKEND=${backend}\n`);
    const { status, stderr } = await world.sandbox.ask(['sh', '-eu'], {
      stdin: `ip tuntap add dev ${DEVICE} mode tun; ip address add 10.9.0.2/24 dev ${DEVICE}; ip link set ${DEVICE} up`,
    });
    if (status !== 0) throw new Error(`no device: ${stderr}`);
    const probes = world.probes.filter(({ transport }) => transport === 'udp');
    return {
      world,
      product,
      prober: await world.startProber({ probes, payloads: PER_SECOND, connects: 0, seconds: 3600 }),
    };
  } catch (thrown) {
    world.close();
    throw thrown;
  }
}

/** The hooks change the rules under fire, and never let anything through on the way. */
export function specifyFlood(backend: BackendName): void {
  let flood: Flood | undefined;
  let obstacle: string | undefined;
  beforeAll(async () => {
    obstacle = missingRequirements();
    if (obstacle === undefined) flood = await open(backend);
  });
  afterAll(() => flood?.world.close());

  test(`with ${backend}, nothing of ${PER_SECOND} packets a second leaves during ${CYCLES} runs of the hooks up and down`, async (context) => {
    if (obstacle !== undefined) context.skip(obstacle);
    if (flood === undefined) throw new Error('the world was not made');
    const { world, product, prober } = flood;
    const { capture } = world;
    const hook = async (which: 'up' | 'down') => {
      const argv = [
        `${PATHS.library}/hooks/${which}`,
        DEVICE,
        '1500',
        '0',
        '10.9.0.2',
        '255.255.255.0',
        'init',
      ];
      const { status, stderr } = await world.sandbox.ask(argv, { only: environmentOf(which) });
      expect(status, stderr).toBe(0);
    };
    const isExactly = async (headline: string) => {
      const { status, stdout } = await product.command('status');
      expect(stdout).toContain(headline);
      expect(status).toBe(0);
    };
    const seenOfHalfASecond = async () => {
      await capture.tally();
      const from = prober.report();
      await waitUntil(
        'half a second of the flood',
        () => prober.report().elapsed > from.elapsed + 500,
      );
      const sent = total(prober.report().tried) - total(from.tried);
      return (await capture.tally()).clear / sent;
    };

    // Open, the capture sees the flood: what it does not see later was not there.
    expect(await seenOfHalfASecond()).toBeGreaterThan(0.9);
    await product.must('lock');
    await capture.tally();
    const before = prober.report();
    await hook('up');
    await isExactly('LOCKED: connected');
    await hook('down');
    await isExactly('LOCKED: blocked');
    for (let cycle = 1; cycle < CYCLES; cycle++) {
      await hook('up');
      await hook('down');
    }
    const after = prober.report();
    const tally = await capture.tally();
    const tried = total(after.tried) - total(before.tried);
    const seconds = (after.elapsed - before.elapsed) / 1000;
    process.stdout.write(
      `${backend}: ${tried.toLocaleString('en')} probes in ${seconds.toFixed(1)} s of ${CYCLES} up/down; captured: ${tally.clear} in clear\n`,
    );
    expect(tally.byName).toEqual({});
    expect(tally.clear).toBe(0);
    await isExactly('LOCKED: blocked');
    await product.must('unlock');
    expect(await seenOfHalfASecond()).toBeGreaterThan(0.9);
    expect(await capture.end()).toBe(0);
    const rate = tried / seconds;
    if (rate < PER_SECOND * 0.9)
      context.skip(`this machine sent ${Math.round(rate)} packets a second, and no more`);
  });
}

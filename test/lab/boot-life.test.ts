import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import { SYSCTL_FILE } from '../../src/boot/sysctl.ts';
import type { BackendName } from '../../src/policy/settings.ts';
import { INTERNET, UPLINK, VPN } from '../../src/proof/addresses.ts';
import { PUSHED_TIMERS } from '../../src/proof/openvpn.ts';
import { installProduct, type Product } from '../../src/proof/product.ts';
import { waitUntil } from '../../src/proof/wait-until.ts';
import { DIST } from '../e2e/stage.ts';
import { type Booted, bootMachine, bootObstacle } from '../support/booted.ts';
import { differences, TRACES } from '../support/traces.ts';
import { PATIENT } from './open-lab.ts';

interface Debian {
  readonly root: string;
  readonly backend: BackendName;
}

const DEBIANS: readonly Debian[] = [
  { root: 'systemd-12', backend: 'nftables' },
  { root: 'systemd-13', backend: 'iptables' },
];

const MARK = 7;

/** A setup that has `boot enable --sysctl` set every kernel setting that it knows. */
const SETTINGS = ({ backend }: Debian) =>
  `KILLSWITCH_BACKEND=${backend}\nKILLSWITCH_IPV6=block\nKILLSWITCH_ENDPOINT_OWNER=mark:0x${MARK}\nKILLSWITCH_FORWARD=virbr0\n`;

/** Those, by their path below /proc/sys. */
const WANTED = {
  ...Object.fromEntries(
    ['all', 'default', 'lo', UPLINK].map((name) => [`net/ipv6/conf/${name}/disable_ipv6`, '1']),
  ),
  'net/ipv4/conf/all/arp_ignore': '1',
  'net/ipv4/conf/all/src_valid_mark': '1',
  'net/ipv4/conf/all/rp_filter': '2',
  'net/ipv4/ip_forward': '1',
};

/** Restored too: forwarding changes it. */
const FOLLOWS = 'net/ipv4/conf/all/accept_redirects';

/** The owner's values for each boot: other values than ours, and than the kernel's own. */
const OWNERS = {
  'net/ipv4/conf/all/arp_ignore': '2',
  'net/ipv4/conf/all/src_valid_mark': '0',
  'net/ipv4/conf/all/rp_filter': '1',
  'net/ipv4/ip_forward': '0',
  [FOLLOWS]: '1',
};

/** The manager of the card knows no IPv6 either: otherwise it would switch that on again. */
const PREPARE = `
sed -i -e '/:/d' -e '/IPv6/d' -e 's/^\\[Network\\]/&\\nLinkLocalAddressing=no/' /etc/systemd/network/${UPLINK}.network
printf 'nameserver ${INTERNET.resolver4}\\n' >/etc/resolv.conf
mkdir -p /etc/sysctl.d
cat >/etc/sysctl.d/50-owner.conf <<'END'
${Object.entries(OWNERS)
  .map(([key, value]) => `${key} = ${value}`)
  .join('\n')}
END
`;

const PROFILE = '/etc/openvpn/client/vpn.conf';

interface Scene {
  readonly machine: Booted;
  /** Traces that we could leave, before anything of ours was there. */
  readonly traces: string;
  /** Kernel settings then. */
  readonly values: Readonly<Record<string, string>>;
  product?: Product;
}

async function valuesOf(machine: Booted): Promise<Readonly<Record<string, string>>> {
  const keys = [...Object.keys(WANTED), FOLLOWS];
  const lines = (
    await machine.sh(
      `cd /proc/sys; for each in ${keys.join(' ')}; do echo "$each $(cat $each)"; done`,
    )
  )
    .trim()
    .split('\n');
  return Object.fromEntries(lines.map((line) => line.split(' ') as [string, string]));
}

async function open({ root }: Debian): Promise<Scene> {
  const machine = await bootMachine({ root, prepare: PREPARE });
  try {
    // A tunnel without IPv6: there is none on this machine then.
    const tunnel = [
      'dev srv0',
      'dev-type tun',
      'topology subnet',
      `server ${VPN.network4} ${VPN.mask4}`,
    ];
    await machine.world.startServer({
      tunnel,
      pushes: [
        ...PUSHED_TIMERS,
        'redirect-gateway def1',
        `dhcp-option DNS ${VPN.resolver4}`,
        PATIENT,
      ],
      more: [PATIENT],
    });
    await machine.writeProfile(PROFILE, false, undefined, { more: [PATIENT, `mark ${MARK}`] });
    return { machine, traces: await machine.sh(TRACES), values: await valuesOf(machine) };
  } catch (thrown) {
    await machine.close();
    throw thrown;
  }
}

/** One story: each test goes on from the one before. */
describe.each(DEBIANS)('on $root with $backend, booted for real,', (debian) => {
  let obstacle: string | undefined;
  let scene: Scene | undefined;
  beforeAll(async () => {
    obstacle = bootObstacle(debian);
    if (obstacle === undefined) scene = await open(debian);
  });
  afterAll(() => scene?.machine.close());
  const on = (context: TestContext): Scene => {
    if (obstacle !== undefined) context.skip(obstacle);
    if (scene === undefined) throw new Error('the machine was not booted');
    return scene;
  };
  const productOf = ({ product }: Scene): Product => {
    if (product === undefined) throw new Error('nothing was installed');
    return product;
  };
  const statusOf = async (it: Scene) =>
    JSON.parse((await productOf(it).command('status', '--json')).stdout);

  test('"boot enable --sysctl" sets every kernel setting now, and a client connects with them', async (context) => {
    const it = on(context);
    const { machine } = it;
    expect(it.values).toMatchObject(OWNERS);
    for (const [key, value] of Object.entries(WANTED)) expect(it.values[key], key).not.toBe(value);
    it.product = await installProduct(machine, DIST, SETTINGS(debian));
    await it.product.must('attach', PROFILE);
    await it.product.must('lock');
    await it.product.must('boot', 'enable', '--with', 'systemd', '--sysctl');
    const written = [...machine.file(SYSCTL_FILE).matchAll(/^-(\S+) = (\S+)$/gm)].map(
      ([, key, value]) => [key, value],
    );
    expect(Object.fromEntries(written)).toEqual(WANTED);
    expect(await valuesOf(machine)).toMatchObject(WANTED);
    await it.product.must('watch', 'enable');
    await machine.sh('systemctl start openvpn-client@vpn');
    await waitUntil('the tunnel', async () => (await statusOf(it)).state === 'connected', 30_000);
    await waitUntil('its resolvers', () =>
      machine.file('/etc/resolv.conf').includes(VPN.resolver4),
    );
  });

  test('all of them hold after a restart, and so do lock and watch', async (context) => {
    const it = on(context);
    await it.machine.reboot();
    expect(await valuesOf(it.machine)).toMatchObject(WANTED);
    expect(await it.machine.failedUnits()).toEqual([]);
    await waitUntil('the watcher', async () => (await statusOf(it)).watch.running === true);
    expect(await statusOf(it)).toMatchObject({
      state: 'blocked',
      exact: true,
      boot: { with: 'systemd', sysctl: true, problems: [] },
    });
  });

  test('status says which one a network manager has changed', async (context) => {
    const it = on(context);
    const config = `/etc/systemd/network/${UPLINK}.network`;
    await it.machine.sh(
      `sed -i s/LinkLocalAddressing=no/LinkLocalAddressing=ipv6/ ${config}; networkctl reload; networkctl reconfigure ${UPLINK}`,
    );
    const path = `/proc/sys/net/ipv6/conf/${UPLINK}/disable_ipv6`;
    await waitUntil('IPv6', async () => (await it.machine.sh(`cat ${path}`)) === '0\n');
    expect((await statusOf(it)).boot.problems).toEqual([
      expect.stringContaining(`${path} is 0 instead of 1: another program has changed it`),
    ]);
    await it.machine.sh(
      `sed -i s/LinkLocalAddressing=ipv6/LinkLocalAddressing=no/ ${config}; networkctl reload; networkctl reconfigure ${UPLINK}`,
    );
    await productOf(it).must('boot', 'enable', '--with', 'systemd', '--sysctl');
    expect((await statusOf(it)).boot.problems).toEqual([]);
  });

  test('"boot disable" restores the old values at once, and after another restart', async (context) => {
    const it = on(context);
    await productOf(it).must('boot', 'disable');
    expect(await valuesOf(it.machine)).toEqual(it.values);
    await it.machine.reboot();
    expect(await valuesOf(it.machine)).toEqual(it.values);
  });

  test('nothing of all this is left after uninstall', async (context) => {
    const it = on(context);
    const product = productOf(it);
    await product.must('lock');
    await product.must('boot', 'enable', '--with', 'systemd', '--sysctl');
    await it.machine.reboot();
    await product.must('lock');
    const ours = differences(it.traces, await it.machine.sh(TRACES));
    for (const part of ['file', 'content', 'sysctl', 'nft', 'unit file', 'unit'])
      expect(ours, part).toContainEqual(expect.stringMatching(new RegExp(`^\\+ ${part} [^ ]`)));
    await product.must('uninstall');
    expect(differences(it.traces, await it.machine.sh(TRACES))).toEqual([]);
  });
});

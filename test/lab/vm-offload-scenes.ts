import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';
import { PATHS } from '../../src/host/paths.ts';
import type { BackendName } from '../../src/policy/settings.ts';
import { DEVICE, INTERNET } from '../../src/proof/addresses.ts';
import { type ClientPlan, RESTARTING } from '../../src/proof/openvpn.ts';
import type { Transport } from '../../src/proof/probes.ts';
import { writeSettings } from '../../src/proof/product.ts';
import { startService } from '../../src/proof/service.ts';
import { WEB_VISITS } from '../../src/proof/services.ts';
import { waitUntil } from '../../src/proof/wait-until.ts';
import { statusOf } from './facts.ts';
import type { Lab } from './open-lab.ts';
import type { Scene } from './vm-scene.ts';
import {
  BACKENDS,
  everyAccountReaches,
  everyAccountWorks,
  locked,
  patient,
  sendAsStranger,
  silently,
} from './vm-way.ts';

interface Carrier {
  readonly name: string;
  readonly transport: Transport;
  readonly plan: Pick<ClientPlan, 'transport' | 'family'>;
  readonly remote: string;
}

function carrier(transport: 'udp' | 'tcp', family: 'ipv4' | 'ipv6'): Carrier {
  const [version, remote] = family === 'ipv4' ? ['IPv4', INTERNET.vpn4] : ['IPv6', INTERNET.vpn6];
  const name = `${transport.toUpperCase()} over ${version}`;
  return { name, transport, plan: { transport, family }, remote };
}

const [UDP4, UDP6] = [carrier('udp', 'ipv4'), carrier('udp', 'ipv6')];
const [TCP4, TCP6] = [carrier('tcp', 'ipv4'), carrier('tcp', 'ipv6')];

/** After so many seconds of silence from its client a server drops it. */
const SERVER_SECONDS = 15;

/** The device is one of the kernel's module, as it says itself. */
async function isOffloaded({ world: { sandbox } }: Lab): Promise<void> {
  const { stdout } = await sandbox.ask(['cat', `/sys/class/net/${DEVICE}/uevent`]);
  expect(stdout.split('\n')).toContain('DEVTYPE=ovpn');
}

/** The port that the client sends from. */
async function portOf({ world: { sandbox } }: Lab): Promise<number> {
  const { stdout } = await sandbox.ask(['ss', '-Huanp']);
  const [, port] = /:(\d+)\s+\S+\s+users:\(\("openvpn"/.exec(stdout) ?? [];
  if (port === undefined) throw new Error(`the client has no socket: ${stdout}`);
  return Number(port);
}

/** The signals to a client that must then work again. */
const SIGNALS = ['USR1', 'HUP'] as const;

function carried(backend: BackendName, { name, transport, plan, remote }: Carrier): Scene {
  return {
    name: `${backend}, offloaded, ${name}: works for every account, in packets of any size, through reconnects; nobody else reaches the server`,
    play: async ({ lab }) => {
      const it = await lab();
      const { product } = it;
      const server = { ...patient(), ...plan };
      await locked(it, { backend, remote, server, client: { ...plan, offload: true } });
      const { vpn } = await it.guarded(async () => {
        await it.connect();
        await isOffloaded(it);
        await everyAccountWorks(it);
      });
      expect(vpn).toBeGreaterThan(50);
      expect(await statusOf(product)).toMatchObject({
        exit: 0,
        state: 'connected',
        tunnels: [{ stale: false }],
      });
      for (const signal of SIGNALS)
        await it.guarded(async () => {
          await it.reconnects(() => it.client().signal(signal));
          await everyAccountReaches(it);
        });
      const port = transport === 'udp' ? await portOf(it) : undefined;
      await it.guarded(async () => {
        await it.client().end('KILL');
        if (port !== undefined) await sendAsStranger(it, port, remote);
      });
    },
  };
}

/**
 * OpenVPN gives up being root. The accounts are made where they are not: `nm-openvpn` is that of
 * NetworkManager's plugin.
 */
function unprivileged(backend: BackendName, user: 'nobody' | 'nm-openvpn'): Scene {
  return {
    name: `${backend}, offloaded, as ${user} with persist-tun: works through SIGUSR1 and when the server is killed and comes back`,
    play: async ({ lab }) => {
      const it = await lab();
      const account = `id ${user} >/dev/null 2>&1 || echo '${user}:x:64501:65534::/:/bin/false' >>/etc/passwd`;
      expect(await it.world.sandbox.ask(['sh', '-euc', account])).toMatchObject({
        status: 0,
        stderr: '',
      });
      const server = patient(12);
      const more = [`user ${user}`, 'group nogroup', 'persist-tun', 'persist-key'];
      await locked(it, { backend, server, client: { offload: true, more } });
      await it.guarded(async () => {
        await it.connect();
        await isOffloaded(it);
        await everyAccountReaches(it);
        await it.reconnects(() => it.client().signal('USR1'));
        await everyAccountReaches(it);
      });
      await it.guarded(async () => {
        await it.reconnects(async () => {
          await it.server().end('KILL');
          await it.client().says(RESTARTING, 1, 30_000);
          await it.serve(server);
        });
        await everyAccountReaches(it);
      });
    },
  };
}

/** Only the kernel speaks for the client meanwhile. */
function idle(backend: BackendName, seconds: number): Scene {
  return {
    name: `${backend}, offloaded, with a mark: works, and an idle client stays connected for ${seconds} s, longer than its server waits`,
    play: async ({ lab }) => {
      const it = await lab();
      const settings = ['KILLSWITCH_ENDPOINT_OWNER=mark:0x77'];
      await locked(it, {
        backend,
        settings,
        server: patient(SERVER_SECONDS),
        client: { offload: true, more: [`mark ${0x77}`] },
      });
      await it.guarded(async () => {
        await it.connect();
        await isOffloaded(it);
        await everyAccountReaches(it);
      });
      await silently(it, async () => {
        await it.world.capture.tally();
        await pause(seconds * 1000);
        const { vpn, clear } = await it.world.capture.tally();
        expect(clear).toBe(0);
        expect(vpn).toBeGreaterThan(seconds / 2);
        // While it is silent: the prober makes up at once for what it did not send.
        await everyAccountReaches(it);
        expect((await it.world.capture.tally()).clear).toBe(0);
      });
      expect(it.client().times(RESTARTING)).toBe(0);
      expect(it.server().times(RESTARTING)).toBe(0);
      await it.guarded(async () => undefined);
    },
  };
}

/**
 * The findings of `prove --here` on an open machine, and that it finds nothing on a locked one
 * whose client is offloaded.
 */
function provedHere(backend: BackendName): Scene {
  return {
    name: `${backend}, offloaded: prove --here finds nothing through a reconnect, and finds what leaves once the machine is open`,
    play: async ({ lab }) => {
      const it = await lab();
      const { product } = it;
      await locked(it, { backend, client: { offload: true } });
      await it.connect();
      await isOffloaded(it);
      expect(await product.command('prove', '--here', '--reconnect')).toMatchObject({ status: 0 });
      await isOffloaded(it);
      await product.must('unlock');
      expect(await product.command('prove', '--here')).toMatchObject({ status: 1 });
    },
  };
}

/** Whether this device is there. */
async function isThere({ world: { sandbox } }: Lab, device: string): Promise<boolean> {
  return (await sandbox.ask(['ip', 'link', 'show', 'dev', device])).status === 0;
}

/** The traces of data channel offload: the kernel keeps a device whose OpenVPN was killed. */
const leftBehind = (backend: BackendName): Scene => ({
  name: `${backend}, offloaded: what kill -9 leaves goes with the next connection, with lock and with watch, and a failing up leaves nothing`,
  play: async ({ lab }) => {
    const it = await lab();
    const { product, world } = it;
    const tunnel = ['client', 'dev tun'];
    const plan: ClientPlan = { offload: true, tunnel };
    await locked(it, { backend, client: plan });
    await it.connect();
    await it.client().end('KILL');
    expect(await isThere(it, 'tun0')).toBe(true);
    expect((await product.command('doctor')).stdout).toContain('sudo ip link delete dev tun0');
    await it.guarded(async () => {
      await it.connect();
      expect((await world.visit(WEB_VISITS))['echo4']).toBe('echo');
    });
    expect(await isThere(it, 'tun0')).toBe(false);
    expect((await product.command('status')).stdout).toContain('data channel offload');
    await it.client().end('KILL');
    expect(await isThere(it, 'tun1')).toBe(true);
    await product.must('lock');
    expect(await isThere(it, 'tun1')).toBe(false);

    await it.connect();
    const watch = startService(world.sandbox, 'watch', [PATHS.command, 'watch']);
    await it.client().end('KILL');
    await waitUntil('watch to remove the device', async () => !(await isThere(it, 'tun0')), 60_000);
    await watch.end('KILL');

    const settings = await world.sandbox.ask(['cat', PATHS.settings]);
    await writeSettings(world.sandbox, `${settings.stdout}KILLSWITCH_LAN=nonsense\n`);
    const client = world.startClient();
    await waitUntil('the client to give up', () => !client.running(), 60_000);
    expect(await isThere(it, 'tun0')).toBe(false);
  },
});

/** Data channel offload: the kernel sends what OpenVPN has sent elsewhere. */
export const OFFLOADED: readonly Scene[] = [
  carried('nftables', UDP4),
  carried('iptables', UDP4),
  unprivileged('nftables', 'nobody'),
  idle('iptables', 2 * SERVER_SECONDS),
  provedHere('nftables'),
  leftBehind('nftables'),
];

/** The same with every transport, owner and backend. */
export const OFFLOADED_OTHERWISE: readonly Scene[] = [
  ...BACKENDS.flatMap((backend) => [UDP6, TCP4, TCP6].map((carrier) => carried(backend, carrier))),
  ...BACKENDS.map((backend) => unprivileged(backend, 'nm-openvpn')),
  ...BACKENDS.map((backend) => idle(backend, 300)),
  unprivileged('iptables', 'nobody'),
  provedHere('iptables'),
  leftBehind('iptables'),
];

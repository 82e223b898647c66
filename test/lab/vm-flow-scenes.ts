import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';
import type { BackendName } from '../../src/policy/settings.ts';
import { INTERNET, LAN, NODE, UPLINK } from '../../src/proof/addresses.ts';
import { writeSettings } from '../../src/proof/product.ts';
import { startService } from '../../src/proof/service.ts';
import { waitUntil } from '../../src/proof/wait-until.ts';
import { statusOf } from './facts.ts';
import { GUEST } from './guest.ts';
import type { Lab } from './open-lab.ts';
import type { Scene } from './vm-scene.ts';
import { locked } from './vm-way.ts';

/** On the web: sends back what it gets, over TCP; over UDP the world's own responder does. */
const PORT = 7001;
const WEB = `require('net').createServer((socket) => socket.on('error', () => {}).on('data', (data) => socket.write(data))).listen(${PORT}, '${INTERNET.web4}')`;
/** A guest that says the same again and again on one connection of each kind. */
const TALK = `
const udp = require('dgram').createSocket('udp4');
const tcp = require('net').connect(${PORT}, '${INTERNET.web4}').on('error', () => {}).on('data', () => {}).setNoDelay();
setInterval(() => {
  udp.send('leakprobe-flow-udp-00000001', 7, '${INTERNET.web4}', () => {});
  tcp.write('leakprobe-flow-tcp-00000001');
}, 100);
`;
const FAST_LANE = `
nft add rule ip guest leaving oifname "${UPLINK}" masquerade
nft -f - <<'END'
table inet fast {
  flowtable lane { hook ingress priority 0; devices = { ${UPLINK}, ${GUEST} }; }
  chain forward { type filter hook forward priority 0; meta l4proto { tcp, udp } flow add @lane; }
}
END
`;

/** Without a server to reach `lock` refuses. */
const ENDPOINT = `KILLSWITCH_ENDPOINTS=${INTERNET.vpn4}:1194/udp`;

async function sh({ world: { sandbox } }: Lab, text: string): Promise<string> {
  const { status, stdout, stderr } = await sandbox.ask(['sh', '-euc', text]);
  if (status !== 0) throw new Error(`${text}: ${stderr}`);
  return stdout;
}

async function open(lab: Lab, backend: BackendName, ...settings: readonly string[]): Promise<void> {
  await lab.disconnect();
  await lab.product.must('unlock');
  await writeSettings(
    lab.world.sandbox,
    [`KILLSWITCH_BACKEND=${backend}`, 'KILLSWITCH_RESOLVER=off', ENDPOINT, ...settings, ''].join(
      '\n',
    ),
  );
}

/** The packets of these that left in so many seconds. */
async function heardOf(
  { world: { capture } }: Lab,
  names: readonly string[],
  seconds = 3,
): Promise<Readonly<Record<string, number>>> {
  await capture.tally();
  await pause(seconds * 1000);
  const { byName } = await capture.tally();
  return Object.fromEntries(
    names.flatMap((name) => (byName[name] === undefined ? [] : [[name, byName[name]]])),
  );
}

const FLOWS = ['flow-udp', 'flow-tcp'] as const;

/** Connections that the kernel forwards past every chain. */
export const flowtable = (backend: BackendName): Scene => ({
  name: `${backend}: connections of a guest in a flowtable made before end with lock, and again when unlock --for is over`,
  play: async ({ lab }) => {
    const it = await lab();
    const { product, world } = it;
    await open(it, backend);
    await sh(it, FAST_LANE);
    const web = startService(world.sandbox, 'flow-web', [NODE, '-e', WEB], { at: 'internet' });
    await pause(3000);
    const guest = startService(world.sandbox, 'flow-guest', [NODE, '-e', TALK], { at: 'guest' });
    try {
      await waitUntil(
        'both to be offloaded',
        async () => (await sh(it, 'conntrack -L -u OFFLOAD 2>/dev/null')).split('\n').length > 2,
        60_000,
      );
      expect(Object.keys(await heardOf(it, FLOWS)).sort()).toEqual([...FLOWS].sort());
      expect(await product.must('lock')).toMatch(/ended \d+ offloaded connections/);
      expect(await heardOf(it, FLOWS)).toEqual({});
      expect(await statusOf(product)).toMatchObject({ exit: 0, state: 'blocked' });
      await product.must('unlock', '--for', '8s');
      expect(await heardOf(it, FLOWS)).not.toEqual({});
      await waitUntil(
        'the lock',
        async () => (await statusOf(product)).state === 'blocked',
        60_000,
      );
      expect(await heardOf(it, FLOWS)).toEqual({});
    } finally {
      await Promise.all([guest.end('KILL'), web.end('KILL')]);
      await sh(it, 'nft delete table inet fast || true');
      await product.must('unlock');
    }
  },
});

/** An address on the web that nobody else here speaks to. */
const FAR = '203.0.113.99';
const FAR_NAME = `ipv4 protocol 1 to ${FAR}`;
const SECOND = `
ip link add up1 type veth peer name lan1 netns router
ip address add 192.168.99.2/24 dev up1
ip link set up1 up
nsenter --net=/run/netns/router sh -euc '
  ip address add 192.168.99.1/24 dev lan1; ip link set lan1 up
  nft -f - <<END
table netdev arrivals {
  chain counted { type filter hook ingress device lan1 priority 0; ip daddr ${FAR} counter; }
}
END
'
ip route add ${FAR}/32 via 192.168.99.1 dev up1
`;
/** How many packets came by the second uplink. */
const SECOND_COUNT =
  "nsenter --net=/run/netns/router nft list table netdev arrivals | grep -o 'packets [0-9]*' | cut -d' ' -f2";

const VRF = `
ip link add vrf1 type vrf table 100
ip link set vrf1 up
ip link set ${UPLINK} master vrf1
ip route add default via ${LAN.router4} dev ${UPLINK} table 100
`;
const NEITHER = `
ip link delete up1 2>/dev/null || true
ip link delete vrf1 2>/dev/null || true
nsenter --net=/run/netns/router nft delete table netdev arrivals 2>/dev/null || true
`;

/**
 * Ways out that the rules have not seen: each appears anew while the machine is open, while it is
 * locked, and while it is connected.
 */
export const uplinks = (backend: BackendName): Scene => ({
  name: `${backend}: nothing leaves by a second uplink that appears, or by a VRF around the first, while it is locked or connected`,
  play: async ({ lab }) => {
    const it = await lab();
    const { product, world } = it;
    const ping = (...args: readonly string[]) =>
      world.sandbox.ask(['ping', '-n', '-q', '-c3', '-i0.3', '-W1', ...args, FAR]);
    const bySecond = async () => {
      await sh(it, SECOND);
      await ping();
      return Number(await sh(it, SECOND_COUNT));
    };
    const byVrf = async () => {
      await sh(it, VRF);
      await world.capture.tally();
      await ping('-I', 'vrf1');
      return (await world.capture.tally()).byName[FAR_NAME] ?? 0;
    };
    const neither = async () => {
      await sh(it, NEITHER);
      await world.uplinkDown();
      await world.uplinkUp();
    };
    const byEach = async () => {
      const found = { second: await bySecond(), vrf: await byVrf() };
      await neither();
      return found;
    };
    try {
      await open(it, backend, 'KILLSWITCH_LAN=off');
      expect(await byEach()).toEqual({ second: 3, vrf: 3 });
      await locked(it, { backend, settings: ['KILLSWITCH_LAN=off'] });
      expect(await byEach()).toEqual({ second: 0, vrf: 0 });
      await it.connect();
      expect(await statusOf(product)).toMatchObject({ exit: 0, state: 'connected' });
      expect(await byEach()).toEqual({ second: 0, vrf: 0 });
    } finally {
      await neither();
      await product.must('unlock');
    }
  },
});

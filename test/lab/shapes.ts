import { describe, expect, type TestContext, test } from 'vitest';
import { DEVICE, INTERNET, LAN, PORTS, UPLINK, VPN } from '../../src/proof/addresses.ts';
import { type ClientPlan, PUSHES, type ServerPlan } from '../../src/proof/openvpn.ts';
import { PKI } from '../../src/proof/pki.ts';
import type { Probe } from '../../src/proof/probes.ts';
import { LAN_VISITS, WEB_VISITS } from '../../src/proof/services.ts';
import { dumpWithoutKeptShut } from '../support/rule-dump.ts';
import { everyProbeIsSeen } from '../support/watched.ts';
import { factsAreTrue, kernelFacts, statusOf } from './facts.ts';
import { type LabSetting, labWith } from './lab.ts';
import { type Lab, PATIENT } from './open-lab.ts';
import { type Carried, works } from './works.ts';

/** Anybody else's payload to the address that the VPN client reaches over IPv6. */
const ENDPOINT6: Probe = {
  name: 'endpoint6-udp',
  transport: 'udp',
  address: INTERNET.vpn6,
  port: PORTS.vpn,
  question: false,
};

const EVERYTHING = [...PUSHES, PATIENT];

const SERVER_TUN = ['dev srv0', 'dev-type tun'];
const NETWORK4 = `server ${VPN.network4} ${VPN.mask4}`;
const NETWORK6 = `server-ipv6 ${VPN.network6}`;

/** One end of a link between two, without a server that tells anything. */
function peer(
  own: readonly [ipv4: string, ipv6: string],
  other: readonly [ipv4: string, ipv6: string],
): readonly string[] {
  return [`ifconfig ${own[0]} ${other[0]}`, `ifconfig-ipv6 ${own[1]}/64 ${other[1]}`];
}
const FAR = [VPN.resolver4, VPN.resolver6] as const;
const NEAR = ['10.8.0.2', 'fd00:8::2'] as const;
const LOCAL_OPTIONS = [
  'redirect-gateway def1 ipv6',
  ...FAR.map((address) => `dhcp-option DNS ${address}`),
];
const PEER_SERVER = [...SERVER_TUN, 'tls-server', ...peer(FAR, NEAR)];

/** A kind of VPN: what server and client are told, and what it comes to. */
interface Shape {
  readonly server?: ServerPlan;
  readonly client?: ClientPlan;
  readonly remote?: string;
  readonly device?: string;
  readonly carries?: Carried;
  /** Where no server tells them. */
  readonly resolvers?: readonly string[];
}

const SHAPES: readonly (Shape & { readonly name: string })[] = [
  { name: 'UDP over IPv4' },
  {
    name: 'UDP over IPv6',
    server: { family: 'ipv6' },
    client: { family: 'ipv6' },
    remote: INTERNET.vpn6,
  },
  { name: 'TCP over IPv4', server: { transport: 'tcp' }, client: { transport: 'tcp' } },
  {
    name: 'TCP over IPv6',
    server: { transport: 'tcp', family: 'ipv6' },
    client: { transport: 'tcp', family: 'ipv6' },
    remote: INTERNET.vpn6,
  },
  {
    name: 'a tunnel without IPv4',
    server: {
      tunnel: [...SERVER_TUN, 'topology subnet', NETWORK6],
      pushes: [
        'ping 1',
        PATIENT,
        'redirect-gateway ipv6 !ipv4',
        `dhcp-option DNS ${VPN.resolver6}`,
      ],
    },
    carries: { ipv4: false },
  },
  {
    name: 'a tunnel without IPv6',
    server: {
      tunnel: [...SERVER_TUN, 'topology subnet', NETWORK4],
      pushes: ['ping 1', PATIENT, 'redirect-gateway def1', `dhcp-option DNS ${VPN.resolver4}`],
    },
    carries: { ipv6: false },
  },
  {
    name: 'topology net30',
    server: { tunnel: [...SERVER_TUN, 'topology net30', NETWORK4, NETWORK6] },
  },
  { name: 'topology p2p', server: { tunnel: [...SERVER_TUN, 'topology p2p', NETWORK4, NETWORK6] } },
  {
    name: 'an Ethernet device (tap)',
    server: { tunnel: ['dev srv0', 'dev-type tap', NETWORK4, NETWORK6] },
    client: { tunnel: ['client', 'dev tap0'] },
    device: 'tap0',
  },
  {
    name: 'two peers with certificates, without pull',
    server: { tunnel: PEER_SERVER, pushes: [], more: [PATIENT] },
    client: { tunnel: ['tls-client', 'dev tun0', ...peer(NEAR, FAR)], more: LOCAL_OPTIONS },
    resolvers: FAR,
  },
  {
    name: 'a device with a name of its own',
    client: { tunnel: ['client', 'dev vpn-home', 'dev-type tun'] },
    device: 'vpn-home',
  },
  {
    name: 'a device with the longest name there is',
    client: { tunnel: ['client', 'dev vpn.home_15-chr', 'dev-type tun'] },
    device: 'vpn.home_15-chr',
  },
  { name: 'a device that OpenVPN numbers', client: { tunnel: ['client', 'dev tun'] } },
];

/** Certificates do without the key that both ends share; nothing is negotiated. */
const STATIC_KEY = [`secret ${PKI}/tc.key`, 'cipher AES-256-CBC'];

/** Everything that a kind of VPN must hold, from a machine that is locked to one that is locked. */
export function specifyShapes(setting: LabSetting): void {
  describe(`with OpenVPN ${setting.version} and ${setting.backend}`, () => {
    const on = labWith({ ...setting, probes: [ENDPOINT6] });

    const prepared = async (
      context: TestContext,
      { server = {}, client, remote }: Shape,
    ): Promise<Lab> => {
      const lab = on(context);
      await lab.profile(client, remote);
      await lab.serve({ pushes: EVERYTHING, more: [PATIENT], ...server });
      return lab;
    };

    const holds = async (lab: Lab, { device, carries, resolvers }: Shape): Promise<void> => {
      const before = dumpWithoutKeptShut(lab.world.sandbox);
      const { vpn } = await lab.guarded(async () => void (await lab.connect()));
      expect(vpn).toBeGreaterThan(10);
      await factsAreTrue(lab, { ...(device && { device }), ...(resolvers && { resolvers }) });
      await works(lab, carries);
      await lab.guarded(lab.disconnect);
      expect(dumpWithoutKeptShut(lab.world.sandbox)).toEqual(before);
      expect(await statusOf(lab.product)).toMatchObject({ exit: 0, state: 'blocked', tunnels: [] });
    };

    test('every kind of probe is seen at the router while nothing is locked', async (context) => {
      await everyProbeIsSeen(on(context));
    });

    for (const shape of SHAPES)
      test(`${shape.name}: connects from locked, carries what it should, lets nothing out, and leaves no rule behind that opens`, async (context) => {
        await holds(await prepared(context, shape), shape);
      });

    test('a static key: connects from locked, carries what it should, lets nothing out, and leaves no rule behind that opens', async (context) => {
      const allowed = setting.version === '2.7' ? ['allow-deprecated-insecure-static-crypto'] : [];
      const shape: Shape = {
        server: {
          tunnel: [...SERVER_TUN, ...peer(FAR, NEAR)],
          trust: [...STATIC_KEY, ...allowed],
          pushes: [],
        },
        client: {
          tunnel: ['dev tun0', ...peer(NEAR, FAR)],
          trust: [...STATIC_KEY, ...allowed],
          more: LOCAL_OPTIONS,
        },
        resolvers: FAR,
      };
      await holds(await prepared(context, shape), shape);
    });

    describe("a tunnel in the LAN's own range", () => {
      const [first] = LAN.networks;
      const lanVisits = (lab: Lab) => lab.world.visit(LAN_VISITS, 500);
      // The proof's own resolver has its address in a range that these servers do not use.
      const ASKED = EVERYTHING.map((push) => push.replace(VPN.resolver4, INTERNET.resolver4));
      const REACHED = { page4: LAN.client4, page6: LAN.client6, echo4: 'echo', echo6: 'echo' };

      test('takes that part of the LAN away while it is connected, and no more', async (context) => {
        const lab = await prepared(context, {
          server: {
            tunnel: [
              ...SERVER_TUN,
              'topology subnet',
              'server 192.168.77.192 255.255.255.192',
              NETWORK6,
            ],
            pushes: ASKED,
          },
        });
        await lab.guarded(async () => void (await lab.connect()));
        await factsAreTrue(lab);
        await works(lab);
        expect(await lanVisits(lab)).toEqual(REACHED);
        await lab.guarded(lab.disconnect);
      });

      test('takes the whole LAN away while it is connected, and nothing leaves although its IPv4 routes lead into the LAN', async (context) => {
        const lab = await prepared(context, {
          server: {
            tunnel: [
              ...SERVER_TUN,
              'topology subnet',
              'mode server',
              'tls-server',
              // The server itself must go on finding its client on the LAN.
              'ifconfig 192.168.77.193 255.255.255.192',
              'ifconfig-pool 192.168.77.200 192.168.77.210 255.255.255.0',
              NETWORK6,
            ],
            pushes: [...ASKED, 'topology subnet', 'route-gateway 192.168.77.193'],
          },
        });
        await lab.guarded(async () => void (await lab.connect()));
        await factsAreTrue(lab);
        // The kernel looks for the tunnel's gateway on the uplink, which had this network first.
        expect(lab.world.sandbox.run(['ip', 'route', 'get', INTERNET.web4]).stdout).toContain(
          `dev ${UPLINK}`,
        );
        await lab.guarded(() => works(lab, { ipv4: false }));
        expect(await lanVisits(lab)).toEqual({ ...REACHED, page4: null, echo4: null });
        expect((await statusOf(lab.product)).tunnels[0]?.networks).toContain(first);
        await lab.guarded(lab.disconnect);
        expect(await lanVisits(lab)).toEqual(REACHED);
      });

      test('routes over hosts of the LAN belong to the tunnel, even when somebody takes the routes away', async (context) => {
        const lab = await prepared(context, {
          server: {
            pushes: [
              ...EVERYTHING,
              'route 192.168.77.16 255.255.255.240',
              `route-ipv6 ${LAN.host6}/128`,
            ],
          },
        });
        await lab.guarded(async () => void (await lab.connect()));
        await factsAreTrue(lab);
        await works(lab);
        const { sandbox } = lab.world;
        for (const network of ['192.168.77.16/28', `${LAN.host6}/128`])
          expect(sandbox.run(['ip', 'route', 'delete', network, 'dev', 'tun0'])).toMatchObject({
            status: 0,
            stderr: '',
          });
        const { lan } = await lab.guarded(async () => {
          expect(await lanVisits(lab)).toEqual({
            page4: null,
            page6: null,
            echo4: null,
            echo6: null,
          });
        });
        expect(lan).toBe(0);
        expect(await lab.world.ping(LAN.router4)).toBe(true);
        await lab.guarded(lab.disconnect);
        expect(await lanVisits(lab)).toEqual(REACHED);
      });
    });

    describe('a server that lets the client connect, but leaves its device down', () => {
      const NOTHING = Object.fromEntries(WEB_VISITS.map(({ name }) => [name, null]));
      const lets = async (context: TestContext, server: ServerPlan): Promise<Lab> => {
        const lab = await prepared(context, { server });
        await lab.guarded(async () => void (await lab.connect()));
        expect(await kernelFacts(lab.world.sandbox, DEVICE)).toEqual({
          device: DEVICE,
          addresses: [],
          networks: [],
        });
        await lab.guarded(async () =>
          expect(await lab.world.visit(WEB_VISITS, 500)).toEqual(NOTHING),
        );
        return lab;
      };

      test('by telling no address: nothing leaves, and status shows a tunnel without one', async (context) => {
        const lab = await lets(context, { tunnel: [...SERVER_TUN, 'mode server', 'tls-server'] });
        await factsAreTrue(lab);
        await lab.guarded(lab.disconnect);
      });

      test('by ifconfig-noexec: nothing leaves, and status shows the address that OpenVPN was told', async (context) => {
        const lab = await lets(context, { pushes: [...EVERYTHING, 'ifconfig-noexec'] });
        const { exit, state, tunnels } = await statusOf(lab.product);
        expect({ exit, state }).toEqual({ exit: 0, state: 'connected' });
        expect(tunnels[0]?.addresses).toEqual(['10.8.0.2', 'fd00:8::1000']);
        await lab.guarded(lab.disconnect);
      });
    });
  });
}

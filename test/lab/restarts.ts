import { describe, expect, type TestContext, test } from 'vitest';
import { INTERNET, LAN, OTHER_VPN, PORTS, VPN, VPN_NAME } from '../../src/proof/addresses.ts';
import { PUSHED_TIMERS, PUSHES, RESTARTING, type ServerPlan } from '../../src/proof/openvpn.ts';
import { waitUntil } from '../../src/proof/wait-until.ts';
import { everyProbeIsSeen } from '../support/watched.ts';
import { endpointIn, factsAreTrue, factsOf, statusOf } from './facts.ts';
import { type LabSetting, labWith } from './lab.ts';
import { clientNumber, MANAGEMENT, tell } from './management.ts';
import { type Lab, PATIENT } from './open-lab.ts';
import { works } from './works.ts';

/** Networks of the LAN's own kind, and a host of the LAN itself. */
const ROUTED = ['route 172.20.0.0 255.255.0.0', `route ${LAN.host4}`, 'route-ipv6 fd20::/64'];

const USUAL: ServerPlan = { pushes: [...PUSHES, ...ROUTED, PATIENT], more: [MANAGEMENT, PATIENT] };

/** A server whose client notices soon that it is gone. */
const SOON_MISSED: ServerPlan = { ...USUAL, pushes: [...PUSHES, ...ROUTED] };

/** The same server after somebody has changed everything that a client is told. */
const CHANGED: ServerPlan = {
  tunnel: [
    'dev srv0',
    'dev-type tun',
    'topology subnet',
    `server ${OTHER_VPN.network4} ${OTHER_VPN.mask4}`,
    `server-ipv6 ${OTHER_VPN.network6}`,
  ],
  pushes: [
    ...PUSHED_TIMERS,
    PATIENT,
    'redirect-gateway def1 ipv6',
    `dhcp-option DNS ${OTHER_VPN.resolver4}`,
    `dhcp-option DNS ${OTHER_VPN.resolver6}`,
    'route 172.21.0.0 255.255.0.0',
    'route-ipv6 fd21::/64',
  ],
  more: [MANAGEMENT, PATIENT],
};

/** The option that keeps the device open through a reconnect, and what OpenVPN then calls. */
const WAYS: readonly {
  readonly name: string;
  readonly profile: readonly string[];
  readonly pushed: readonly string[];
}[] = [
  { name: 'without persist-tun', profile: [], pushed: [] },
  { name: 'with persist-tun', profile: ['persist-tun'], pushed: [] },
  { name: 'with persist-tun and up-restart', profile: ['persist-tun', 'up-restart'], pushed: [] },
  { name: 'with a persist-tun that the server pushes', profile: [], pushed: ['persist-tun'] },
];

function pushing(plan: ServerPlan, more: readonly string[]): ServerPlan {
  return { ...plan, pushes: [...(plan.pushes ?? []), ...more] };
}

/** How a connection ends and comes back. */
const ENDINGS: readonly {
  readonly name: string;
  /** The first OpenVPN that knows it. */
  readonly since: number;
  readonly server?: ServerPlan;
  readonly happen: (lab: Lab) => Promise<void>;
}[] = [
  {
    name: 'SIGHUP',
    since: 2.5,
    happen: async (lab) => lab.client().signal('HUP'),
  },
  {
    name: 'silence of the server, until ping-restart',
    since: 2.5,
    server: SOON_MISSED,
    happen: async (lab) => {
      const before = lab.client().times(RESTARTING);
      await lab.server().end('KILL');
      await lab.client().says(RESTARTING, before + 1);
      await lab.serve(USUAL);
    },
  },
  { name: 'RESTART from the server', since: 2.5, happen: (lab) => kill(lab, 'RESTART') },
  { name: 'EXIT from the server', since: 2.6, happen: (lab) => kill(lab, 'EXIT') },
  {
    name: "the server's own end with explicit-exit-notify",
    since: 2.5,
    server: { ...USUAL, more: [MANAGEMENT, PATIENT, 'explicit-exit-notify 1'] },
    happen: async (lab) => {
      const before = lab.client().times(RESTARTING);
      lab.server().signal('TERM');
      await lab.client().says(RESTARTING, before + 1);
      // It would go on for two seconds, and might take the client in once more.
      await lab.serve(USUAL);
    },
  },
];

async function kill(
  { world: { sandbox } }: Lab,
  message: 'RESTART' | 'EXIT' | 'HALT',
): Promise<void> {
  await tell(sandbox, `client-kill ${await clientNumber(sandbox)} ${message}`);
}

/** Values that PUSH_UPDATE may change while nobody reconnects; OpenVPN 2.7. */
const UPDATES: readonly {
  readonly name: string;
  readonly options: string;
  readonly resolvers?: readonly string[];
}[] = [
  {
    name: 'adds routes',
    options: 'route 172.22.0.0 255.255.0.0,route 172.23.0.0 255.255.0.0,redirect-gateway def1 ipv6',
  },
  { name: 'changes the IPv4 address', options: 'ifconfig 10.8.0.77 255.255.255.0' },
  { name: 'changes the IPv6 address', options: 'ifconfig-ipv6 fd00:8::77/64 fd00:8::1' },
  {
    name: 'changes the resolver',
    options: `dns server 1 address ${INTERNET.resolver4}`,
    resolvers: [INTERNET.resolver4],
  },
];

/**
 * Values that PUSH_UPDATE may remove: OpenVPN still names them to hooks until it connects again.
 */
const REMOVALS: readonly { readonly name: string; readonly options: string }[] = [
  { name: 'routes', options: '-route' },
  { name: 'the IPv6 address', options: '-ifconfig-ipv6' },
  { name: 'every address', options: '-ifconfig' },
];

async function update(lab: Lab, options: string): Promise<void> {
  await lab.reconnects(() => tell(lab.world.sandbox, `push-update-broad "${options}"`));
}

async function at(
  { world: { sandbox } }: Lab,
  space: string,
  ...args: readonly string[]
): Promise<void> {
  const { status, stderr } = await sandbox.ask(['ip', ...args], { at: space });
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`);
}

/** The fate of rules and facts on every kind of reconnect. */
export function specifyRestarts(setting: LabSetting): void {
  describe(`with OpenVPN ${setting.version} and ${setting.backend}`, () => {
    const on = labWith(setting);
    const connected = async (
      context: TestContext,
      server: ServerPlan = USUAL,
      profile: readonly string[] = [],
    ): Promise<Lab> => {
      const lab = on(context);
      await lab.profile({ more: profile });
      await lab.serve(server);
      await lab.connect();
      return lab;
    };

    test('every kind of probe is seen at the router while nothing is locked', async (context) => {
      await everyProbeIsSeen(on(context));
    });

    test('nothing leaves while it connects for the first time', async (context) => {
      const lab = on(context);
      await lab.profile();
      await lab.serve(USUAL);
      await lab.guarded(async () => void (await lab.connect()));
      await factsAreTrue(lab);
      await works(lab);
    });

    for (const { name, since, server = USUAL, happen } of ENDINGS)
      test(`nothing leaves on ${name}, and it comes back with true facts`, async (context) => {
        if (since > Number(setting.version))
          context.skip(`OpenVPN ${setting.version} does not know it`);
        const lab = await connected(context, server);
        const { vpn } = await lab.guarded(() => lab.reconnects(() => happen(lab)));
        expect(vpn).toBeGreaterThan(10);
        await factsAreTrue(lab);
        await works(lab);
      });

    test('nothing leaves after HALT from the server, which ends the client for good', async (context) => {
      const lab = await connected(context);
      await lab.guarded(async () => {
        await kill(lab, 'HALT');
        await waitUntil('the end of the client', () => !lab.client().running());
      });
      expect(await statusOf(lab.product)).toMatchObject({ exit: 0, state: 'blocked', tunnels: [] });
      await lab.guarded(async () => void (await lab.connect()));
      await factsAreTrue(lab);
      await works(lab);
    });

    for (const { name, profile, pushed } of WAYS)
      for (const [what, next] of [
        ['the same as before', USUAL],
        ['other addresses, resolvers and routes', CHANGED],
      ] as const)
        test(`nothing leaves on a reconnect ${name}, to a server that pushes ${what}, and the facts are true`, async (context) => {
          const lab = await connected(context, pushing(USUAL, pushed), profile);
          await factsAreTrue(lab);
          await lab.guarded(() =>
            lab.reconnects(async () => {
              await lab.serve(pushing(next, pushed));
              lab.client().signal('USR1');
            }),
          );
          await factsAreTrue(lab);
          await works(lab);
        });

    test('networks of the tunnel stay shut off the tunnel while a client with persist-tun and up-restart waits for its server', async (context) => {
      const lab = await connected(context, SOON_MISSED, ['persist-tun', 'up-restart']);
      const [before] = (await statusOf(lab.product)).tunnels;
      const restarts = lab.client().times(RESTARTING);
      await lab.guarded(async () => {
        await lab.server().end('KILL');
        await lab.client().says(RESTARTING, restarts + 1);
      });
      expect(await statusOf(lab.product)).toMatchObject({
        exit: 0,
        tunnels: [{ networks: before?.networks }],
      });
      await lab.guarded(() => lab.reconnects(() => lab.serve(USUAL)));
      await factsAreTrue(lab);
      await works(lab);
    });

    for (const { name, options, resolvers } of setting.version === '2.7' ? UPDATES : [])
      test(`nothing leaves when PUSH_UPDATE ${name}, and the facts are true`, async (context) => {
        const lab = await connected(context);
        await lab.guarded(() => update(lab, options));
        await factsAreTrue(lab, resolvers && { resolvers });
        await works(lab);
      });

    for (const { name, options } of setting.version === '2.7' ? REMOVALS : [])
      test(`nothing leaves when PUSH_UPDATE takes away ${name}, and no rule is wider than before`, async (context) => {
        const lab = await connected(context);
        const before = await statusOf(lab.product);
        await lab.guarded(() => update(lab, options));
        const now = await statusOf(lab.product);
        expect(now.exit).toBe(0);
        expect(now.tunnels.map(factsOf)).toEqual(before.tunnels.map(factsOf));
        await lab.guarded(() => lab.reconnects(() => lab.client().signal('USR1')));
        await factsAreTrue(lab);
        await works(lab);
      });

    describe('a name with two addresses', () => {
      const twoAddresses = async (
        context: TestContext,
        server: ServerPlan,
        profile: readonly string[],
      ): Promise<Lab> => {
        const lab = on(context);
        lab.world.sandbox.run(['sh', '-c', 'cat >/etc/hosts'], {
          stdin: `127.0.0.1 localhost\n${INTERNET.vpn4} ${VPN_NAME}\n${INTERNET.moved4} ${VPN_NAME}\n`,
        });
        await lab.profile({ more: profile }, VPN_NAME);
        await lab.serve(server);
        await lab.connect();
        await factsAreTrue(lab);
        return lab;
      };
      /** The first address dies: `work` goes on without it. */
      const withoutTheFirst = async (lab: Lab, work: () => Promise<void>): Promise<void> => {
        await at(lab, 'internet', 'address', 'delete', `${INTERNET.vpn4}/32`, 'dev', 'lo');
        await at(lab, 'internet', 'route', 'add', 'blackhole', INTERNET.vpn4);
        try {
          await work();
        } finally {
          await at(lab, 'internet', 'route', 'delete', 'blackhole', INTERNET.vpn4);
          await at(lab, 'internet', 'address', 'add', `${INTERNET.vpn4}/32`, 'dev', 'lo');
        }
      };

      test('nothing leaves when it connects to the second, and the facts are true', async (context) => {
        const lab = await twoAddresses(context, USUAL, []);
        await withoutTheFirst(lab, async () => {
          await lab.guarded(() => lab.reconnects(() => lab.client().signal('USR1')));
          expect(endpointIn(lab.client().said())).toBe(`${INTERNET.moved4}:${PORTS.vpn}/udp`);
          await factsAreTrue(lab);
          await works(lab);
        });
      });

      test('a client with persist-tun connects to the second without any hook, because the base knows it', async (context) => {
        const narrow = {
          ...USUAL,
          pushes: [
            ...PUSHED_TIMERS,
            PATIENT,
            `route ${INTERNET.web4}`,
            `dhcp-option DNS ${VPN.resolver4}`,
          ],
        };
        const lab = await twoAddresses(context, narrow, ['persist-tun']);
        const before = await statusOf(lab.product);
        await withoutTheFirst(lab, async () => {
          await lab.guarded(() => lab.reconnects(() => lab.client().signal('USR1')));
          const endpoint = endpointIn(lab.client().said());
          expect(endpoint).toBe(`${INTERNET.moved4}:${PORTS.vpn}/udp`);
          const now = await statusOf(lab.product);
          expect(now).toEqual(before);
          expect(now.endpoints).toContain(endpoint);
          await works(lab, { ipv6: false });
        });
      });

      test('nothing leaves when persist-tun and redirect-gateway lead the way to the second into the dead tunnel', async (context) => {
        const lab = await twoAddresses(context, USUAL, ['persist-tun']);
        await withoutTheFirst(lab, async () => {
          await lab.guarded(async () => {
            lab.client().signal('USR1');
            await lab.client().says(`link remote: [AF_INET]${INTERNET.moved4}:${PORTS.vpn}`);
            await lab.probing();
          });
          expect(await statusOf(lab.product)).toMatchObject({ exit: 0 });
        });
        await lab.guarded(() => lab.reconnects(() => undefined));
        await factsAreTrue(lab);
        await works(lab);
      });
    });

    test('a server that no lock has seen is not reached, and status says so, until lock reads the profile', async (context) => {
      const lab = await connected(context);
      await lab.world.writeProfile(true, INTERNET.moved4);
      await lab.guarded(async () => {
        lab.client().signal('HUP');
        await lab.client().says(`link remote: [AF_INET]${INTERNET.moved4}:${PORTS.vpn}`);
      });
      const { vpn } = await lab.guarded(() => lab.client().says('Operation not permitted'));
      expect(vpn).toBe(0);
      expect(await statusOf(lab.product)).toMatchObject({
        exit: 0,
        state: 'blocked',
        endpoints: [`${INTERNET.vpn4}:${PORTS.vpn}/udp`],
      });
      await lab.guarded(() => lab.reconnects(() => lab.product.must('lock')));
      await factsAreTrue(lab);
      await works(lab);
    });
  });
}

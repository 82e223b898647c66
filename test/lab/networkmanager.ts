import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import type { BackendName } from '../../src/policy/settings.ts';
import { DEVICE, INTERNET, LAN, PORTS, UPLINK, VPN, VPN_NAME } from '../../src/proof/addresses.ts';
import { missingRequirements } from '../../src/proof/missing-requirements.ts';
import { CONNECTED } from '../../src/proof/openvpn.ts';
import type { Service } from '../../src/proof/service.ts';
import { WEB_VISITS } from '../../src/proof/services.ts';
import { waitUntil } from '../../src/proof/wait-until.ts';
import { endCapture } from '../support/end-capture.ts';
import { parsedAnswer, whats } from '../support/json-answers.ts';
import { everyProbeIsSeen, nothingLeaves } from '../support/watched.ts';
import {
  type Debian,
  type Desk,
  openDesk,
  plan,
  SECOND_SERVER,
  SERVER,
  type ServerPlan,
} from './desk.ts';

const OPENVPN = '/usr/sbin/openvpn';
/** Where each Debian has NetworkManager's OpenVPN plugin. */
const SERVICES = {
  '12': '/usr/lib/NetworkManager/nm-openvpn-service',
  '13': '/usr/libexec/nm-openvpn-service',
} as const;

/** Events that end a VPN without a click, after which the user clicks again. */
interface Fault {
  readonly name: string;
  happen(desk: Desk, vpn: string): Promise<void>;
}

const FAULTS: readonly Fault[] = [
  { name: 'a click on disconnect', happen: (desk, vpn) => desk.disconnect(vpn) },
  ...(['KILL', 'TERM', 'HUP'] as const).map((signal) => ({
    name: `SIG${signal} to openvpn`,
    happen: async (desk: Desk, vpn: string) => {
      await desk.sh(`kill -${signal} ${await desk.processes(OPENVPN)}`);
      await desk.isDown(vpn);
    },
  })),
  {
    name: 'the device deleted',
    happen: async (desk, vpn) => {
      await desk.sh(`ip link delete ${DEVICE}`);
      await desk.rulesAreOf();
      await desk.disconnect(vpn);
    },
  },
  {
    name: 'the device set down',
    happen: async (desk, vpn) => {
      await desk.sh(`ip link set ${DEVICE} down`);
      await desk.rulesAreOf();
      await desk.disconnect(vpn);
    },
  },
  {
    name: 'the uplink disconnected, until it is back',
    happen: async (desk, vpn) => {
      await desk.sh(`nmcli device disconnect ${UPLINK}`);
      await desk.isDown(vpn);
      await desk.sh('nmcli --wait 20 connection up uplink');
    },
  },
  {
    name: 'networking switched off and on',
    happen: async (desk, vpn) => {
      await desk.sh('nmcli networking off');
      await desk.isDown(vpn);
      await desk.sh('nmcli networking on; nmcli --wait 20 connection up uplink');
    },
  },
  {
    name: 'a restart of NetworkManager',
    happen: async (desk) => {
      await desk.endManager('TERM');
      await desk.startManager();
    },
  },
  {
    name: 'NetworkManager stopped for a while',
    happen: async (desk) => {
      await desk.endManager('TERM');
      await desk.probing();
      await desk.startManager();
    },
  },
  {
    name: 'kill -9 of NetworkManager',
    happen: async (desk) => {
      await desk.endManager('KILL');
      await desk.probing();
      await desk.startManager();
    },
  },
];

/**
 * The promises about what leaves, with VPNs that NetworkManager starts. The tests tell one story:
 * each goes on from the one before.
 */
export function specifyNetworkManager(debian: Debian, backend: BackendName): void {
  describe(`with NetworkManager of Debian ${debian} and ${backend}`, () => {
    const settings = `KILLSWITCH_BACKEND=${backend}\n`;
    let opened: { readonly desk: Desk; readonly vpn: string; server: Service } | undefined;
    let obstacle: string | undefined;
    beforeAll(async () => {
      obstacle = missingRequirements() ?? plan(debian).obstacle;
      if (obstacle !== undefined) return;
      const desk = await openDesk(debian, settings);
      await desk.startManager();
      const vpn = await desk.addVpn({ name: 'My VPN $(touch /run/pwned)' });
      opened = { desk, vpn, server: await desk.startServer() };
    });
    afterAll(() => opened?.desk.world.close());
    const on = (context: TestContext) => {
      if (obstacle !== undefined) context.skip(obstacle);
      if (opened === undefined) throw new Error('the desk was not made');
      return opened;
    };

    /** Whether a user's traffic takes the tunnel of a server. */
    async function tunnelCarries(
      desk: Desk,
      { inside4, inside6 }: ServerPlan = SERVER,
    ): Promise<void> {
      const visited = await desk.world.visit(WEB_VISITS);
      expect(visited).toMatchObject({
        echo4: 'echo',
        echo6: 'echo',
        dns4: 'web host',
        dns6: 'web host',
      });
      expect(visited['page4']).toMatch(new RegExp(`^${inside4}\\.`));
      expect(visited['page6']).toMatch(new RegExp(`^${inside6}::`));
    }

    /**
     * Attaches or detaches a connection twice. The answers as JSON say what NetworkManager says: it
     * was changed, and then not again.
     */
    async function twice(desk: Desk, name: 'attach' | 'detach', vpn: string): Promise<void> {
      for (const isChanged of [true, false]) {
        const priorities = () =>
          desk.sh(`nmcli -g ipv4.dns-priority,ipv6.dns-priority connection show uuid ${vpn}`);
        const before = await priorities();
        const answer = parsedAnswer(
          await desk.product.command(name, '--networkmanager', vpn, '--json'),
        );
        const { error, exit, changes, changed } = answer;
        expect([error, exit, changed]).toEqual([null, 0, isChanged]);
        expect(whats(changes, 'connection')).toEqual(
          isChanged ? [`nmcli connection modify uuid ${vpn}`] : [],
        );
        expect((await priorities()) !== before).toBe(isChanged);
      }
    }

    async function connected(desk: Desk, vpn: string): Promise<void> {
      if (opened !== undefined && !opened.server.running())
        opened.server = await desk.startServer();
      if (!(await desk.active()).includes(vpn)) await desk.connect(vpn);
      await desk.rulesAreOf(DEVICE);
    }

    async function withServer(
      desk: Desk,
      which: ServerPlan,
      work: (server: Service) => Promise<void>,
    ): Promise<void> {
      const server = await desk.startServer(which);
      try {
        await work(server);
      } finally {
        await server.end('KILL');
      }
    }

    test('every kind of probe is seen at the router while nothing is locked', async (context) => {
      await everyProbeIsSeen(on(context).desk);
    });

    test('nothing leaves once it is locked, before the first click', async (context) => {
      const { desk } = on(context);
      await desk.product.must('lock');
      const { vpn } = await nothingLeaves(desk, async () => undefined);
      expect(vpn).toBe(0);
      await desk.rulesAreOf();
    });

    test('a click connects from the locked state, and nothing leaves in clear meanwhile', async (context) => {
      const { desk, vpn } = on(context);
      const tally = await nothingLeaves(desk, async () => {
        await desk.connect(vpn);
        await desk.probing();
      });
      expect(tally.vpn).toBeGreaterThan(100);
      await desk.rulesAreOf(DEVICE);
      await tunnelCarries(desk);
    });

    test('the name of the connection has made nothing run', async (context) => {
      const { desk } = on(context);
      await desk.sh('! test -e /run/pwned');
    });

    test('the resolvers of the LAN stay in resolv.conf until attach, and come back with detach', async (context) => {
      const { desk, vpn } = on(context);
      const servers = async () =>
        (await desk.sh('cat /etc/resolv.conf')).match(/(?<=^nameserver ).*$/gm);
      const tunnel = [VPN.resolver4, VPN.resolver6];
      const again = async () => {
        await desk.disconnect(vpn);
        await connected(desk, vpn);
      };
      await connected(desk, vpn);
      expect(await servers()).toEqual([...tunnel, LAN.router4]);
      await twice(desk, 'attach', vpn);
      await nothingLeaves(desk, again);
      expect(await servers()).toEqual(tunnel);
      await twice(desk, 'detach', vpn);
      await nothingLeaves(desk, again);
      expect(await servers()).toEqual([...tunnel, LAN.router4]);
    });

    for (const { name, happen } of FAULTS)
      test(`nothing leaves in clear on ${name}, and the next click connects again`, async (context) => {
        const { desk, vpn } = on(context);
        await connected(desk, vpn);
        await nothingLeaves(desk, async () => {
          await happen(desk, vpn);
          await desk.rulesAreOf();
          await desk.probing();
          await connected(desk, vpn);
        });
        await tunnelCarries(desk);
      });

    test('nothing leaves in clear while the server is silent, and the VPN goes on when it is back', async (context) => {
      const scene = on(context);
      const { desk, vpn } = scene;
      await connected(desk, vpn);
      await nothingLeaves(desk, async () => {
        await scene.server.end('KILL');
        await desk.probing();
        scene.server = await desk.startServer();
        await scene.server.says('Peer Connection Initiated', 1, 30_000);
        await desk.rulesAreOf(DEVICE);
      });
      await waitUntil(
        'the tunnel',
        async () => (await desk.world.visit(WEB_VISITS, 500))['page4'] !== null,
        60_000,
      );
      await tunnelCarries(desk);
    });

    test('nothing leaves in clear when the server is back with other addresses, and the next click connects with these', async (context) => {
      const { desk, vpn, server: first } = on(context);
      const moved: ServerPlan = { ...SERVER, inside4: '10.10.0', inside6: 'fd00:10' };
      await connected(desk, vpn);
      await first.end('KILL');
      await withServer(desk, moved, async (server) => {
        await nothingLeaves(desk, async () => {
          await server.says('Peer Connection Initiated', 1, 30_000);
          // OpenVPN makes its device anew, without root: NetworkManager goes on to call the VPN
          // connected, and gives the device no address.
          await desk.rulesAreOf();
          await desk.probing();
          await desk.disconnect(vpn);
          await desk.connect(vpn);
          await desk.rulesAreOf(DEVICE);
        });
        await tunnelCarries(desk, moved);
        await nothingLeaves(desk, () => desk.disconnect(vpn));
      });
    });

    test('nothing leaves in clear when nm-openvpn-service dies and leaves its OpenVPN behind, and the next click connects', async (context) => {
      const { desk, vpn } = on(context);
      await connected(desk, vpn);
      await nothingLeaves(desk, async () => {
        const orphan = await desk.processes(OPENVPN);
        await desk.sh(`kill -KILL ${await desk.processes(SERVICES[debian])}`);
        await desk.isDown(vpn);
        await desk.rulesAreOf();
        await desk.probing();
        await desk.connect(vpn);
        await desk.rulesAreOf('tun1');
        // Two clients of one name drive each other from the server.
        await desk.sh(`kill -KILL ${orphan}`);
        await waitUntil(
          'the new tunnel',
          async () => (await desk.world.visit(WEB_VISITS, 500))['page4'] !== null,
          60_000,
        );
        await tunnelCarries(desk);
        await desk.disconnect(vpn);
        await desk.rulesAreOf();
      });
    });

    test('two VPNs of NetworkManager are up at once, and each ends alone', async (context) => {
      const { desk, vpn } = on(context);
      const second = await desk.addVpn({
        name: 'second',
        remote: `${SECOND_SERVER.address}:${PORTS.vpn}:udp4`,
      });
      await desk.product.must('lock');
      await withServer(desk, SECOND_SERVER, async () => {
        await nothingLeaves(desk, async () => {
          await connected(desk, vpn);
          await desk.connect(second);
          await desk.rulesAreOf(DEVICE, 'tun1');
          await desk.probing();
          await desk.disconnect(vpn);
          await desk.rulesAreOf('tun1');
        });
        await tunnelCarries(desk, SECOND_SERVER);
        await nothingLeaves(desk, async () => {
          await desk.disconnect(second);
          await desk.rulesAreOf();
        });
      });
    });

    test('a VPN of NetworkManager and one of a profile are up at once, and each ends alone', async (context) => {
      const { desk, vpn } = on(context);
      await desk.world.writeProfile(true, SECOND_SERVER.address);
      await desk.product.must('lock');
      await withServer(desk, SECOND_SERVER, async () => {
        await nothingLeaves(desk, async () => {
          const client = desk.world.startClient();
          await client.says(CONNECTED);
          await desk.rulesAreOf(DEVICE);
          await desk.connect(vpn);
          await desk.rulesAreOf(DEVICE, 'tun1');
          await desk.probing();
          await client.end();
          await desk.rulesAreOf('tun1');
        });
        await tunnelCarries(desk);
        await nothingLeaves(desk, () => desk.disconnect(vpn));
        await desk.rulesAreOf();
      });
    });

    test('a VPN that the uplink brings along connects by itself when NetworkManager starts on a locked machine', async (context) => {
      const { desk, vpn } = on(context);
      await nothingLeaves(desk, async () => {
        await desk.endManager('TERM');
        await desk.sh(`ip addr flush dev ${UPLINK}`);
        await desk.bringAlong([vpn]);
        await desk.startManager();
        await desk.rulesAreOf(DEVICE);
      });
      await tunnelCarries(desk);
    });

    test('a connection added after the lock is reached once refresh has read it', async (context) => {
      const { desk, vpn } = on(context);
      await desk.disconnect(vpn);
      const third = `${INTERNET.moved4}:${PORTS.vpn}:udp4`;
      const added = await desk.addVpn({ name: 'added', remote: third });
      await desk.product.must('refresh');
      await withServer(desk, SECOND_SERVER, () =>
        nothingLeaves(desk, async () => {
          await desk.connect(added);
          await desk.rulesAreOf(DEVICE);
          await desk.disconnect(added);
          await desk.rulesAreOf();
        }).then(() => undefined),
      );
    });

    test('a VPN whose server has a name connects from the locked state, and no question about it leaves in clear', async (context) => {
      const { desk } = on(context);
      const named = await desk.addVpn({ name: 'named', remote: `${VPN_NAME}:${PORTS.vpn}:udp4` });
      await desk.product.must('unlock');
      await desk.product.must('lock');
      await nothingLeaves(desk, async () => {
        await desk.connect(named);
        await desk.rulesAreOf(DEVICE);
        await desk.probing();
        await desk.disconnect(named);
        await desk.rulesAreOf();
      });
    });

    test('every kind of probe is seen again after unlock, and the capture has lost nothing', async (context) => {
      const { desk } = on(context);
      await desk.product.must('unlock');
      await everyProbeIsSeen(desk);
      await endCapture(context, desk.world.capture);
    });
  });
}

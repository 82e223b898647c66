import { openSandbox, type Sandbox, type SandboxPlan } from '../host/sandbox.ts';
import { FOLDER, INTERNET, LAN, PROGRAMS, ROUTER_SIDE, UPLINK } from './addresses.ts';
import { type Capture, ROUTER, startCapture } from './capture.ts';
import {
  type ProberPlan,
  type Programs,
  proofProgram,
  startProberIn,
  visitFrom,
} from './client-programs.ts';
import {
  type ClientPlan,
  clientProfile,
  LISTENING,
  PROFILE,
  type ServerPlan,
  serverConfig,
} from './openvpn.ts';
import { makePki } from './pki.ts';
import type { ProberRun } from './prober-run.ts';
import { ENDPOINT_PROBES, NOBODY, PROBES, type Probe, type Transport } from './probes.ts';
import { PRODUCT_FOLDERS } from './product.ts';
import { type Service, startService } from './service.ts';
import {
  INTERNET_LISTENERS,
  LAN_LISTENERS,
  type Listener,
  type ResponderOrders,
  type Visit,
  type Visited,
} from './services.ts';
import { patiently, waitUntil } from './wait-until.ts';

export interface WorldOptions {
  /** The folder of the built programs. */
  readonly dist: string;
  readonly transport: Transport;
  /** Another system than this machine's, for client, router and servers. */
  readonly plan?: SandboxPlan;
}

/**
 * A small internet. The client is the sandbox itself; its LAN has a router and another host. Beyond
 * the router are the VPN server, the ISP's resolver and a web host. IPv4 and IPv6 everywhere;
 * client and VPN server speak IPv4 unless their plans say otherwise.
 */
export interface World {
  readonly sandbox: Sandbox;
  readonly capture: Capture;
  /** The probes that can be sent here: all, or those that need no second user. */
  readonly probes: readonly Probe[];
  /** Why some probes cannot be sent; undefined when all can. */
  readonly missing: string | undefined;
  startServer(plan?: ServerPlan): Promise<Service>;
  /** Writes the client's profile, for `lock` to read. */
  writeProfile(hooks: boolean, remote?: string, plan?: ClientPlan): Promise<void>;
  startClient(): Service;
  /**
   * Starts a prober. It runs as nobody, where the sandbox has that user, unless `uid` names
   * another.
   */
  startProber(
    orders: Omit<ProberPlan, 'uid'> & Partial<Pick<ProberPlan, 'uid'>>,
  ): Promise<ProberRun>;
  /** Makes visits as an unprivileged user, and waits up to `milliseconds` for each answer. */
  visit(visits: readonly Visit[], milliseconds?: number): Promise<Visited>;
  /** Tells whether the client gets an answer to a ping. */
  ping(address: string): Promise<boolean>;
  /** Takes the uplink down: its routes and IPv6 addresses go with it. */
  uplinkDown(): Promise<void>;
  /** Puts it up again, like a network manager. */
  uplinkUp(): Promise<void>;
  close(): void;
}

const INTERNET_SPACE = 'internet';

/** The programs and their interpreter, in a place that every user of the sandbox can reach. */
const EVERYBODYS: Programs = { node: `${FOLDER}/node`, folder: PROGRAMS };

/** Turns off duplicate address detection, which would delay, and autoconfiguration. */
const QUIET =
  'for each in all default; do echo 0 >/proc/sys/net/ipv6/conf/$each/accept_dad; echo 0 >/proc/sys/net/ipv6/conf/$each/accept_ra; done';
const FORWARDING =
  'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding';

const UPLINK_ADDRESSES = `
ip addr replace ${LAN.client4}/24 dev ${UPLINK}
ip link set ${UPLINK} up
ip addr replace ${LAN.client6}/64 dev ${UPLINK} nodad
ip addr replace ${LAN.clientGlobal6}/64 dev ${UPLINK} nodad
ip route replace default via ${LAN.router4}
ip -6 route replace default via ${LAN.routerGlobal6}
`;

const LINKS = `
at() { space=$1; shift; nsenter --net=/run/netns/$space -- "$@"; }
touch /run/netns/${ROUTER}
mount --bind /proc/$(cat ${FOLDER}/${ROUTER}.pid)/ns/net /run/netns/${ROUTER}
ip netns add ${INTERNET_SPACE}
${QUIET}
at ${ROUTER} sh -euc '${QUIET}; ${FORWARDING}; ip link set lo up'
at ${INTERNET_SPACE} sh -euc '${QUIET}; ${FORWARDING}; ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_nonlocal_bind; echo 1 >/proc/sys/net/ipv6/ip_nonlocal_bind'
ip link add ${UPLINK} type veth peer name ${ROUTER_SIDE}
ip link add wan0 type veth peer name isp0
ip link set ${ROUTER_SIDE} netns ${ROUTER}
ip link set wan0 netns ${ROUTER}
ip link set isp0 netns ${INTERNET_SPACE}
at ${INTERNET_SPACE} sh -eu <<'END'
ip addr add 198.51.100.2/30 dev isp0
ip addr add 2001:db8:1::2/64 dev isp0 nodad
ip link set isp0 up
for each in ${INTERNET.vpn4} ${INTERNET.moved4} ${INTERNET.resolver4} ${INTERNET.web4}; do ip addr add $each/32 dev lo; done
for each in ${INTERNET.vpn6} ${INTERNET.resolver6} ${INTERNET.web6}; do ip addr add $each/128 dev lo nodad; done
ip route add default via 198.51.100.1
ip -6 route add default via 2001:db8:1::1
END
at ${ROUTER} sh -eu <<'END'
ip addr add 198.51.100.1/30 dev wan0
ip addr add 2001:db8:1::1/64 dev wan0 nodad
ip link set wan0 up
for each in ${LAN.router4} ${LAN.host4}; do ip addr add $each/24 dev ${ROUTER_SIDE}; done
for each in ${LAN.router6} ${LAN.host6} ${LAN.routerGlobal6}; do ip addr add $each/64 dev ${ROUTER_SIDE} nodad; done
ip route add default via 198.51.100.2
ip -6 route add default via 2001:db8:1::2
ip link set ${ROUTER_SIDE} up
END
${UPLINK_ADDRESSES}
ip -o link show dev ${UPLINK}
`;

async function script(sandbox: Sandbox, text: string, ...args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await sandbox.ask(['sh', '-eu', '-s', '--', ...args], {
    stdin: text,
  });
  if (status !== 0) throw new Error(`the test network: ${stderr.trim()}`);
  return stdout.trim();
}

async function build(sandbox: Sandbox, { dist, transport }: WorldOptions): Promise<World> {
  const uid = sandbox.hasOtherUsers ? NOBODY : undefined;
  await script(
    sandbox,
    // Copy the programs: installed ones may lie in a folder that the sandbox covers. Others may lie
    // in a home that other users cannot enter.
    [
      `mkdir -p ${PROGRAMS}`,
      `mount --rbind "$1" ${PROGRAMS}`,
      `touch ${EVERYBODYS.node}`,
      `mount --bind "$2" ${EVERYBODYS.node}`,
      ...PRODUCT_FOLDERS.map(
        (folder) => `mkdir -p ${folder}; mount -t tmpfs -o mode=755 tmpfs ${folder}`,
      ),
    ].join('\n'),
    dist,
    process.execPath,
  );
  const { service: router, ...capture } = startCapture(sandbox);
  await waitUntil(
    'the router',
    async () => (await sandbox.ask(['test', '-s', `${FOLDER}/${ROUTER}.pid`])).status === 0,
  );
  // The router has its own namespace once the program that makes it has started the next one.
  await waitUntil('the router to have its network', async () => {
    if (!router.running()) throw new Error(`no router: ${router.said()}`);
    const { status } = await sandbox.ask([
      'sh',
      '-c',
      `test "$(cat /proc/$(cat ${FOLDER}/${ROUTER}.pid)/comm)" = sh && ! test /proc/self/ns/net -ef /proc/$(cat ${FOLDER}/${ROUTER}.pid)/ns/net`,
    ]);
    return status === 0;
  });
  const [links] = await Promise.all([script(sandbox, LINKS), makePki(sandbox)]);
  capture.watch(/link\/ether (\S+)/.exec(links)?.[1] ?? '');
  const responder = (name: string, at: string, listeners: readonly Listener[]) =>
    startService(
      sandbox,
      name,
      proofProgram(EVERYBODYS, 'responder', { listeners } satisfies ResponderOrders, {
        uid,
        keeps: 'net_bind_service',
      }),
      {
        at,
      },
    );
  const responders = [
    responder('lan', ROUTER, LAN_LISTENERS),
    responder('isp', INTERNET_SPACE, INTERNET_LISTENERS),
  ];
  await Promise.all([capture.ready(), ...responders.map((each) => each.says('ready'))]);
  await script(sandbox, 'mkdir -p /etc/openvpn/client');

  let probers = 0;
  const config = `${FOLDER}/server.conf`;
  return {
    sandbox,
    capture,
    probes: sandbox.hasOtherUsers ? [...PROBES, ...ENDPOINT_PROBES] : PROBES,
    missing: sandbox.hasOtherUsers
      ? undefined
      : "the probes to the VPN server's own address and port: they must come from another user than OpenVPN's, and this user namespace has only one (install uidmap, or run as root)",
    startServer: async (plan = {}) => {
      capture.expect(plan.transport ?? transport);
      sandbox.run(['sh', '-c', `cat >${config}`], {
        stdin: await serverConfig(sandbox, { transport, ...plan }),
      });
      const server = startService(sandbox, 'server', ['openvpn', '--config', config], {
        at: INTERNET_SPACE,
      });
      await server.says(LISTENING);
      return server;
    },
    writeProfile: async (hooks, remote = INTERNET.vpn4, plan = {}) => {
      sandbox.run(['sh', '-c', `cat >${PROFILE}`], {
        stdin: await clientProfile(sandbox, hooks, remote, { transport, ...plan }),
      });
    },
    startClient: () => startService(sandbox, 'client', ['openvpn', '--config', PROFILE]),
    startProber: (orders) =>
      startProberIn(sandbox, EVERYBODYS, `prober-${probers++}`, { uid, ...orders }),
    visit: (visits, milliseconds = patiently(5000)) =>
      visitFrom(sandbox, EVERYBODYS, { visits, milliseconds, uid }),
    ping: async (address) =>
      (await sandbox.ask(['ping', '-n', '-q', '-c1', `-W${patiently(1000) / 1000}`, address]))
        .status === 0,
    uplinkDown: async () => void (await script(sandbox, `ip link set ${UPLINK} down`)),
    uplinkUp: async () => void (await script(sandbox, UPLINK_ADDRESSES)),
    close: () => sandbox.close(),
  };
}

/**
 * Builds the world in a sandbox of its own; `close` ends all of it.
 * @throws Error with the failure; then nothing is left.
 */
export async function openWorld(options: WorldOptions): Promise<World> {
  const sandbox = await openSandbox(options.plan);
  try {
    return await build(sandbox, options);
  } catch (thrown) {
    sandbox.close();
    throw thrown;
  }
}

import { randomUUID } from 'node:crypto';
import { INTERNET, LAN, PORTS, UPLINK, VPN } from '../../src/proof/addresses.ts';
import { CONNECTED } from '../../src/proof/openvpn.ts';
import { PKI } from '../../src/proof/pki.ts';
import { installProduct, type Product } from '../../src/proof/product.ts';
import { type Service, type Signal, startService } from '../../src/proof/service.ts';
import { patiently, waitUntil } from '../../src/proof/wait-until.ts';
import { openWorld } from '../../src/proof/world.ts';
import { DIST } from '../e2e/stage.ts';
import { builtRoot } from '../support/debian-root.ts';
import type { Watched } from '../support/watched.ts';

/** Debian 12 with NetworkManager 1.42, Debian 13 with 1.52. */
export const DEBIANS = ['12', '13'] as const;
export type Debian = (typeof DEBIANS)[number];

export const plan = (debian: Debian) => builtRoot(`networkmanager-${debian}`);

const CONNECTIONS = '/etc/NetworkManager/system-connections';

const SETTINGS = `[main]
plugins=keyfile
no-auto-default=*
hostname-mode=none
rc-manager=file
`;

const uplinkFile = (uuid: string, secondaries: readonly string[]) => `[connection]
id=uplink
uuid=${uuid}
type=ethernet
interface-name=${UPLINK}
autoconnect-retries=0
${secondaries.length > 0 ? `secondaries=${secondaries.map((each) => `${each};`).join('')}\n` : ''}
[ipv4]
method=manual
address1=${LAN.client4}/24,${LAN.router4}
dns=${LAN.router4};

[ipv6]
method=manual
address1=${LAN.client6}/64
address2=${LAN.clientGlobal6}/64,${LAN.routerGlobal6}
`;

export interface VpnPlan {
  readonly name: string;
  readonly remote?: string;
}

const vpnFile = (
  uuid: string,
  { name, remote = `${INTERNET.vpn4}:${PORTS.vpn}:udp4` }: VpnPlan,
) => `[connection]
id=${name}
uuid=${uuid}
type=vpn
autoconnect=false

[vpn]
service-type=org.freedesktop.NetworkManager.openvpn
connection-type=tls
remote=${remote}
ca=${PKI}/ca.crt
cert=${PKI}/client.crt
key=${PKI}/client.key
cert-pass-flags=4
tls-crypt=${PKI}/tc.key
remote-cert-tls=server

[ipv4]
method=auto

[ipv6]
method=auto
`;

/**
 * Seconds after which each end gives the other up: longer than the hooks of a profile take on a
 * busy machine.
 */
const SILENCE = 8;

/** The namespace of the servers. */
const SERVERS = 'internet';

export interface ServerPlan {
  readonly address: string;
  /** The networks inside its tunnel begin with these. */
  readonly inside4: string;
  readonly inside6: string;
}

/** The server of every test, and a second one beside it. */
export const SERVER: ServerPlan = { address: INTERNET.vpn4, inside4: '10.8.0', inside6: 'fd00:8' };
export const SECOND_SERVER: ServerPlan = {
  address: INTERNET.moved4,
  inside4: '10.9.0',
  inside6: 'fd00:9',
};

const serverFile = ({ address, inside4, inside6 }: ServerPlan) => `local ${address}
port ${PORTS.vpn}
proto udp4
dev srv${inside4.split('.')[1]}
dev-type tun
topology subnet
server ${inside4}.0 ${VPN.mask4}
server-ipv6 ${inside6}::/64
ca ${PKI}/ca.crt
cert ${PKI}/server.crt
key ${PKI}/server.key
tls-crypt ${PKI}/tc.key
dh none
ping 1
ping-restart ${SILENCE}
push "ping 1"
push "ping-restart ${SILENCE}"
push "redirect-gateway def1 ipv6"
push "dhcp-option DNS ${VPN.resolver4}"
push "dhcp-option DNS ${VPN.resolver6}"
disable-dco
verb 3
`;

/** A desktop machine: NetworkManager brings the uplink up, and people click on its VPNs. */
export interface Desk extends Watched {
  readonly product: Product;
  /** Runs a shell script as root. @throws Error with what it said, unless it ended with 0. */
  sh(script: string): Promise<string>;
  startServer(plan?: ServerPlan): Promise<Service>;
  /** Adds a VPN connection, and gives its uuid. */
  addVpn(plan: VpnPlan): Promise<string>;
  /** A click: NetworkManager brings a VPN up. @throws Error with what it said when it did not. */
  connect(vpn: string): Promise<void>;
  disconnect(vpn: string): Promise<void>;
  /** The uuids of what NetworkManager says is up. */
  active(): Promise<readonly string[]>;
  /** Waits until NetworkManager says that a VPN is down. */
  isDown(vpn: string): Promise<void>;
  /** Starts NetworkManager, as at boot, and waits until the uplink is up. */
  startManager(): Promise<void>;
  endManager(signal: Signal): Promise<void>;
  /** Has the uplink bring these VPNs up with it. */
  bringAlong(vpns: readonly string[]): Promise<void>;
  /** The process ids of a program, given by its path. */
  processes(program: string): Promise<readonly string[]>;
  /**
   * Waits until the kernel holds exactly the rules of a tunnel on each of these devices; of none
   * while blocked.
   */
  rulesAreOf(...devices: readonly string[]): Promise<void>;
}

export async function openDesk(debian: Debian, settings: string): Promise<Desk> {
  const world = await openWorld({ dist: DIST, transport: 'udp', plan: plan(debian) });
  try {
    const { sandbox } = world;
    const sh = async (script: string) => {
      const { status, stdout, stderr } = await sandbox.ask(['sh', '-euc', script], {
        milliseconds: patiently(60_000),
      });
      if (status !== 0) throw new Error(`${script}: exit status ${status}\n${stdout}${stderr}`);
      return stdout;
    };
    const write = async (path: string, text: string) => {
      const { status, stderr } = await sandbox.ask(
        ['sh', '-euc', 'umask 077; cat >"$1"', 'sh', path],
        { stdin: text },
      );
      if (status !== 0) throw new Error(`${path}: ${stderr}`);
    };
    const uplink = randomUUID();
    const writeUplink = (secondaries: readonly string[]) =>
      write(`${CONNECTIONS}/uplink.nmconnection`, uplinkFile(uplink, secondaries));
    await write('/etc/NetworkManager/conf.d/desk.conf', SETTINGS);
    await writeUplink([]);
    // With a writable /sys NetworkManager would wait for udev, and there is none.
    await sh(
      `mount -o remount,bind,ro /sys; ip addr flush dev ${UPLINK}; mkdir -p /run/dbus; dbus-uuidgen --ensure`,
    );
    // The resolvers inside the tunnel answer through that of every server.
    for (const address of [`${VPN.resolver4}/32`, `${VPN.resolver6}/128`])
      await sandbox.ask(['ip', 'addr', 'add', address, 'dev', 'lo'], { at: SERVERS });
    const product = await installProduct(sandbox, DIST, settings);
    await product.must('install', '--networkmanager');
    startService(sandbox, 'bus', ['dbus-daemon', '--system', '--nofork', '--nopidfile']);
    await waitUntil(
      'the bus',
      async () => (await sandbox.ask(['test', '-S', '/run/dbus/system_bus_socket'])).status === 0,
    );
    let manager: Service | undefined;
    let vpns = 0;
    const active = async () => {
      const { stdout } = await sandbox.ask([
        'nmcli',
        '-t',
        '-f',
        'UUID,STATE',
        'connection',
        'show',
        '--active',
      ]);
      return stdout
        .split('\n')
        .flatMap((line) => (line.endsWith(':activated') ? [line.split(':')[0] ?? ''] : []));
    };
    const prober = await world.startProber({
      probes: world.probes,
      payloads: 1200,
      connects: 20,
      seconds: 3600,
    });
    return {
      world,
      product,
      prober,
      probes: world.probes,
      probing: () => prober.more(900),
      sh,
      startServer: async (server = SERVER) => {
        const name = `server-${server.inside4}`;
        await write(`/run/proof/${name}.conf`, serverFile(server));
        const service = startService(
          sandbox,
          name,
          ['openvpn', '--config', `/run/proof/${name}.conf`],
          { at: SERVERS },
        );
        await service.says(CONNECTED);
        return service;
      },
      addVpn: async (each) => {
        const uuid = randomUUID();
        await write(`${CONNECTIONS}/vpn-${vpns++}.nmconnection`, vpnFile(uuid, each));
        await sh('nmcli connection reload');
        return uuid;
      },
      connect: async (vpn) => void (await sh(`nmcli --wait 30 connection up uuid ${vpn}`)),
      disconnect: async (vpn) => void (await sh(`nmcli --wait 30 connection down uuid ${vpn}`)),
      active,
      isDown: (vpn) =>
        waitUntil('the end of the VPN', async () => !(await active()).includes(vpn), 60_000),
      startManager: async () => {
        manager = startService(sandbox, 'manager', [
          'NetworkManager',
          '--no-daemon',
          '--log-level=INFO',
        ]);
        await waitUntil(
          () => `the uplink: ${manager?.said()}`,
          async () => (await active()).includes(uplink),
          60_000,
        );
      },
      endManager: async (signal) => void (await manager?.end(signal)),
      bringAlong: writeUplink,
      processes: async (program) => {
        const lines = (await sh('ps -eo pid=,args='))
          .split('\n')
          .map((line) => line.trim().split(' '));
        return lines.flatMap(([pid = '', path]) => (path === program ? [pid] : []));
      },
      rulesAreOf: async (...devices) => {
        let said = '';
        await waitUntil(
          () => `the rules of ${devices.join(', ') || 'no tunnel'}: ${said}`,
          async () => {
            const { status, stdout } = await product.command('status', '--json');
            said = stdout;
            const { tunnels } = JSON.parse(stdout) as {
              readonly tunnels: readonly { readonly device: string; readonly stale: boolean }[];
            };
            return (
              status === 0 &&
              tunnels.every(({ stale }) => !stale) &&
              tunnels.map(({ device }) => device).join() === devices.join()
            );
          },
          60_000,
        );
      },
    };
  } catch (thrown) {
    world.close();
    throw thrown;
  }
}

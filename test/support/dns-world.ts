import { openSandbox, type Sandbox, type SandboxPlan } from '../../src/host/sandbox.ts';
import { FOLDER } from '../../src/proof/addresses.ts';
import { CONNECTED } from '../../src/proof/openvpn.ts';
import { makePki, PKI } from '../../src/proof/pki.ts';
import { installProduct, type Product } from '../../src/proof/product.ts';
import { type Service, startService } from '../../src/proof/service.ts';
import { patiently, waitUntil } from '../../src/proof/wait-until.ts';
import { DIST } from '../e2e/stage.ts';

/** The uplink, and the provider's resolver beyond it. */
export const UPLINK = 'up0';
export const ISP_RESOLVER = '203.0.113.53';

/** The answer of each resolver to every name: by it a test knows who was asked. */
export const ANSWERS = { isp: '192.0.2.53', tun0: '192.0.2.8', tun1: '192.0.2.9' } as const;
export type Resolving = keyof typeof ANSWERS;

/** Two VPNs of one server, each with its own resolver at its own end of the tunnel. */
export const VPNS = {
  tun0: { port: 1194, network: '10.8.0.0', resolver: '10.8.0.1', server: 'srv0' },
  tun1: { port: 1195, network: '10.9.0.0', resolver: '10.9.0.1', server: 'srv1' },
} as const;
export type Device = keyof typeof VPNS;

/**
 * A client with the product; beyond its uplink the provider with a resolver, and two VPN servers
 * with one each. All resolvers are dnsmasq and log every question.
 */
export interface DnsWorld {
  readonly sandbox: Sandbox;
  readonly product: Product;
  /** Runs a shell script on the client. @throws Error with what it said, unless it ended with 0. */
  sh(script: string): Promise<string>;
  /** Starts a program on the client and leaves it running. */
  start(name: string, ...argv: readonly string[]): Service;
  /** Connects; more lines for the profile may follow. */
  connect(device: Device, ...lines: readonly string[]): Promise<Service>;
  /** Asks for so many new names, as programs do; the answers, each once. */
  ask(names?: number): Promise<readonly string[]>;
  /** How many questions a resolver has logged. */
  questions(who: Resolving): number;
  /** Packets from or to ports 53 and 853 on the uplink, so far. */
  seenOnUplink(): Promise<readonly string[]>;
  /**
   * Ends the clients at once and leaves what a power cut leaves: the disk. /run is empty, and the
   * rules are gone.
   */
  powerCut(): Promise<void>;
  close(): void;
}

const NETWORK = `
ip netns add isp
ip link add ${UPLINK} type veth peer name isp0
ip link set isp0 netns isp
ip addr add 198.51.100.2/24 dev ${UPLINK}
ip link set ${UPLINK} up
ip route add default via 198.51.100.1
nsenter --net=/run/netns/isp -- sh -eu <<'END'
ip addr add 198.51.100.1/24 dev isp0
ip addr add 203.0.113.10/32 dev lo
ip addr add ${ISP_RESOLVER}/32 dev lo
ip link set isp0 up
ip link set lo up
END
mkdir -p ${FOLDER} /etc/openvpn/client /etc/ovpn-killswitch /run/lock
`;

function keys(name: 'server' | 'client'): string {
  return `ca ${PKI}/ca.crt\ncert ${PKI}/${name}.crt\nkey ${PKI}/${name}.key\ntls-crypt ${PKI}/tc.key\ndisable-dco\nverb 3\n`;
}

/** Names are asked for once in all worlds of a process, so that nobody answers from a cache. */
let asked = 0;

/** `pushes` are more options of the first server. */
export async function openDnsWorld(
  plan: SandboxPlan,
  settings: string,
  pushes: readonly string[] = [],
): Promise<DnsWorld> {
  const sandbox = await openSandbox(plan);
  const sh = async (script: string) => {
    const { status, stdout, stderr } = await sandbox.ask(['sh', '-euc', script], {
      milliseconds: patiently(60_000),
    });
    if (status !== 0) throw new Error(`${script}\nstatus ${status}: ${stdout}${stderr}`);
    return stdout;
  };
  const write = (path: string, text: string) =>
    sandbox.run(['sh', '-c', `cat >${path}`], { stdin: text });
  try {
    await sh(NETWORK);
    await makePki(sandbox);
    const capture = startService(
      sandbox,
      'capture',
      [
        'tcpdump',
        '-i',
        'isp0',
        '-nn',
        '-l',
        '--immediate-mode',
        '-Z',
        'root',
        'port 53 or port 853 or icmp',
      ],
      { at: 'isp' },
    );
    for (const [device, { port, network, server, resolver }] of Object.entries(VPNS)) {
      const pushed = [
        `dhcp-option DNS ${resolver}`,
        'ping 5',
        'ping-restart 60',
        ...(device === 'tun0' ? pushes : []),
      ];
      write(
        `${FOLDER}/${server}.conf`,
        `dev ${server}\ndev-type tun\ntopology subnet\nserver ${network} 255.255.255.0\nlocal 203.0.113.10\nport ${port}\nproto udp4\ndh none\nping 5\nping-restart 60\n${pushed
          .map((push) => `push "${push}"\n`)
          .join('')}${keys('server')}`,
      );
    }
    const servers = Object.values(VPNS).map(({ server }) =>
      startService(sandbox, server, ['openvpn', '--config', `${FOLDER}/${server}.conf`], {
        at: 'isp',
      }),
    );
    await Promise.all([
      capture.says('listening on'),
      ...servers.map((server) => server.says(CONNECTED)),
    ]);
    const dnsmasq = (who: Resolving, address: string) =>
      startService(
        sandbox,
        `dns-${who}`,
        [
          ...[
            'dnsmasq',
            '--no-daemon',
            '--no-resolv',
            '--no-hosts',
            '--log-queries',
            '--log-facility=-',
            '--bind-interfaces',
          ],
          ...[
            '--user=root',
            '--conf-file=/dev/null',
            `--listen-address=${address}`,
            `--address=/#/${ANSWERS[who]}`,
          ],
        ],
        { at: 'isp' },
      );
    const resolvers = {
      isp: dnsmasq('isp', ISP_RESOLVER),
      tun0: dnsmasq('tun0', VPNS.tun0.resolver),
      tun1: dnsmasq('tun1', VPNS.tun1.resolver),
    };
    await Promise.all(Object.values(resolvers).map((each) => each.says('started')));
    const product = await installProduct(
      sandbox,
      DIST,
      `KILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp,203.0.113.10:1195/udp\n${settings}`,
    );
    let marks = 0;
    return {
      sandbox,
      product,
      sh,
      start: (name, ...argv) => startService(sandbox, name, argv),
      connect: async (device, ...lines) => {
        const { port } = VPNS[device];
        const hooks = ['up', 'down', 'route-up']
          .map((hook) => `${hook} /usr/local/lib/ovpn-killswitch/hooks/${hook}\n`)
          .join('');
        const file = `/etc/openvpn/client/${device}.conf`;
        write(
          file,
          `client\ndev ${device}\nproto udp4\nremote 203.0.113.10 ${port}\nnobind\nremote-cert-tls server\nconnect-retry 1 1\nscript-security 2\n${hooks}${lines
            .map((line) => `${line}\n`)
            .join('')}${keys('client')}`,
        );
        const client = startService(sandbox, `client-${device}`, ['openvpn', '--config', file]);
        await client.says(CONNECTED);
        return client;
      },
      ask: async (names = 5) => {
        const given = new Set<string>();
        for (let n = 0; n < names; n++) {
          const { stdout } = await sandbox.ask([
            'getent',
            'ahostsv4',
            `name-${asked++}.example.org`,
          ]);
          given.add(stdout.split(/\s/)[0] || 'nobody');
        }
        return [...given];
      },
      questions: (who) => resolvers[who].times('query['),
      seenOnUplink: async () => {
        // A packet sent before a ping of our own has been seen when that is. Whether it is answered
        // is the rules' affair.
        const size = 100 + ++marks;
        await sh(
          `nsenter --net=/run/netns/isp -- ping -c1 -W0.05 -s ${size} 198.51.100.2 >/dev/null || true`,
        );
        await waitUntil('the capture', () => capture.said().includes(`length ${size + 8}`));
        return capture
          .said()
          .split('\n')
          .filter((line) => /\.(53|853)(:| >)/.test(line));
      },
      powerCut: async () => {
        await sh(
          `for file in ${FOLDER}/client-*.pid; do kill -9 "$(cat $file)" 2>/dev/null || true; done
           find /run -mindepth 1 -maxdepth 1 ! -name netns ! -name ${FOLDER.split('/').at(-1)} -exec rm -rf {} +
           mkdir -p /run/lock; nft flush ruleset`,
        );
      },
      close: () => sandbox.close(),
    };
  } catch (thrown) {
    sandbox.close();
    throw thrown;
  }
}

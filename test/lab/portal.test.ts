import { createInterface } from 'node:readline';
import { describe, expect, type TestContext, test } from 'vitest';
import type { Sandbox } from '../../src/host/sandbox.ts';
import { patiently, waitUntil } from '../../src/proof/wait-until.ts';
import { KINDS, type Kind } from '../support/kinds.ts';
import { machineWith } from '../support/machine.ts';
import { pacedSeconds } from '../support/machine-pace.ts';
import { installProduct, type Product } from '../support/product.ts';

const SOON = { timeout: patiently(40_000), interval: 100 };
/** The user whose browser it is, and another one. */
const [GUEST, OTHER] = [65534, 1000];
const LOG = '/var/log/ovpn-killswitch.log';

/**
 * A café: its gateway, which is also another host of its network, a resolver and the internet, and
 * the whole of what reaches it.
 */
const CAFE = `
set -e
ip netns add cafe
ip link add up0 type veth peer name up0 netns cafe
ip addr add 192.168.77.2/24 dev up0; ip addr add fd77::2/64 dev up0 nodad; ip link set up0 up
ip -n cafe link set lo up; ip -n cafe link set up0 up
for each in 192.168.77.1/24 192.168.77.20/24 203.0.113.80/32; do ip -n cafe addr add $each dev up0; done
ip -n cafe addr add fd77::1/64 dev up0 nodad
ip route add default via 192.168.77.1
rm -f /etc/resolv.conf; echo 'nameserver 192.168.77.1' >/etc/resolv.conf
`;

/** The pages and the resolver of the café, on every address of its. */
const SERVERS = `
const { createServer } = require('node:net');
for (const port of [80, 443, 853, 8080]) createServer((socket) => socket.on('error', () => undefined).end('login here')).listen(port, '::');
for (const port of [53, 443]) {
  const socket = require('node:dgram').createSocket('udp6');
  socket.on('message', (_, { address, port }) => socket.send('login here', port, address)).bind(port, '::', () => console.log('ready'));
}
`;

/** Sends each probe from its own port; says which of them were answered. */
const PROBER = `
const answered = [];
const probes = JSON.parse(process.argv[1]);
for (const { name, transport, to, port, from } of probes) {
  const isHere = (data) => String(data) === 'login here' && answered.push(name);
  if (transport === 'tcp') require('node:net').connect({ host: to, port, localPort: from }).on('error', () => undefined).on('data', isHere);
  else {
    const socket = require('node:dgram').createSocket('udp4').on('error', () => undefined).on('message', isHere);
    socket.bind(from, () => socket.send(name, port, to, () => undefined));
  }
}
const started = Date.now();
setInterval(() => {
  if (answered.length < probes.length && Date.now() - started < 700) return;
  console.log(JSON.stringify(answered));
  process.exit();
}, 10);
`;

interface Probe {
  readonly name: string;
  readonly transport: 'tcp' | 'udp';
  readonly to: string;
  readonly port: number;
}

const PROBES: readonly Probe[] = [
  { name: 'page of the gateway', transport: 'tcp', to: '192.168.77.1', port: 80 },
  { name: 'secure page of the gateway', transport: 'tcp', to: '192.168.77.1', port: 443 },
  { name: 'page of another host there', transport: 'tcp', to: '192.168.77.20', port: 80 },
  { name: 'names of the gateway', transport: 'udp', to: '192.168.77.1', port: 53 },
  { name: 'another port of the gateway', transport: 'tcp', to: '192.168.77.1', port: 8080 },
  { name: 'QUIC of the gateway', transport: 'udp', to: '192.168.77.1', port: 443 },
  { name: 'encrypted names of the gateway', transport: 'tcp', to: '192.168.77.1', port: 853 },
  { name: 'names of another host there', transport: 'udp', to: '192.168.77.20', port: 53 },
  { name: 'page of the internet', transport: 'tcp', to: '203.0.113.80', port: 80 },
  { name: 'names of the internet', transport: 'udp', to: '203.0.113.80', port: 53 },
  { name: 'page of the gateway by IPv6', transport: 'tcp', to: 'fd77::1', port: 80 },
];
const EVERYTHING = PROBES.map(({ name }) => name).sort();
/** The purpose of a portal. */
const PORTAL = [
  'names of the gateway',
  'page of another host there',
  'page of the gateway',
  'secure page of the gateway',
];

interface Cafe {
  /**
   * Sends every probe as a user: which left the machine, by the capture beyond the uplink, and
   * which were answered.
   */
  probe(
    uid: number,
  ): Promise<{ readonly left: readonly string[]; readonly answered: readonly string[] }>;
  /** The words that run the prober, as it stands. */
  readonly command: (probes: readonly (Probe & { readonly from: number })[]) => readonly string[];
}

async function openCafe(sandbox: Sandbox): Promise<Cafe> {
  const made = sandbox.run(['sh', '-c', CAFE]);
  if (made.status !== 0) throw new Error(made.stderr);
  const servers = sandbox.start([process.execPath, '-e', SERVERS], { at: 'cafe' });
  const dump = sandbox.start(
    [
      'tcpdump',
      '-i',
      'up0',
      '-nn',
      '-l',
      '-t',
      '--immediate-mode',
      '-B',
      '16384',
      '-s',
      '256',
      '-Z',
      'root',
    ],
    {
      at: 'cafe',
    },
  );
  /** The ports that packets came from, and those that the capture is asked about. */
  const heard = new Set<number>();
  let said = '';
  for (const stream of [dump.stdout, servers.stdout, dump.stderr]) {
    if (stream === null) throw new Error('a program of the café has no output');
    createInterface({ input: stream }).on('line', (line) => {
      said += `${line}\n`;
      const [, from] = /^IP6? (?:192\.168\.77\.2|fd77::2)\.(\d+) >/.exec(line) ?? [];
      const [, sync] =
        /^IP 192\.168\.77\.1\.\d+ > 192\.168\.77\.2\.(\d+): UDP, length 5/.exec(line) ?? [];
      heard.add(Number(from ?? sync));
    });
  }
  await waitUntil(
    () => `the café: ${said}`,
    () => said.includes('listening on') && said.split('ready').length > 2,
  );
  let used = 20_000;
  const command: Cafe['command'] = (probes) => [
    process.execPath,
    '-e',
    PROBER,
    JSON.stringify(probes),
  ];
  return {
    command,
    probe: async (uid) => {
      const probes = PROBES.map((each) => ({ ...each, from: used++ }));
      const { stdout, stderr } = await sandbox.ask([
        'setpriv',
        `--reuid=${uid}`,
        `--regid=${uid}`,
        '--clear-groups',
        ...command(probes),
      ]);
      if (stdout === '') throw new Error(stderr);
      const sync = used++;
      // Once a later packet is seen, all that went before it is.
      await waitUntil('the capture to catch up', async () => {
        if (!heard.has(sync))
          await sandbox.ask(['bash', '-c', `echo sync >/dev/udp/192.168.77.2/${sync}`], {
            at: 'cafe',
          });
        return heard.has(sync);
      });
      return {
        left: probes
          .filter(({ from }) => heard.has(from))
          .map(({ name }) => name)
          .sort(),
        answered: (JSON.parse(stdout) as string[]).sort(),
      };
    },
  };
}

interface Scene {
  readonly sandbox: Sandbox;
  readonly product: Product;
  readonly cafe: Cafe;
}

function sceneOf(kind: Kind): (context: TestContext) => Scene {
  let scene: Scene | undefined;
  const machine = machineWith(kind, async (sandbox) => {
    const product = installProduct(sandbox);
    product.set({
      KILLSWITCH_BACKEND: kind === 'nftables' ? 'nftables' : 'iptables',
      KILLSWITCH_ENDPOINTS: '203.0.113.10:1194/udp',
      KILLSWITCH_LAN: 'off',
    });
    scene = { sandbox, product, cafe: await openCafe(sandbox) };
  });
  return (context) => {
    if (!machine.withUsers(context).hasOtherUsers)
      context.skip('this user namespace has no user besides root');
    if (scene === undefined) throw new Error('the café was not opened');
    return scene;
  };
}

const NOTHING = { left: [], answered: [] };

/** One story: each test goes on from the one before. */
describe.each(KINDS)('%s', (kind) => {
  const at = sceneOf(kind);
  const lastEntry = ({ sandbox }: Scene, event: string): { readonly msg: string } => {
    const lines = sandbox.run(['cat', LOG]).stdout.split('\n');
    return JSON.parse(lines.findLast((line) => line.includes(`"${event}"`)) ?? '{}') as {
      readonly msg: string;
    };
  };

  test('an open machine reaches all of it, a locked one nothing', async (context) => {
    const { product, cafe } = at(context);
    for (const uid of [GUEST, OTHER])
      expect(await cafe.probe(uid)).toEqual({ left: EVERYTHING, answered: EVERYTHING });
    expect(product.run('portal', '--user', String(GUEST))).toMatchObject({
      status: 69,
      stderr: expect.stringContaining('not locked'),
    });
    product.succeed('lock');
    for (const uid of [GUEST, OTHER]) expect(await cafe.probe(uid)).toEqual(NOTHING);
  });

  test('in a portal one user reaches the web of the gateway’s network and its resolver; nothing else, and nobody else', async (context) => {
    const { product, cafe } = at(context);
    const { stdout } = product.succeed('portal', '--user', String(GUEST));
    expect(stdout).toContain(
      'uid 65534 reaches 192.168.77.1, 192.168.77.0/24 by up0, TCP 80 and 443; names of 192.168.77.1',
    );
    expect(await cafe.probe(GUEST)).toEqual({ left: PORTAL, answered: PORTAL });
    for (const uid of [OTHER, 0]) expect(await cafe.probe(uid)).toEqual(NOTHING);
    expect(product.report()).toMatchObject({ exit: 0, state: 'portal', differences: [] });
    const explained = product.run(
      'explain',
      'out',
      'tcp',
      '192.168.77.1',
      '80',
      '--device',
      'up0',
      '--as',
      String(GUEST),
    ).stdout;
    expect(explained).toMatch(/^accept: portal/);
  });

  test('its status has the time that is left and what has passed, each place and port on its own', (context) => {
    const { product } = at(context);
    const { portal } = JSON.parse(product.run('status', '--json').stdout) as {
      portal: { passed: Record<string, unknown>[]; until: number };
    };
    const places = portal.passed.map(({ uid, to, transport, port }) =>
      [uid, to, transport, port].join(' '),
    );
    expect(places).toEqual([
      `${GUEST} 192.168.77.1 udp 53`,
      `${GUEST} 192.168.77.1 tcp 80`,
      `${GUEST} 192.168.77.1 tcp 443`,
      `${GUEST} 192.168.77.0/24 tcp 80`,
    ]);
    for (const { packets, bytes } of portal.passed)
      expect([packets, bytes].every((count) => Number(count) > 0)).toBe(true);
    expect(portal.until * 1000 - Date.now()).toBeGreaterThan(200_000);
    expect(product.run('status').stdout).toMatch(
      /^LOCKED, but for a portal\n[\s\S]* {2}portal .*; it closes in 4 min\n {2}passed /,
    );
  });

  test('closed by hand it lists what went through, and nothing leaves any more', async (context) => {
    const { product, cafe } = at(context);
    const { stdout } = product.succeed('portal', '--close');
    expect(stdout).toMatch(/ {2}uid 65534 to 192\.168\.77\.1 tcp 80: \d+ packets, \d+ bytes\n/);
    expect(await cafe.probe(GUEST)).toEqual(NOTHING);
    expect(product.report()).toMatchObject({ exit: 0, state: 'blocked' });
    expect(product.run('portal', '--close').status).toBe(1);
  });

  test('closes by itself at its time, and the log lists what went through', async (context) => {
    const scene = at(context);
    const { product, cafe } = scene;
    product.succeed('portal', '--user', String(GUEST), '--for', `${pacedSeconds(6)}s`);
    expect((await cafe.probe(GUEST)).answered).toEqual(PORTAL);
    await expect.poll(() => product.report(), SOON).toMatchObject({ exit: 0, state: 'blocked' });
    expect(await cafe.probe(GUEST)).toEqual(NOTHING);
    expect(lastEntry(scene, 'portal-closed').msg).toContain(
      'uid 65534 to 192.168.77.1 udp 53: 1 packet',
    );
  });

  test('is closed by the kernel when everything that times it was killed; due, hooks and lock then take the rules away', async (context) => {
    const { sandbox, product, cafe } = at(context);
    const seconds = pacedSeconds(6);
    product.succeed('portal', '--user', String(GUEST), '--for', `${seconds}s`);
    const opened = Date.now();
    const timers = () =>
      sandbox
        .run(['sh', '-c', "grep -lz '^due$' /proc/[0-9]*/cmdline 2>/dev/null"])
        .stdout.match(/\d+/g) ?? [];
    await waitUntil('a timer', () => timers().length > 0);
    // Only processes of the sandbox are seen there.
    for (const pid of timers()) sandbox.run(['kill', '-9', pid]);
    await waitUntil('its end', () => timers().length === 0);
    expect((await cafe.probe(GUEST)).answered).toEqual(PORTAL);
    await waitUntil('its time', () => Date.now() > opened + (seconds + 1.5) * 1000);
    expect(await cafe.probe(GUEST)).toEqual(NOTHING);
    // Its rules are still there, and let nothing through.
    const report = product.report();
    expect(report).toMatchObject({ exit: 2, state: 'blocked' });
    expect(new Set(report.differences.map(({ rule }) => rule))).toEqual(new Set(['portal']));
    product.succeed('due');
    expect(product.report()).toMatchObject({ exit: 0, state: 'blocked' });
  });

  test('is closed by a tunnel that comes up, and does not come back when that goes', async (context) => {
    const { sandbox, product, cafe } = at(context);
    sandbox.run(['sh', '-c', 'ip tuntap add tun0 mode tun; ip link set tun0 up']);
    product.succeed('portal', '--user', String(GUEST));
    expect(product.hook('up').status).toBe(0);
    expect(product.report()).toMatchObject({ exit: 0, state: 'connected' });
    expect(await cafe.probe(GUEST)).toEqual(NOTHING);
    expect(product.run('portal', '--user', String(GUEST))).toMatchObject({
      status: 69,
      stderr: expect.stringContaining('tun0 is live'),
    });
    expect(product.hook('down').status).toBe(0);
    sandbox.run(['ip', 'link', 'del', 'tun0']);
    expect(product.report()).toMatchObject({ exit: 0, state: 'blocked' });
    expect(await cafe.probe(GUEST)).toEqual(NOTHING);
  });

  test('is left open by watch, which also says nothing when it closes', async (context) => {
    const { sandbox, product } = at(context);
    const events = () => sandbox.run(['grep', '-c', '"event":"restored"', LOG]).stdout.trim();
    const before = events();
    const watch = sandbox.start(['/usr/local/sbin/ovpn-killswitch', 'watch']);
    await waitUntil(
      'watch',
      () => JSON.parse(product.run('status', '--json').stdout).watch.running === true,
    );
    for (let times = 0; times < 3; times++) product.succeed('portal', '--user', String(GUEST));
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(product.report()).toMatchObject({ exit: 0, state: 'portal' });
    product.succeed('portal', '--close');
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(product.report()).toMatchObject({ exit: 0, state: 'blocked' });
    expect(events()).toBe(before);
    const { pid } = JSON.parse(sandbox.run(['cat', '/run/ovpn-killswitch/watch']).stdout) as {
      pid: number;
    };
    sandbox.run(['kill', String(pid)]);
    watch.kill('SIGKILL');
  });

  test('is closed by lock, and by unlock', (context) => {
    const { product } = at(context);
    for (const command of ['lock', 'unlock']) {
      product.succeed('portal', '--user', String(GUEST));
      product.succeed(command);
      if (command === 'unlock') product.succeed('lock');
      expect(product.report()).toMatchObject({ exit: 0, state: 'blocked' });
      expect(product.run('portal', '--close').status).toBe(1);
    }
  });

  test('with a command lasts as long as that runs as its user, and ends with it', async (context) => {
    const { sandbox, product, cafe } = at(context);
    const page = { ...PROBES[0], from: 19_000 } as Probe & { readonly from: number };
    const ran = await sandbox.ask([
      '/usr/local/sbin/ovpn-killswitch',
      'portal',
      '--user',
      String(GUEST),
      '--',
      ...cafe.command([page]),
    ]);
    expect(ran.stdout).toMatch(
      /\["page of the gateway"\]\nThe portal is closed\. Through it went:\n {2}uid 65534 to 192\.168\.77\.1 tcp 80/,
    );
    expect(ran.status).toBe(0);
    expect(product.report()).toMatchObject({ exit: 0, state: 'blocked' });
    expect(product.run('portal', '--user', String(GUEST), '--', 'false')).toMatchObject({
      status: 1,
    });
    expect(product.run('portal', '--user', String(GUEST), '--', 'id', '-u').stdout).toContain(
      `\n${GUEST}\n`,
    );
  });

  const REFUSED: readonly (readonly [
    what: string,
    make: string,
    args: readonly string[],
    says: string,
  ])[] = [
    ['for root', ':', ['--user', 'root'], 'a portal for root would be'],
    ['for nobody that is named', ':', [], 'missing flag: --user NAME'],
    ['for hours', ':', ['--user', '1000', '--for', '2h'], 'not a time'],
    [
      'without a default route',
      'ip route del default',
      ['--user', '1000'],
      'no IPv4 default route',
    ],
    [
      'to a network that could be anybody’s',
      'ip addr add 198.51.100.2/24 dev up0; ip route replace default via 198.51.100.1',
      ['--user', '1000'],
      'is a public one',
    ],
    [
      'where a resolver asks for everybody',
      'echo nameserver 127.0.0.53 >/etc/resolv.conf',
      ['--user', '1000'],
      'which resolves for every user',
    ],
  ];

  // The same for every kind.
  test.for(kind === KINDS[0] ? REFUSED : [])(
    '%s it is refused, says what to do, and changes nothing',
    ([, make, args, says], context) => {
      const { sandbox, product } = at(context);
      sandbox.run(['sh', '-c', make]);
      const { status, stderr } = product.run('portal', ...args);
      expect([64, 69]).toContain(status);
      expect(stderr).toContain(says);
      expect(stderr).toMatch(/What to do: \S/);
      expect(product.report()).toMatchObject({ exit: 0, state: 'blocked' });
      sandbox.run([
        'sh',
        '-c',
        'ip addr del 198.51.100.2/24 dev up0; ip route replace default via 192.168.77.1; echo nameserver 192.168.77.1 >/etc/resolv.conf',
      ]);
    },
  );

  test('where a resolver asks for everybody, that may ask when the caller says so, and nobody else', async (context) => {
    const { sandbox, product, cafe } = at(context);
    sandbox.run([
      'sh',
      '-c',
      'echo nameserver 127.0.0.53 >/etc/resolv.conf; mkdir -p /run/systemd/resolve; echo nameserver 192.168.77.1 >/run/systemd/resolve/resolv.conf',
    ]);
    const local = sandbox.start([
      ...[
        'setpriv',
        `--reuid=${OTHER}`,
        `--regid=${OTHER}`,
        '--clear-groups',
        '--ambient-caps=+net_bind_service',
        '--inh-caps=+net_bind_service',
      ],
      ...[
        process.execPath,
        '-e',
        "require('node:dgram').createSocket('udp4').bind(53, '127.0.0.53', () => console.log('ready'))",
      ],
    ]);
    await waitUntil(
      'the local resolver',
      () => sandbox.run(['grep', '-c', '3500007F:0035', '/proc/net/udp']).stdout.trim() === '1',
    );
    product.succeed('portal', '--user', String(GUEST), '--shared-dns');
    expect((await cafe.probe(OTHER)).left).toEqual(['names of the gateway']);
    expect((await cafe.probe(0)).left).toEqual([]);
    product.succeed('portal', '--close');
    local.kill('SIGKILL');
  });
});

import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { COMMANDS } from '../../src/cli/main.ts';
import { EXIT } from '../../src/errors.ts';
import { openSandbox, type Sandbox, sandboxObstacle } from '../../src/host/sandbox.ts';
import { patiently } from '../../src/proof/wait-until.ts';
import { installProduct } from '../support/product.ts';
import { sandboxHost } from '../support/sandbox-host.ts';
import { vpnKeyfile } from '../support/vpn-keyfile.ts';

/**
 * The words that a person types behind the program's name, and what is done to the machine just
 * before.
 */
interface Call {
  readonly call: string;
  readonly before?: string;
  /** Its exit status, when that is not 0. */
  readonly end?: number;
}

const SETTINGS = '/etc/ovpn-killswitch/killswitch.env';
const UPLINK = `ip link add uplink0 type veth peer name router0; ip link set router0 up
ip address add 192.0.2.2/24 dev uplink0; ip link set uplink0 up; ip route add default via 192.0.2.1`;

/** Screens that the examples of the help do not come to. */
const OTHER_CALLS: readonly Call[] = [
  { call: '', end: EXIT.usage },
  ...['help', '--help', '--version'].map((call) => ({ call })),
  { call: 'lokc', end: EXIT.usage },
  { call: 'prove --here', before: UPLINK },
  {
    call: 'lock',
    before: `ip link delete uplink0; echo KILLSWITCH_LAN=everything >> ${SETTINGS}`,
    end: EXIT.settings,
  },
  { call: 'doctor', end: EXIT.failed },
  // A tunnel is live.
  { call: 'portal --user nobody', end: EXIT.unavailable },
  {
    call: 'status',
    before: `sed -i /everything/d ${SETTINGS}; nft flush chain inet ovpn_killswitch postrouting`,
    end: EXIT.degraded,
  },
  { call: 'explain out udp 9.9.9.9 53', end: EXIT.degraded },
  { call: 'lock --force' },
];

const INTERRUPTED = 130;
/** Examples that do not end with 0 on the machine below. */
const ENDS: Readonly<Record<string, number>> = {
  // Root has not come by sudo, and there is no alice.
  ...Object.fromEntries(
    [
      'portal',
      'portal --for 2m --user alice',
      'portal -- firefox http://192.168.1.1/',
      'portal --network 198.51.100.7',
    ].map((call) => [call, EXIT.usage]),
  ),
  'portal --shared-dns': EXIT.usage,
  'portal --close': EXIT.failed,
  prove: INTERRUPTED,
  // It has no NetworkManager, and neither systemd nor OpenRC.
  'attach --networkmanager "My VPN"': EXIT.settings,
  'watch enable': EXIT.unavailable,
  // A lock without it has confirmed it.
  confirm: EXIT.failed,
  'status --watch': INTERRUPTED,
  // There is no image at that place.
  'install --root /var/lib/machines/new': EXIT.usage,
  'boot enable --root /var/lib/machines/new': EXIT.usage,
  // It was unlocked just before.
  'unlock --for 5m': EXIT.usage,
};

/**
 * Every command: how it helps, what it says to a flag that it does not have, and each example of
 * its help as it stands.
 */
const COMMAND_CALLS: readonly Call[] = COMMANDS.flatMap(({ name, examples }) => [
  { call: `${name} --help` },
  { call: `${name} --nonsense`, end: EXIT.usage },
  ...examples.map(([call]) => ({ call, end: ENDS[call] ?? EXIT.ok })),
]);

/** Each with a number: some are made in more than one state. */
const CALLS = [...OTHER_CALLS, ...COMMAND_CALLS].map((each, index) => ({ ...each, index }));

/** They last until they are interrupted, or longer than it takes to see how they look. */
const ENDLESS = ['watch', 'status --watch', 'prove'];
/** Their text is for programs and files: the same wherever it is shown. */
const FOR_PROGRAMS = /^(render|completion)( |$)|--json|--prometheus/;

const MODES = {
  terminal: { terminal: true, environment: '' },
  'terminal with NO_COLOR': { terminal: true, environment: 'NO_COLOR=1' },
  pipe: { terminal: false, environment: '' },
} as const;
const MODE_NAMES = ['terminal', 'terminal with NO_COLOR', 'pipe'] as const;
type ModeName = keyof typeof MODES;

interface Screen {
  readonly status: number | null;
  readonly lines: readonly string[];
}

/** A machine with two profiles, a connection of NetworkManager and a live tunnel. */
async function stage(): Promise<Sandbox> {
  const sandbox = await openSandbox();
  const product = installProduct(sandbox);
  product.set({ KILLSWITCH_BACKEND: 'nftables' });
  const host = sandboxHost(sandbox);
  for (const path of ['client/my-vpn.conf', 'my-vpn.ovpn'])
    host.write(`/etc/openvpn/${path}`, 'client\ndev tun\nremote 203.0.113.10 1194\nuser nobody\n');
  const keyfile = vpnKeyfile({ uuid: '0d6d5d51-0b5d-4d1c-9c0c-7a2f3b0f2f10', name: 'My VPN' });
  host.write('/etc/NetworkManager/system-connections/My VPN.nmconnection', keyfile, 0o600);
  product.succeed('install', '--networkmanager');
  product.succeed('lock');
  const up = product.hook('up');
  if (up.status !== 0) throw new Error(up.stderr);
  return sandbox;
}

async function show(
  sandbox: Sandbox,
  name: ModeName,
  { call, before = '' }: Call,
): Promise<Screen> {
  const { terminal, environment } = MODES[name];
  const limit = `timeout --foreground --preserve-status -s INT ${ENDLESS.includes(call) ? 2.5 : 30}`;
  const command = `${environment} ${limit} ovpn-killswitch ${call}`;
  const shown = terminal
    ? `script -qec 'stty cols 80; ${command}' /dev/null </dev/null`
    : `{ ${command}; } 2>&1`;
  const setup = 'export PATH=/usr/local/sbin:$PATH SHELL=/bin/sh; cd /etc/openvpn';
  const { status, stdout } = await sandbox.ask(['sh', '-c', `${setup}\n${before}\n${shown}`], {
    milliseconds: patiently(60_000),
  });
  return { status, lines: stdout.replaceAll('\r\n', '\n').split('\n') };
}

const obstacle = sandboxObstacle();
const sandboxes: Sandbox[] = [];
const screens = new Map<string, Screen>();

function screenOf(name: ModeName, { index }: { readonly index: number }): Screen {
  const screen = screens.get(`${name} ${index}`);
  if (screen === undefined) throw new Error('nothing was shown');
  return screen;
}

beforeAll(async () => {
  if (obstacle !== undefined) return;
  await Promise.all(
    MODE_NAMES.map(async (name) => {
      const sandbox = await stage();
      sandboxes.push(sandbox);
      for (const call of CALLS)
        screens.set(`${name} ${call.index}`, await show(sandbox, name, call));
    }),
  );
});
afterAll(() => {
  for (const sandbox of sandboxes) sandbox.close();
});
beforeEach((context) => {
  if (obstacle !== undefined) context.skip(obstacle);
});

/**
 * Erases the rest of the line (ECMA-48): what comes behind it stands where the text before it
 * stood.
 */
const ERASE = '\x1b[K';
const isTooLong = (line: string) =>
  line.split(ERASE).some((text) => stripVTControlCharacters(text).length > 80);
/**
 * Back to the line's beginning, cursor home, erase to the end: how a picture or a line is drawn
 * again, coloured or not.
 */
const withoutRedraw = (line: string) =>
  ['\r', '\x1b[H', ERASE, '\x1b[J'].reduce((left, each) => left.replaceAll(each, ''), line);
const hasControl = (line: string) =>
  [...line].some((character) => character < ' ' && character !== '\t');

test('a pipe gets lines too long for 80 columns, and a terminal gets colour: what is looked for below can be seen', () => {
  expect(CALLS.some((call) => screenOf('pipe', call).lines.some(isTooLong))).toBe(true);
  expect(CALLS.some((call) => screenOf('terminal', call).lines.some(hasControl))).toBe(true);
});

describe.each(MODE_NAMES)('in a %s', (name) => {
  test.each(CALLS)('"ovpn-killswitch $call" ends as it should ($index)', (call) => {
    const { status, lines } = screenOf(name, call);
    expect(status, lines.join('\n')).toBe(call.end ?? EXIT.ok);
    expect(lines.join('\n')).not.toMatch(/INTERNAL|^\s+at /m);
  });
});

describe('on a terminal of 80 columns', () => {
  test.each(CALLS.filter(({ call }) => !FOR_PROGRAMS.test(call)))(
    'no line of "ovpn-killswitch $call" is longer ($index)',
    (call) => {
      for (const name of ['terminal', 'terminal with NO_COLOR'] as const)
        expect(screenOf(name, call).lines.filter(isTooLong)).toEqual([]);
    },
  );

  test.each(CALLS)('"ovpn-killswitch $call" has no colour with NO_COLOR ($index)', (call) => {
    expect(
      screenOf('terminal with NO_COLOR', call).lines.map(withoutRedraw).filter(hasControl),
    ).toEqual([]);
  });

  test.each(CALLS.filter(({ call }) => /^(render|completion) \w/.test(call)))(
    '"ovpn-killswitch $call" is the same as in a pipe',
    (call) => {
      expect(screenOf('terminal', call).lines).toEqual(screenOf('pipe', call).lines);
    },
  );

  test.each(CALLS.filter(({ call }) => call.endsWith('--json')))(
    '"ovpn-killswitch $call" is JSON',
    (call) => {
      expect(() => JSON.parse(screenOf('terminal', call).lines.join('\n'))).not.toThrow();
    },
  );
});

describe('in a pipe', () => {
  test.each(CALLS)('"ovpn-killswitch $call" has no control character ($index)', (call) => {
    expect(screenOf('pipe', call).lines.filter(hasControl)).toEqual([]);
  });
});

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import { NODE, VPN } from '../../src/proof/addresses.ts';
import { PUSHED_TIMERS } from '../../src/proof/openvpn.ts';
import { patiently, waitUntil } from '../../src/proof/wait-until.ts';
import { type Booted, bootMachine, bootObstacle } from '../support/booted.ts';
import { PATIENT } from './open-lab.ts';

/**
 * The commands of the tutorials and how-to pages, word for word and in their order, on booted
 * Debians. README's are in quick-start.
 */
const ROOT = resolve(import.meta.dirname, '../..');
const FOLDERS = ['docs/tutorials', 'docs/how-to'];
const PROFILE = '/etc/openvpn/client/my-vpn.conf';
const SETTINGS = '/etc/ovpn-killswitch/killswitch.env';
const PATH = `${dirname(NODE)}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;

/** These machines have no sudo: this one names the user who calls it, as the real one does. */
const PREPARE = `
printf '#!/bin/sh\\nSUDO_UID=1000 exec "$@"\\n' >/usr/local/bin/sudo
printf '#!/bin/sh\\nexit 0\\n' >/usr/local/bin/firefox
chmod 755 /usr/local/bin/*
useradd --uid 1000 --create-home alice
mkdir -p /var/lib/node_exporter
`;

/** A command of a page, and the lines that the page shows as its answer. */
interface Block {
  readonly command: string;
  readonly answer: readonly string[];
}

const COMMAND = /^\s{4,}(\$ )?((?:sudo|ovpn-killswitch|nmcli|npm|jq|tar|git|cd) .*)$/;

function blocksOf(path: string): readonly Block[] {
  const blocks: { command: string; answer: string[] }[] = [];
  let shown: string[] | undefined;
  for (const line of readFileSync(join(ROOT, path), 'utf8').split('\n')) {
    const [, prompt, command] = COMMAND.exec(line) ?? [];
    if (command !== undefined) {
      const answer: string[] = [];
      blocks.push({ command, answer });
      shown = prompt === undefined ? undefined : answer;
    } else if (line.startsWith('    ') && line.trim() !== '') shown?.push(line.slice(4));
    else shown = undefined;
  }
  return blocks;
}

const PAGES = FOLDERS.flatMap((folder) =>
  readdirSync(join(ROOT, folder)).map((name) => `${folder}/${name}`),
).filter((path) => blocksOf(path).length > 0);

/** How one command is run where the page leaves something to its reader. */
interface Manner {
  /** The reader's earlier steps. */
  readonly before?: string;
  /** The command as it is run here. */
  readonly instead?: string;
  /** Its exit status; 0 without this. */
  readonly status?: number;
  /** The tunnel has come up before the next command. */
  readonly connects?: boolean;
}

interface Story {
  readonly from: 'open' | 'locked' | 'connected';
  readonly settings?: readonly string[];
  readonly manners?: Readonly<Record<string, Manner>>;
}

/** Commands that no machine here runs, and who runs them instead. */
const ELSEWHERE: readonly (readonly [RegExp, string])[] = [
  [/^(npm ci|npm run|npm install|cd ovpn|tar )/, 'a registry: .ci/run and fresh Debians'],
  [/^jq /, 'this Debian has no jq'],
  [/^ovpn-killswitch prove$/, 'test/lab/prove'],
  [/--root \/var\/lib\/machines\/new$/, 'regressions: an image is prepared'],
];

/** Pages whose every command runs elsewhere. */
const PAGES_ELSEWHERE: Readonly<Record<string, string>> = {
  'docs/how-to/packages.md': 'test/lab/packages and packages-booted',
};

const detached = `ovpn-killswitch detach ${PROFILE} >/run/said 2>&1 || :`;
const closed = 'ovpn-killswitch portal --close >/run/said 2>&1 || :';

const SERVER: Readonly<Record<string, Story>> = {
  'docs/tutorials/first-lock.md': {
    from: 'open',
    manners: {
      'sudo ovpn-killswitch attach --copy my-vpn.ovpn': { before: `${detached}; rm ${PROFILE}` },
      [`sudo openvpn --config ${PROFILE}`]: {
        instead: `systemd-run --quiet --unit=by-hand openvpn --config ${PROFILE}`,
        connects: true,
      },
      'sudo ovpn-killswitch unlock': { before: 'systemctl stop by-hand' },
    },
  },
  'docs/how-to/attach-a-profile.md': {
    from: 'locked',
    manners: {
      [`sudo ovpn-killswitch attach --dry-run ${PROFILE}`]: { before: detached },
      'sudo ovpn-killswitch attach --copy my-vpn.ovpn': { before: `rm ${PROFILE}` },
      [`sudo ovpn-killswitch attach --harden ${PROFILE}`]: { before: detached },
    },
  },
  'docs/how-to/boot.md': { from: 'connected' },
  'docs/how-to/check.md': { from: 'connected' },
  'docs/how-to/containers.md': {
    from: 'locked',
    settings: ['KILLSWITCH_FORWARD=docker0,virbr0,br-*'],
  },
  'docs/how-to/dns.md': { from: 'locked', settings: ['KILLSWITCH_DNS=9.9.9.9'] },
  'docs/how-to/fix-a-problem.md': { from: 'connected' },
  'docs/how-to/forwarded-port.md': {
    from: 'connected',
    settings: ['KILLSWITCH_TUNNEL_INBOUND=6881-6889/tcp'],
  },
  'docs/how-to/get-out.md': {
    from: 'connected',
    manners: {
      'sudo ovpn-killswitch unlock --for 5m': { before: 'ovpn-killswitch lock' },
    },
  },
  'docs/how-to/images.md': { from: 'open' },
  'docs/how-to/lan.md': { from: 'connected' },
  'docs/how-to/login-page.md': {
    from: 'locked',
    manners: {
      'sudo ovpn-killswitch portal --for 2m --user alice': { before: closed },
      'sudo ovpn-killswitch portal -- firefox http://192.168.1.1/': { before: closed },
      'sudo ovpn-killswitch portal --network 198.51.100.7': { before: closed },
      'sudo ovpn-killswitch portal --shared-dns': { before: closed },
      'sudo ovpn-killswitch portal --dns 203.0.113.53': { before: closed },
    },
  },
  'docs/how-to/monitoring.md': {
    from: 'connected',
    manners: {
      'sudo ovpn-killswitch status --watch': {
        instead: 'timeout 5 ovpn-killswitch status --watch',
        status: 124,
      },
    },
  },
  'docs/how-to/other-firewalls.md': { from: 'connected' },
  'docs/how-to/ssh.md': { from: 'open', settings: ['KILLSWITCH_LAN_INBOUND=22/tcp'] },
};

const uuid = '$(nmcli -g connection.uuid connection show "My VPN")';
const DESKTOP: Readonly<Record<string, Story>> = {
  'docs/how-to/networkmanager.md': {
    from: 'open',
    manners: {
      'nmcli connection import type openvpn file my-vpn.ovpn': {
        before: 'mv /root/my-vpn.ovpn "/root/My VPN.ovpn"',
        instead: 'nmcli connection import type openvpn file "/root/My VPN.ovpn"',
      },
      'sudo ovpn-killswitch status': {
        before: 'nmcli --wait 60 connection up "My VPN"',
        connects: true,
      },
      'sudo nmcli connection modify "Wired connection 1" +connection.secondaries UUID-OF-THE-VPN': {
        before:
          'nmcli connection modify "$(nmcli -g NAME,TYPE connection show --active | sed -n "s/:802-3-ethernet$//p" | head -n 1)" connection.id "Wired connection 1"',
        instead: `nmcli connection modify "Wired connection 1" +connection.secondaries ${uuid}`,
      },
    },
  },
};

test('every page of commands has its machine here, or says where else each is run', () => {
  const isElsewhere = ({ command }: Block) => ELSEWHERE.some(([like]) => like.test(command));
  const here = [...Object.keys(SERVER), ...Object.keys(DESKTOP)];
  const left = PAGES.filter((path) => ![...here, ...Object.keys(PAGES_ELSEWHERE)].includes(path));
  expect(left.filter((path) => !blocksOf(path).every(isElsewhere))).toEqual([]);
  expect(here.filter((path) => !PAGES.includes(path))).toEqual([]);
  for (const [path, { manners = {} }] of [...Object.entries(SERVER), ...Object.entries(DESKTOP)]) {
    const commands = blocksOf(path).map(({ command }) => command);
    expect(
      Object.keys(manners).filter((each) => !commands.includes(each)),
      path,
    ).toEqual([]);
  }
});

async function open(root: string): Promise<Booted> {
  const machine = await bootMachine({ root, prepare: PREPARE });
  try {
    const pushes = [
      ...PUSHED_TIMERS,
      'redirect-gateway def1',
      `dhcp-option DNS ${VPN.resolver4}`,
      PATIENT,
    ];
    await machine.world.startServer({ pushes, more: [PATIENT] });
    await machine.writeProfile('/root/my-vpn.ovpn', false, undefined, { more: [PATIENT] });
    return machine;
  } catch (thrown) {
    await machine.close();
    throw thrown;
  }
}

describe.each([
  ['systemd-13', SERVER],
  ['networkmanager-13', DESKTOP],
])('on %s, booted for real,', (root, stories) => {
  const obstacle = bootObstacle({ root });
  let machine: Booted | undefined;
  beforeAll(async () => {
    if (obstacle === undefined) machine = await open(root);
  });
  afterAll(() => machine?.close());
  const on = (context: TestContext): Booted => {
    if (obstacle !== undefined) context.skip(obstacle);
    if (machine === undefined) throw new Error('the machine was not booted');
    return machine;
  };
  const run = (it: Booted, line: string) =>
    it.ask(
      [
        'sh',
        '-c',
        `export HOME=/root PATH=${PATH}; cd ${line.includes('dist/cli.js') ? ROOT : '/root'}; ${line}`,
      ],
      { milliseconds: patiently(90_000) },
    );
  const must = async (it: Booted, line: string): Promise<string> => {
    const { status, stdout, stderr } = await run(it, line);
    expect([line, status], `${stdout}${stderr}`).toEqual([line, 0]);
    return stdout;
  };
  const connected = async (it: Booted) => {
    let said = '';
    await waitUntil(
      () => `the tunnel: ${said}`,
      async () => {
        said = (await run(it, 'ovpn-killswitch status --json')).stdout;
        return said.includes('"connected"');
      },
      60_000,
    );
  };
  /** The machine as a page's reader has it. */
  const reset = async (it: Booted, { from, settings = [] }: Story) => {
    await must(
      it,
      `systemctl stop openvpn-client@my-vpn by-hand 2>/dev/null
       [ ! -e /usr/local/lib/ovpn-killswitch/recover ] || sh /usr/local/lib/ovpn-killswitch/recover
       "$(command -v node)" ${ROOT}/dist/cli.js install
       rm -rf /var/lib/ovpn-killswitch /run/ovpn-killswitch ${SETTINGS} ${PROFILE}
       mkdir -p ${dirname(PROFILE)}; cp /root/my-vpn.ovpn ${PROFILE}; chmod 600 ${PROFILE}
       printf '%s\\n' ${settings.map((line) => `'${line}'`).join(' ')} >${SETTINGS}
       ovpn-killswitch attach ${PROFILE}`,
    );
    if (from !== 'open') await must(it, 'ovpn-killswitch lock --yes');
    if (from !== 'connected') return;
    await must(it, 'systemctl start openvpn-client@my-vpn');
    await connected(it);
  };

  test.for(Object.entries(stories))(
    'each command of %s does what it says',
    async ([path, story], context) => {
      const it = on(context);
      await reset(it, story);
      for (const { command, answer } of blocksOf(path)) {
        if (ELSEWHERE.some(([like]) => like.test(command))) continue;
        const {
          before,
          instead = command,
          status = 0,
          connects = false,
        } = story.manners?.[command] ?? {};
        if (before !== undefined) await must(it, before);
        const ended = await run(it, instead);
        const said = `${ended.stdout}${ended.stderr}`;
        expect([command, ended.status], said).toEqual([command, status]);
        // The first line decides; what follows has addresses and times of another machine.
        if (answer[0] !== undefined) expect(said.split('\n')[0], command).toBe(answer[0]);
        if (connects) await connected(it);
      }
    },
  );
});

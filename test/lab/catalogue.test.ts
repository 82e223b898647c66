import { beforeAll, describe, expect, test } from 'vitest';
import { COMMANDS } from '../../src/cli/main.ts';
import type { Sandbox } from '../../src/host/sandbox.ts';
import { shellWord } from '../../src/net/shell-word.ts';
import { patiently } from '../../src/proof/wait-until.ts';
import {
  addDevice,
  installForNetworkManager,
  keepConnection,
  startOver,
  UUID,
} from '../hooks/dispatch.ts';
import {
  BACKENDS,
  BUILT_COMMAND,
  LIBRARY,
  LOG,
  type Machine,
  machineObstacle,
  must,
  STATE,
  useMachine,
} from '../hooks/installed-machine.ts';
import { undoAll } from '../hooks/obstacles.ts';
import { COLUMNS } from '../support/catalogue.ts';
import { HOOK_SCENES } from '../support/hook-scenes.ts';
import { STEPS } from '../support/message-walk.ts';
import { catalogueText, type Entry, logText, shown } from '../support/printed-texts.ts';
import { ENDLESS, FOR_PROGRAMS, SCREEN_CALLS, screenMachine } from '../support/screen-calls.ts';
import { BOOT_SCENES, DISPATCHER_SCENES } from '../support/script-scenes.ts';

/** The time that a call may take on a slow machine. */
const MILLISECONDS = patiently(60_000);

/**
 * Compares the texts of each command, script and hook in real calls with test/catalogue.
 * `npm run catalogue:calls -- --update` writes the files again.
 */
const entries = new Map<string, Entry[]>();
const logged = new Set<string>();

function add(file: string, entry: Entry): void {
  entries.set(file, [...(entries.get(file) ?? []), entry]);
}

const EXAMPLES = new Set(COMMANDS.flatMap(({ examples }) => examples.map(([call]) => call)));

/** The file that a call belongs to: its command, or its script. */
function fileOf(call: string): string {
  const command = COMMANDS.find(({ name }) => new RegExp(`killswitch ${name}( |$)`).test(call));
  if (command !== undefined) return command.name;
  return call.includes('/recover') ? 'recover-script' : 'program';
}

/** Runs a shell command on a terminal of 80 columns. */
const onTerminal = (command: string) =>
  `export PATH=/usr/local/sbin:$PATH SHELL=/bin/sh NO_COLOR=1; cd /etc/openvpn; script -qec ${shellWord(`stty cols ${COLUMNS}; ${command}`)} /dev/null </dev/null`;

/** A command as a person types it. */
const typed = (call: readonly string[]) =>
  call.map(shellWord).join(' ').replace('/usr/local/sbin/ovpn-killswitch', 'ovpn-killswitch');

/** The log's entries as lines for people. */
function readLog(sandbox: Sandbox): void {
  const { stdout } = sandbox.run(['cat', LOG]);
  for (const line of stdout.split('\n').filter((each) => each !== '')) {
    const { level, event, msg } = JSON.parse(line) as Record<string, string>;
    logged.add(shown(`${event} (${level}): ${msg}`));
  }
}

const obstacle = machineObstacle();

describe.skipIf(obstacle !== undefined)('the help and its examples', () => {
  beforeAll(async () => {
    const sandbox = await screenMachine();
    for (const { call, before = '' } of SCREEN_CALLS.filter(
      (each) => !ENDLESS.includes(each.call),
    )) {
      const ran = await sandbox.ask(
        ['sh', '-c', `${before}\n${onTerminal(`ovpn-killswitch ${call}`)}`],
        { milliseconds: MILLISECONDS },
      );
      const state = call.includes('--help')
        ? 'help'
        : call.includes('--nonsense')
          ? 'a flag that it does not have'
          : EXAMPLES.has(call)
            ? 'an example of the help, after those above'
            : 'another call';
      const line = `ovpn-killswitch ${call}`.trim();
      add(fileOf(line), { state, call: line, exit: ran.status, output: shown(ran.stdout) });
    }
    readLog(sandbox);
    sandbox.close();
  }, 900_000);

  test('are shown', () => {
    expect(entries.size).toBeGreaterThan(15);
  });
});

const RESET = `
[ ! -e ${LIBRARY}/recover ] || sh ${LIBRARY}/recover
nft flush ruleset
for each in iptables ip6tables; do for chain in INPUT FORWARD OUTPUT; do $each -P $chain ACCEPT; done; done
nft flush ruleset
for family in -4 -6; do ip $family rule del pref 1 prohibit; done
rm -rf ${STATE} /run/ovpn-killswitch /run/real /etc/openvpn/client/odd.conf
`;

/** Opens the machine, installs what a step has removed, and writes these settings. */
function reset(it: Machine, ...settings: readonly string[]): void {
  undoAll(it);
  it.sh(RESET);
  if (!it.exists(`${LIBRARY}/recover`)) must(it.run(process.execPath, BUILT_COMMAND, 'install'));
  must(it.sh('chown 0:0 /etc/ovpn-killswitch/killswitch.env'));
  it.settings(...settings, 'KILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp');
}

describe.skipIf(obstacle !== undefined).each(BACKENDS)('the states of %s', (backend) => {
  const machine = useMachine();
  // One backend for each state: the texts are the same.
  const steps = STEPS.filter(({ only = 'nftables' }) => only === backend);

  test.each(steps)('$name', ({ name, prepare, call }) => {
    const it = machine();
    reset(it, `KILLSWITCH_BACKEND=${backend}`);
    prepare?.(it, backend);
    const ended = it.sandbox.run(['sh', '-c', onTerminal(call.map(shellWord).join(' '))], {
      milliseconds: MILLISECONDS,
    });
    undoAll(it);
    readLog(it.sandbox);
    const line = typed(call);
    add(fileOf(line), {
      state: `${name}, with ${backend}`,
      call: line,
      exit: ended.status,
      output: shown(ended.stdout),
    });
  });
});

describe.skipIf(obstacle !== undefined)('the hooks', () => {
  const machine = useMachine();

  test.each(HOOK_SCENES)('$state', ({ state, prepare, hook, call, settings = [] }) => {
    const it = machine();
    undoAll(it);
    it.sh(RESET);
    it.settings('KILLSWITCH_BACKEND=nftables', ...settings);
    prepare?.(it);
    const { status, stdout, stderr } = it.hook(hook, call);
    const words = ['up', 'down', 'route-up'].includes(hook) ? [hook, ...call.argv] : [hook];
    add('hooks', {
      state,
      call: words.join(' '),
      exit: status,
      output: shown(`${stdout}${stderr}`),
    });
    undoAll(it);
    readLog(it.sandbox);
  });
});

describe.skipIf(obstacle !== undefined)('the boot script', () => {
  const machine = useMachine();

  test.each(BOOT_SCENES)('$state', ({ state, prepare, call }) => {
    const it = machine();
    reset(it, 'KILLSWITCH_BACKEND=nftables');
    prepare?.(it);
    const { status, stdout, stderr } = it.sandbox.run(call, { milliseconds: MILLISECONDS });
    undoAll(it);
    add('boot-script', {
      state,
      call: typed(call),
      exit: status,
      output: shown(`${stdout}${stderr}`),
    });
  });
});

describe.skipIf(obstacle !== undefined)('the dispatcher of NetworkManager', () => {
  const machine = useMachine(installForNetworkManager);

  test.each(DISPATCHER_SCENES)('$state', ({ state, argv, run }) => {
    const it = machine();
    keepConnection(it, UUID);
    startOver(it);
    addDevice(it);
    const { status, stdout, stderr } = run(it);
    add('dispatcher', {
      state,
      call: `00-ovpn-killswitch ${argv.join(' ')}`,
      exit: status,
      output: shown(`${stdout}${stderr}`),
    });
    readLog(it.sandbox);
  });
});

const HEADERS: Readonly<Record<string, string>> = {
  'boot-script':
    'Texts of the plain script "boot", from real runs. They stand in the journal or on the console, which wrap no line: they are folded here.',
  dispatcher:
    'Texts of the dispatcher of NetworkManager, from real calls. They stand in the journal, which wraps no line: they are folded here.',
  hooks:
    'Texts of the hooks, from real calls. They stand in the log of OpenVPN, which wraps no line: they are folded here.',
  'recover-script':
    'Texts of the plain script "recover", from real runs. It wraps no line: they are folded here.',
};

test.skipIf(obstacle !== undefined)('every text is as the catalogue has it', async () => {
  for (const [file, list] of [...entries].sort(([a], [b]) => (a < b ? -1 : 1)))
    await expect
      .soft(
        catalogueText(
          HEADERS[file] ?? `Texts of "ovpn-killswitch ${file}", from real runs at 80 columns.`,
          list,
          FOR_PROGRAMS,
        ).replaceAll('ovpn-killswitch program"', 'ovpn-killswitch" itself'),
      )
      .toMatchFileSnapshot(`../catalogue/${file}.txt`);
  const log = [...logged].sort().map((line) => ({ event: /^\S+/.exec(line)?.[0] ?? '', line }));
  await expect.soft(logText(log)).toMatchFileSnapshot('../catalogue/log.txt');
});

import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { EXIT } from '../../src/errors.ts';
import { type Sandbox, sandboxObstacle } from '../../src/host/sandbox.ts';
import { patiently } from '../../src/proof/wait-until.ts';
import {
  SCREEN_CALLS as CALLS,
  ENDLESS,
  FOR_PROGRAMS,
  type ScreenCall,
  screenMachine,
} from '../support/screen-calls.ts';

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

async function show(
  sandbox: Sandbox,
  name: ModeName,
  { call, before = '' }: ScreenCall,
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
      const sandbox = await screenMachine();
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

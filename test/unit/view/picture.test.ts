import { describe, expect, test } from 'vitest';
import type { Image } from '../../../src/backend/image.ts';
import { drawn, screenOf } from '../../../src/cli/screen.ts';
import { ago, picture } from '../../../src/view/picture.ts';
import { statusMetrics } from '../../../src/view/status-metrics.ts';
import type { View } from '../../../src/view/view.ts';
import { POLICY_NAMES } from '../../support/policies.ts';
import { viewOf } from '../../support/views.ts';

const PIPE = screenOf({}, undefined);
const TERMINAL = screenOf({ isTTY: true, columns: 80 }, undefined);

function shown(view: View, screen = PIPE): readonly string[] {
  return [...picture(view)].flatMap((line) => drawn(line, screen));
}

const withoutOtherDns = (image: Image): Image =>
  image.map((chain) => ({ ...chain, rules: chain.rules.filter(({ id }) => id !== 'other-dns') }));

describe('the picture of status', () => {
  test('says state, backend and why, tunnels, boot, watch, drops and neighbours', () => {
    const lines = shown(viewOf('connected, two tunnels'));
    expect(lines[0]).toBe('LOCKED: connected');
    expect(lines).toEqual(
      expect.arrayContaining([
        '  since     2 h',
        '  backend   nftables: the machine is locked with it',
        expect.stringMatching(
          /^ {2}tunnel {4}tun0 to \S+, resolvers .*, for 2 min, data came in within 4 s$/,
        ),
        '  boot      the rules are not loaded at boot: "ovpn-killswitch boot enable"',
        '  watch     off: "ovpn-killswitch watch enable" restores the rules when another program changes them',
        '  drops     in the last minute: other-dns 12, rest 3',
        '  neighbour firewalld flushes iptables rules when it reloads',
      ]),
    );
  });

  test('says what differs by chain and rule, and what puts it right', () => {
    const lines = shown(viewOf('blocked, LAN off', withoutOtherDns));
    expect(lines[0]).toBe('LOCKED, BUT NOT AS IT SHOULD BE');
    expect(lines).toContainEqual(
      expect.stringMatching(/^ {2}differs {3}postrouting \(other-dns\): missing: .*drop$/),
    );
    expect(lines).toContain('  "ovpn-killswitch lock" fixes it.');
  });

  test('has a space between each label and its text', () => {
    const labels = POLICY_NAMES.flatMap((name) => shown(viewOf(name))).filter((line) =>
      /^ {2}\S/.test(line),
    );
    expect(labels.filter((line) => line[11] !== ' ')).toEqual([]);
    expect(labels.some((line) => line.startsWith('  reconnect '))).toBe(true);
  });

  test('fits a terminal of 80 columns, and loses no word there', () => {
    const view = viewOf('connected, everything at once', withoutOtherDns);
    const narrow = shown(view, { ...TERMINAL, colour: false });
    expect(narrow.filter((line) => line.length > 80)).toEqual([]);
    const words = (lines: readonly string[]) => lines.join(' ').split(/\s+/);
    expect(words(narrow)).toEqual(words(shown(view)));
  });

  test('has colours on a terminal alone, and none with NO_COLOR', () => {
    const view = viewOf('blocked, LAN off');
    expect(shown(viewOf('connected, two tunnels'), TERMINAL).join('\n')).toContain(
      '\x1b[1;32mLOCKED',
    );
    const colours = (['flowing', 'silent', 'connecting', 'none'] as const).map(
      (kind) =>
        shown({ ...view, connection: { kind, traffic: new Map() } }, TERMINAL)[0]?.split('m')[0],
    );
    expect(new Set(colours).size).toBe(4);
    for (const screen of [PIPE, screenOf({ isTTY: true, columns: 80 }, '1')])
      expect(shown(view, screen).join('\n')).not.toContain('\x1b');
    expect(screenOf({ isTTY: true }, '')).toEqual({ columns: 80, colour: true });
    expect(screenOf({ isTTY: true, columns: 0 }, '')).toEqual({ columns: 80, colour: true });
  });
});

test.each([
  [0, '0 s'],
  [59, '59 s'],
  [60, '1 min'],
  [7199, '1 h'],
  [86_400, '1 day'],
  [172_800, '2 days'],
])('%i seconds are said as %s', (seconds, text) => expect(ago(seconds)).toBe(text));

describe('the metrics of status', () => {
  const valuesOf = (view: View) =>
    Object.fromEntries(
      statusMetrics(view)
        .split('\n')
        .filter((line) => !line.startsWith('#'))
        .map((line) => [
          line.slice(0, line.lastIndexOf(' ')),
          Number(line.slice(line.lastIndexOf(' ') + 1)),
        ]),
    );

  test('say what the picture says', () => {
    expect(valuesOf(viewOf('connected, two tunnels'))).toMatchObject({
      ovpn_killswitch_locked: 1,
      ovpn_killswitch_exact: 1,
      'ovpn_killswitch_state{state="connected"}': 1,
      'ovpn_killswitch_state{state="blocked"}': 0,
      'ovpn_killswitch_dropped_packets_total{rule="rest"}': 40,
    });
    expect(valuesOf(viewOf('blocked, LAN off', withoutOtherDns))).toMatchObject({
      ovpn_killswitch_exact: 0,
      ovpn_killswitch_locked: 1,
    });
  });

  test('are in the text format of Prometheus: each name has its help and type before its values', () => {
    const lines = statusMetrics(viewOf('connected, two tunnels')).split('\n');
    const known = new Set<string>();
    for (const line of lines) {
      const [, declared] = /^# TYPE (\S+) (?:gauge|counter)$/.exec(line) ?? [];
      if (declared !== undefined) known.add(declared);
      else if (!line.startsWith('# HELP ')) {
        const [, name = ''] =
          /^([a-z_]+)(?:\{[a-z_]+="[^"\\]*"(?:,[a-z_]+="[^"\\]*")*\})? -?\d+$/.exec(line) ?? [];
        expect([line, known.has(name)]).toEqual([line, true]);
      }
    }
  });
});

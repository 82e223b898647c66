import { describe, expect, test } from 'vitest';
import { BUILT_COMMAND, ran, useMachine } from '../hooks/installed-machine.ts';

/**
 * A profile's lines, its name, a device's and a setting's went to the terminal as they were: escape
 * sequences, C1 controls and bidirectional overrides, which can hide a line or draw a false one.
 */
const EVIL = '\u001b[2J\u001b]0;owned\u0007\u009b31m\u202e\u2066\u200b\u2028\u0085\r\u007f';
const BAD = /[^\P{Cc}\n\t]|[\p{Cf}\p{Zl}\p{Zp}]/u;
const PROFILE = [
  ...[
    'client',
    'dev tun',
    `remote ${EVIL}.test 1194`,
    `chroot "${EVIL}"`,
    `user ${EVIL}`,
    `up "/bin/${EVIL} x"`,
  ],
  ...[`setenv ${EVIL} ${EVIL}`, 'persist-tun', 'remote 203.0.113.9', `plugin ${EVIL}`, ''],
].join('\n');

describe('what a command prints', () => {
  const machine = useMachine();
  const folder = '/etc/openvpn/client';
  const file = `${folder}/a${EVIL}\nLocked: b.conf`;

  test.each([
    ['attach', ['attach', '--dry-run', file]],
    ['attach, for good', ['attach', file]],
    ['attach, of a file that is not there', ['attach', `${file}x`]],
    ['detach', ['detach', '--dry-run', file]],
    ['lock', ['lock']],
    ['status', ['status']],
    ['status for programs', ['status', '--json']],
    ['status for Prometheus', ['status', '--prometheus']],
    ['doctor', ['doctor']],
    ['doctor for programs', ['doctor', '--json']],
    ['render', ['render']],
    ['explain', ['explain', 'out', 'udp', EVIL]],
    ['portal', ['portal', '--user', EVIL]],
    ['an unknown command', [EVIL]],
    ['an unknown flag', ['lock', `--${EVIL}`]],
    ['lock, with bad settings', ['lock']],
    ['detach, for good', ['detach', file]],
  ])('has no character that a terminal acts on: %s', (name, args) => {
    const it = machine();
    it.write(`${folder}/probe.conf`, 'client\nremote 203.0.113.9\n');
    if (name === 'attach') it.write(file, PROFILE);
    if (name === 'lock, with bad settings')
      it.settings(`KILLSWITCH_LAN=${EVIL.replace('\r', '')}`, `${EVIL.replace('\r', '')}=1`);
    const done = it.run(process.execPath, BUILT_COMMAND, ...args);
    const text = ran(done);
    expect(text).toMatch(/\S/);
    for (const line of text.split('\n'))
      expect(JSON.stringify(line)).toBe(JSON.stringify(BAD.test(line) ? 'no such line' : line));
    // A name cannot make a line of its own.
    expect(text.split('\n').filter((line) => line.startsWith('Locked: b.conf'))).toEqual([]);
    if (name.endsWith('for programs') && done.status !== null)
      expect(() => JSON.parse(done.stdout)).not.toThrow();
  });
});

import { describe, expect, test } from 'vitest';
import { unpinned } from '../../src/record/hosts-file.ts';
import { BACKENDS, LIBRARY, must, ran, useMachine } from '../hooks/installed-machine.ts';

const OPENS = '# >>> ovpn-killswitch: VPN servers, so that their names resolve while DNS is shut';
const CLOSES = '# <<< ovpn-killswitch';
const OWN = '127.0.0.1 localhost\n';
const BLOCK = `${OPENS}\n192.0.2.1 vpn.test\n${CLOSES}\n`;

const DAMAGED = {
  'no end': `${OWN}${OPENS}\n192.0.2.1 vpn.test\n192.0.2.9 mine\n`,
  'no beginning': `${OWN}192.0.2.1 vpn.test\n${CLOSES}\n192.0.2.9 mine\n`,
  'a beginning too many': `${OWN}${OPENS}\n192.0.2.9 mine\n${BLOCK}`,
  'an end too many': `${OWN}${BLOCK}192.0.2.9 mine\n${CLOSES}\n`,
};
const WHOLE = {
  'a block at the end': `${OWN}${BLOCK}`,
  'a block in the middle': `${OWN}${BLOCK}192.0.2.9 mine\n`,
  'two blocks': `${BLOCK}${OWN}${BLOCK}192.0.2.9 mine`,
  'line breaks of Windows': `${OWN}${BLOCK}192.0.2.9 mine\n`.replaceAll('\n', '\r\n'),
  'a line without a line break above': `127.0.0.1 localhost\n${OPENS} (and the line break above)\n192.0.2.1 vpn.test\n${CLOSES}\n`,
  'a line added below that': `127.0.0.1 localhost\n${OPENS} (and the line break above)\n192.0.2.1 vpn.test\n${CLOSES}\n192.0.2.9 mine\n`,
};

describe.each(BACKENDS)('a hosts file, with %s,', (backend) => {
  const machine = useMachine();

  test.each(Object.entries(DAMAGED))(
    'with %s stays as it is under lock, unlock and recover, which say so',
    (_, text) => {
      const it = machine();
      it.settings(`KILLSWITCH_BACKEND=${backend}`);
      it.write('/etc/hosts', text);
      const locked = must(it.command('lock', '--force'));
      expect(locked.stderr).toContain('/etc/hosts stays as it is');
      must(it.command('unlock'));
      expect(it.read('/etc/hosts')).toBe(text);
      const recovered = it.run(`${LIBRARY}/recover`);
      expect(recovered.status, ran(recovered)).toBe(73);
      expect(recovered.stderr).toContain('LEFT: /etc/hosts stays as it is');
      expect(it.read('/etc/hosts')).toBe(text);
    },
  );

  test.each(Object.entries(WHOLE))(
    'with %s is the same after recover as after unlock',
    (_, text) => {
      const it = machine();
      it.write('/etc/hosts', text);
      must(it.run(`${LIBRARY}/recover`));
      expect(it.read('/etc/hosts')).toBe(unpinned(text));
      expect(it.read('/etc/hosts')).not.toContain('ovpn-killswitch');
    },
  );
});

import { describe, expect, test } from 'vitest';
import { must, useMachine } from './installed-machine.ts';

const PROFILE = '/etc/openvpn/client/mine.conf';
const TEXT =
  'client\nremote 203.0.113.10 1194\nup /etc/openvpn/update-resolv-conf\n# the end, without a line break';

describe('uninstall', () => {
  const machine = useMachine();

  test('takes our lines out of the profiles first, byte for byte', () => {
    const it = machine();
    must(it.run('mkdir', '-p', '/etc/openvpn/client'));
    it.write(PROFILE, TEXT);
    must(it.command('attach', PROFILE));
    expect(it.read(PROFILE)).toContain('/usr/local/lib/ovpn-killswitch/hooks/up');
    must(it.command('lock', '--force'));
    const ended = must(it.command('uninstall'));
    expect(ended.stdout).toContain(`${PROFILE}: detached`);
    expect(it.read(PROFILE)).toBe(TEXT);
    expect(it.exists('/usr/local/lib/ovpn-killswitch')).toBe(false);
    expect(JSON.stringify(it.rules())).not.toMatch(/killswitch/i);
  });
});

import { describe, expect, test } from 'vitest';
import { tunnelCall } from '../hooks/captures.ts';
import { BACKENDS, BUILT_COMMAND, must, useMachine } from '../hooks/installed-machine.ts';

/**
 * `doctor` headed its findings with the opposite of what it had found, and advised to attach a
 * server's configuration. `install` said that nothing was locked on a locked machine, and a failing
 * hook that loaded rules stay loaded where none were.
 */

const SERVER = '/etc/openvpn/office.conf';

describe.each(BACKENDS)('with %s', (backend) => {
  const good = [
    `KILLSWITCH_BACKEND=${backend}`,
    'KILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp',
  ] as const;
  const machine = useMachine((it) => it.settings(...good));

  test('doctor states what it found, in the heading too', () => {
    const it = machine();
    must(it.command('lock'));
    const locked = it.command('doctor').stdout;
    expect(locked).toContain('warning  after a reboot nothing is guarded');
    expect(locked).not.toContain('boots locked');
    must(it.command('unlock'));
    expect(it.command('doctor').stdout).toContain(
      'warning  nothing is guarded: the machine is not locked',
    );
  });

  test('doctor does not advise to attach a configuration of a server', () => {
    const it = machine();
    it.write(SERVER, 'server 10.9.0.0 255.255.255.0\ndev tun\nport 1194\nkeepalive 10 60\n');
    const { stdout } = it.command('doctor');
    must(it.run('rm', SERVER));
    expect(stdout).not.toContain(SERVER);
  });

  test('install says whether the machine is locked', () => {
    const it = machine();
    const install = () => must(it.run(process.execPath, BUILT_COMMAND, 'install')).stdout;
    must(it.command('lock'));
    expect(install()).not.toContain('Nothing is locked yet');
    must(it.command('unlock'));
    expect(install()).toContain('Nothing is locked yet');
  });

  test('a hook that fails says what the kernel holds', () => {
    const it = machine();
    must(it.command('unlock'));
    it.settings(...good, 'KILLSWITCH_LAN=everything');
    const open = it.hook('up', tunnelCall('tun0'));
    it.settings(...good);
    must(it.command('lock'));
    it.settings(...good, 'KILLSWITCH_LAN=everything');
    const locked = it.hook('up', tunnelCall('tun0'));
    it.settings(...good);
    expect([open.status, open.stderr]).toEqual([
      78,
      expect.stringContaining('State now: OPEN. No rule of ovpn-killswitch is loaded.'),
    ]);
    expect(open.stderr).not.toContain('stay loaded');
    expect([locked.status, locked.stderr]).toEqual([
      78,
      expect.stringContaining('State now: rules of ovpn-killswitch are loaded.'),
    ]);
  });
});

describe('whatever the backend', () => {
  const machine = useMachine((it) => it.settings('KILLSWITCH_BACKEND=nftables'));

  test('doctor names the rules that reroute packets', () => {
    const it = machine();
    must(
      it.sh(`ip rule add fwmark 0x1 lookup 100; ip -6 rule add uidrange 1000-1000 lookup 100
        nft add table inet split; nft add chain inet split out '{ type route hook output priority mangle; }'
        nft add rule inet split out meta skuid 1000 meta mark set 1
        iptables -t nat -A OUTPUT -p tcp --dport 9 -j DNAT --to-destination 192.0.2.1:10`),
    );
    const { stdout } = it.command('doctor', '--json');
    const found = (JSON.parse(stdout) as readonly { readonly what: string }[])
      .map(({ what }) => what)
      .filter((what) => what.includes('reroutes packets'));
    expect(found).toEqual([
      expect.stringContaining('fwmark 0x1 lookup 100'),
      expect.stringContaining('uidrange 1000-1000 lookup 100'),
      expect.stringContaining('the chain "inet split out"'),
      expect.stringContaining('the chain "ip nat OUTPUT"'),
    ]);
    must(it.sh('ip rule del pref 32765; ip -6 rule del pref 32765; nft flush ruleset'));
    expect(it.command('doctor').stdout).toContain('no routing, NAT or mark rule reroutes packets');
  });

  test('doctor names a table that iptables cannot read', () => {
    const it = machine();
    must(
      it.sh(
        "nft add table ip filter; nft add chain ip filter OUTPUT '{ type filter hook output priority filter; }'; nft add rule ip filter OUTPUT ct state established accept",
      ),
    );
    expect(it.command('doctor').stdout).toContain('iptables-save cannot read its tables');
    must(it.sh('nft flush ruleset'));
  });

  test('before the installation every printed command is one that can be called', () => {
    const it = machine();
    must(it.sh('mv /usr/local/sbin/ovpn-killswitch /run/moved'));
    const doctor = it.run(process.execPath, BUILT_COMMAND, 'doctor').stdout;
    const lock = it.run(
      ...['setpriv', '--reuid=65534', '--clear-groups'],
      ...[process.execPath, BUILT_COMMAND, 'lock'],
    ).stderr;
    must(it.sh('mv /run/moved /usr/local/sbin/ovpn-killswitch'));
    const own = `sudo ${process.execPath} ${BUILT_COMMAND}`;
    expect(doctor).toContain(`${own} lock`);
    expect(doctor).not.toContain('sudo ovpn-killswitch');
    expect(lock).toContain(`${own} lock`);
  });
});

import { describe, expect, test } from 'vitest';
import { tunnelCall } from './captures.ts';
import {
  BACKENDS,
  type Machine,
  must,
  STATE,
  useMachine,
  withoutEnded,
} from './installed-machine.ts';
import { overlayPrograms } from './obstacles.ts';

const CALLS = '/run/calls';

const COUNTED = ['nft', 'iptables-save', 'ip6tables-save', 'iptables-restore', 'ip6tables-restore'];

/**
 * Puts something of the same name in the place of each program, which notes the call and goes on
 * with the program.
 */
function count(it: Machine): void {
  overlayPrograms(it, ['/usr/sbin', '/sbin']);
  must(it.run('mkdir', '-p', '/run/real'));
  for (const name of COUNTED) {
    must(it.sh(`cp "$(readlink -f /usr/sbin/${name})" /run/real/${name}; rm /usr/sbin/${name}`));
    // iptables is one program that looks at the name it was called by.
    it.write(
      `/usr/sbin/${name}`,
      `#!/bin/sh\necho ${name} >>${CALLS}\nexec /run/real/${name} "$@"\n`,
    );
    must(it.run('chmod', '755', `/usr/sbin/${name}`));
  }
}

function callsOf(it: Machine, work: () => void): readonly string[] {
  it.write(CALLS, '');
  work();
  return it
    .read(CALLS)
    .split('\n')
    .filter((line) => line !== '')
    .sort();
}

/** A thousand profiles with three servers each. */
const PROFILES = `
  mkdir -p /etc/openvpn/client
  for i in $(seq 1 1000); do
    printf 'client\\ndev tun\\nremote 198.18.%d.%d 1194 udp\\nremote 198.19.%d.%d 443 tcp\\nremote 2001:db8::%x 1194 udp\\n' \\
      $((i / 250)) $((i % 250 + 1)) $((i / 250)) $((i % 250 + 1)) $i >/etc/openvpn/client/p$i.conf
  done`;

describe.each(BACKENDS)('with %s and a thousand profiles', (backend) => {
  const machine = useMachine((fresh) => {
    must(fresh.sh(PROFILES));
    fresh.relock(`KILLSWITCH_BACKEND=${backend}`);
    count(fresh);
  });
  const families = (program: string) => [`ip6${program}`, `ip${program}`];

  test('a machine with a thousand profiles knows their three thousand endpoints', () => {
    expect(machine().status()).toMatchObject({ state: 'blocked', exact: true, backend });
    expect(machine().status().endpoints).toHaveLength(3000);
  });

  test('up and down run one program for each packet-filter family, and route-up none, however many profiles there are', () => {
    const it = machine();
    const base = it.rules();
    const change = backend === 'nftables' ? ['nft'] : families('tables-restore');
    const look = backend === 'nftables' ? ['nft'] : families('tables-save');
    expect(callsOf(it, () => must(it.hook('up', tunnelCall('tun0'))))).toEqual(change);
    const told = { ...tunnelCall('tun0'), argv: [] };
    expect(callsOf(it, () => must(it.hook('route-up', told)))).toEqual([]);
    expect(callsOf(it, () => must(it.hook('up', tunnelCall('tun0'))))).toEqual(look);
    expect(it.status()).toMatchObject({ state: 'connected', exact: true });
    expect(callsOf(it, () => must(it.hook('down', tunnelCall('tun0'))))).toEqual(change);
    expect(withoutEnded(it.rules())).toEqual(withoutEnded(base));
  });
});

describe.each(BACKENDS)('with %s', (backend) => {
  const machine = useMachine((fresh) => fresh.relock(`KILLSWITCH_BACKEND=${backend}`));

  test('a second tunnel comes and goes the same way, and the first stays', () => {
    const it = machine();
    const second = tunnelCall('tun1', { trusted_ip: '198.51.100.20', ifconfig_local: '10.9.0.2' });
    must(it.hook('up', tunnelCall('tun0')));
    const one = it.rules();
    const logged = it.logMark();
    must(it.hook('up', second));
    expect(it.status()).toMatchObject({
      exact: true,
      tunnels: [{ device: 'tun0' }, { device: 'tun1' }],
    });
    must(it.hook('down', second));
    expect(logged().flatMap(({ applied }) => applied ?? [])).toEqual(['added', 'removed']);
    expect(withoutEnded(it.rules())).toEqual(withoutEnded(one));
    must(it.hook('down', tunnelCall('tun0')));
  });

  const tampering =
    backend === 'nftables'
      ? 'nft flush chain inet ovpn_killswitch tunnel-networks; nft add rule inet ovpn_killswitch lan accept 2>/dev/null || nft insert rule inet ovpn_killswitch postrouting accept'
      : 'iptables -D KILLSWITCH-OUTPUT -m comment --comment rest -j DROP';

  test.each(['up', 'down'] as const)(
    '%s sees that somebody has changed the rules, and puts them right',
    (hook) => {
      const it = machine();
      if (hook === 'down') must(it.hook('up', tunnelCall('tun0')));
      must(it.sh(tampering));
      expect(it.status().exact).toBe(false);
      const logged = it.logMark();
      must(it.hook(hook, tunnelCall('tun0')));
      expect(logged().flatMap(({ applied }) => applied ?? [])).toEqual(['replaced']);
      expect(it.status().exact).toBe(true);
      must(it.hook('down', tunnelCall('tun0')));
    },
  );

  test('after flushed rules up still ends in all of them', () => {
    const it = machine();
    must(
      it.sh(
        backend === 'nftables'
          ? 'nft delete table inet ovpn_killswitch'
          : 'iptables -F; ip6tables -F',
      ),
    );
    must(it.hook('up', tunnelCall('tun0')));
    expect(it.status()).toMatchObject({ state: 'connected', exact: true });
    must(it.hook('down', tunnelCall('tun0')));
    expect(it.status()).toMatchObject({ state: 'blocked', exact: true });
  });

  test('a word that was lost or made up is not trusted', () => {
    const it = machine();
    for (const word of [
      '',
      '{}',
      'no json',
      `{"version":1,"backend":"${backend}","tunnels":["x"],"fingerprint":""}`,
    ]) {
      it.write('/run/ovpn-killswitch/last-transaction', word);
      must(it.hook('up', tunnelCall('tun0')));
      expect(it.status()).toMatchObject({ state: 'connected', exact: true });
      it.write('/run/ovpn-killswitch/last-transaction', word);
      must(it.hook('down', tunnelCall('tun0')));
      expect(it.status()).toMatchObject({ state: 'blocked', exact: true });
    }
  });
});

describe('with nftables', () => {
  const TABLE = 'inet ovpn_killswitch';
  const machine = useMachine((fresh) => fresh.relock('KILLSWITCH_BACKEND=nftables'));
  const handleOf = (chain: string) =>
    `$(nft -a list chain ${TABLE} ${chain} | grep 'comment "rest"' | head -n 1 | sed 's/.*# handle //')`;

  test.each([
    [
      'one rule is in the place of another',
      `nft replace rule ${TABLE} postrouting handle ${handleOf('postrouting')} accept`,
    ],
    ['a policy accepts', `nft chain ${TABLE} postrouting '{ policy accept; }'`],
    ['the table is asleep', `nft add table ${TABLE} '{ flags dormant; }'`],
    [
      'all of it was written out, changed and loaded again',
      `nft list table ${TABLE} | sed '/comment "rest"/s/ drop / accept /' >/run/changed
       nft delete table ${TABLE}; nft -f /run/changed`,
    ],
  ])('up does not build on a table where %s', (_, tampering) => {
    const it = machine();
    must(it.sh(tampering));
    expect(it.status().exact).toBe(false);
    const logged = it.logMark();
    must(it.hook('up', tunnelCall('tun0')));
    expect(logged().flatMap(({ applied }) => applied ?? [])).toEqual(['replaced']);
    expect(it.status()).toMatchObject({ state: 'connected', exact: true });
    must(it.hook('down', tunnelCall('tun0')));
  });
});

describe('with iptables', () => {
  const WORD = '/run/ovpn-killswitch/last-transaction';
  const machine = useMachine((fresh) => fresh.relock('KILLSWITCH_BACKEND=iptables'));

  test.each([
    'iptables -t mangle -D POSTROUTING -j KILLSWITCH-POSTROUTING',
    'ip6tables -D FORWARD -j KILLSWITCH-FORWARD',
    'iptables -D KILLSWITCH-OUTPUT -p udp -m multiport --dports 53,853,5355 -m comment --comment other-dns -j DROP',
    'ip6tables -D KILLSWITCH-INPUT -m comment --comment tunnel-address -j KILLSWITCH-TUNNEL-ADDRESS',
    'ip6tables -F KILLSWITCH-FORWARD',
    'iptables -I OUTPUT -j ACCEPT; iptables -t mangle -F KILLSWITCH-POSTROUTING',
  ])('up does not build on rules after %s', (tampering) => {
    const it = machine();
    must(it.sh(tampering));
    const logged = it.logMark();
    must(it.hook('up', tunnelCall('tun0')));
    expect(logged().flatMap(({ applied }) => applied ?? [])).toEqual(['replaced']);
    expect(it.status()).toMatchObject({ state: 'connected', exact: true });
    must(it.hook('down', tunnelCall('tun0')));
  });

  test('a rule that only let something pass is put back by the next hook that changes nothing', () => {
    const it = machine();
    must(it.sh('iptables -D KILLSWITCH-OUTPUT -d 10.0.0.0/8 -m comment --comment lan -j ACCEPT'));
    const logged = it.logMark();
    must(it.hook('up', tunnelCall('tun0')));
    must(it.hook('up', tunnelCall('tun0')));
    expect(logged().flatMap(({ applied }) => applied ?? [])).toEqual(['added', 'replaced']);
    expect(it.status()).toMatchObject({ state: 'connected', exact: true });
    must(it.hook('down', tunnelCall('tun0')));
  });

  test.each([
    '-A KILLSWITCH-OUTPUT -j ACCEPT',
    '-C KILLSWITCH-OUTPUT -m comment --comment rest -j DROP\\nipv4 filter -I OUTPUT -j ACCEPT',
    '-P OUTPUT ACCEPT',
  ])('nothing but questions is taken from the word of the last transaction: %s', (line) => {
    const it = machine();
    it.write(
      WORD,
      it.read(WORD).replace('"fingerprint":"', `"fingerprint":"ipv4 filter ${line}\\n`),
    );
    const logged = it.logMark();
    must(it.hook('up', tunnelCall('tun0')));
    expect(logged().flatMap(({ applied }) => applied ?? [])).toEqual(['added']);
    expect(it.status()).toMatchObject({ state: 'connected', exact: true });
    must(it.hook('down', tunnelCall('tun0')));
  });
});

describe.each(BACKENDS)('with %s, on a word that is forgotten', (backend) => {
  const WORD = '/run/ovpn-killswitch/last-transaction';
  const machine = useMachine((fresh) => fresh.relock(`KILLSWITCH_BACKEND=${backend}`));

  test('by install, whose version may want other rules', () => {
    const it = machine();
    expect(it.exists(WORD)).toBe(true);
    must(it.command('install'));
    expect(it.exists(WORD)).toBe(false);
    must(it.hook('up', tunnelCall('tun0')));
    expect(it.exists(WORD)).toBe(true);
    must(it.hook('down', tunnelCall('tun0')));
  });

  test('by a lock that ends before it has loaded what it has kept: up does not build on the previous rules', () => {
    const it = machine();
    const inTheWay = `${STATE}/base.${backend === 'nftables' ? 'nft' : 'v4'}`;
    must(
      it.sh(
        "mkdir -p /etc/openvpn/client; printf 'client\\ndev tun\\nremote 203.0.113.10 1194 udp\\nuser daemon\\n' >/etc/openvpn/client/p.conf",
      ),
    );
    must(it.sh(`rm ${inTheWay}; mkdir ${inTheWay}`));
    expect(it.command('lock').status).not.toBe(0);
    must(it.run('rmdir', inTheWay));
    must(it.hook('up', tunnelCall('tun0')));
    expect(it.status()).toMatchObject({ state: 'connected', exact: true });
    must(it.hook('down', tunnelCall('tun0')));
  });
});

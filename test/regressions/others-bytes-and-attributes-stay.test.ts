import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { tunnelCall } from '../hooks/captures.ts';
import { BACKENDS, LIBRARY, type Machine, must, useMachine } from '../hooks/installed-machine.ts';

/**
 * Files that belong to others came back changed: bytes of /etc/hosts that are not UTF-8 became
 * U+FFFD, and each file that was rewritten lost its extended attributes, its ACL and its other
 * names.
 */

const PROFILE = '/etc/openvpn/client/mine.conf';
const OWN = Buffer.from(
  '127.0.0.1 localhost\n# caf\xe9 \xff\xfe \x80\n192.0.2.7 vpn.test\n\xe4',
  'latin1',
);

const bytesOf = (it: Machine, path: string) => readFileSync(`/proc/${it.sandbox.pid}/root${path}`);
const put = (it: Machine, path: string, content: Uint8Array | string) =>
  writeFileSync(`/proc/${it.sandbox.pid}/root${path}`, content);

describe('bytes of the hosts file that are not UTF-8', () => {
  const machine = useMachine((it) => {
    it.settings('KILLSWITCH_BACKEND=nftables');
    it.write(PROFILE, 'client\ndev tun\nremote vpn.test 1194\n');
  });
  test.each([
    ['unlock', (it: Machine) => it.command('unlock')],
    ['recover', (it: Machine) => it.run(`${LIBRARY}/recover`)],
    [
      'recover in a UTF-8 locale',
      (it: Machine) => it.run('env', 'LC_ALL=C.UTF-8', `${LIBRARY}/recover`),
    ],
  ])('come back by %s, and stand beside the pins until then', (_, open) => {
    const it = machine();
    put(it, '/etc/hosts', OWN);
    must(it.command('lock'));
    const locked = bytesOf(it, '/etc/hosts');
    expect(locked.subarray(0, OWN.length).equals(OWN)).toBe(true);
    expect(locked.toString('latin1')).toContain('\n192.0.2.7 vpn.test\n# <<< ovpn-killswitch');
    must(open(it));
    expect(bytesOf(it, '/etc/hosts').toString('latin1')).toBe(OWN.toString('latin1'));
  });

  test('with a NUL among them stay as they are, and recover says so', () => {
    const it = machine();
    const text = Buffer.concat([OWN, Buffer.from('\n# \0 nul\n')]);
    put(it, '/etc/hosts', text);
    must(it.command('lock'));
    const before = bytesOf(it, '/etc/hosts');
    const { status, stderr } = it.run(`${LIBRARY}/recover`);
    const after = bytesOf(it, '/etc/hosts');
    if (status === 0) expect(after.equals(text)).toBe(true);
    else
      expect([after.equals(before), stderr]).toEqual([
        true,
        expect.stringContaining('LEFT: /etc/hosts'),
      ]);
    must(it.command('lock'));
    must(it.command('unlock'));
    expect(bytesOf(it, '/etc/hosts').equals(text)).toBe(true);
  });
});

/** Numbers of setxattr(2) and getxattr(2). */
const [SET, GET] = process.arch === 'arm64' ? [5, 8] : [188, 191];
/** ACL_USER_OBJ rw, user 1000 r, ACL_GROUP_OBJ r, mask r, others r (linux/posix_acl_xattr.h). */
const ACL = [
  '0200000001000600ffffffff02000400e803000004000400ffffffff10000400ffffffff20000400ffffffff',
].join('');
const ATTRIBUTES = [
  ['user.note', '6d696e65'],
  ['system.posix_acl_access', ACL],
] as const;

function setAttributes(it: Machine, path: string): void {
  const program = `my ($p, $n, $v) = @ARGV; $v = pack("H*", $v); syscall(${SET}, $p, $n, $v, length $v, 0) == 0 or die "$!\\n"`;
  for (const [name, value] of ATTRIBUTES) must(it.run('perl', '-e', program, path, name, value));
}

function attributesOf(it: Machine, path: string) {
  const program = `my ($p, $n) = @ARGV; my $b = "\\0" x 256; my $l = syscall(${GET}, $p, $n, $b, 256); print $l < 0 ? "none" : unpack("H*", substr($b, 0, $l))`;
  return ATTRIBUTES.map(([name]) => [name, must(it.run('perl', '-e', program, path, name)).stdout]);
}

interface Place {
  readonly path: string;
  readonly text: string;
  readonly change: (it: Machine) => void;
  readonly giveBack: (it: Machine) => void;
}

const PLACES: Readonly<Record<string, Place>> = {
  'the hosts file': {
    path: '/etc/hosts',
    text: '127.0.0.1 localhost\n192.0.2.7 vpn.test\n',
    change: (it) => must(it.command('lock')),
    giveBack: (it) => must(it.command('unlock')),
  },
  'a profile': {
    path: PROFILE,
    text: 'client\ndev tun\nremote vpn.test 1194\n',
    change: (it) => must(it.command('attach', PROFILE)),
    giveBack: (it) => must(it.command('detach', PROFILE)),
  },
  '/etc/resolv.conf': {
    path: '/etc/resolv.conf',
    text: 'nameserver 192.0.2.53\n',
    change: (it) => {
      must(it.command('lock'));
      must(it.hook('up', tunnelCall('tun0')));
    },
    giveBack: (it) => must(it.hook('down', tunnelCall('tun0'))),
  },
};

describe.each(Object.entries(PLACES))('%s', (_, { path, text, change, giveBack }) => {
  const machine = useMachine((it) => {
    it.settings('KILLSWITCH_BACKEND=nftables', 'KILLSWITCH_RESOLVER=file');
    for (const each of Object.values(PLACES)) {
      it.sh(`rm -f ${each.path}`);
      it.write(each.path, each.text);
    }
  });
  const settle = (it: Machine) => {
    must(it.sh(`rm -f ${path} ${path}.link`));
    it.write(path, text);
  };

  test('keeps extended attributes and its ACL', () => {
    const it = machine();
    settle(it);
    setAttributes(it, path);
    const before = attributesOf(it, path);
    expect(before).toEqual(ATTRIBUTES.map((each) => [...each]));
    change(it);
    expect(it.read(path)).not.toBe(text);
    expect(attributesOf(it, path)).toEqual(before);
    giveBack(it);
    expect(it.read(path)).toBe(text);
    expect(attributesOf(it, path)).toEqual(before);
  });

  test('stays one file under its two names', () => {
    const it = machine();
    settle(it);
    must(it.sh(`ln ${path} ${path}.link`));
    change(it);
    const other = it.read(`${path}.link`);
    expect(other).toBe(it.read(path));
    expect(other).not.toBe(text);
    giveBack(it);
    expect([it.read(path), it.read(`${path}.link`)]).toEqual([text, text]);
    must(it.sh(`rm ${path}.link`));
  });

  test('keeps all of it where cp knows nothing of attributes', () => {
    const it = machine();
    settle(it);
    setAttributes(it, path);
    must(
      it.sh(
        'printf "#!/bin/sh\\nexit 1\\n" >/root/cp; chmod 755 /root/cp; mount --bind /root/cp "$(readlink -f "$(command -v cp)")"',
      ),
    );
    try {
      change(it);
      expect(it.read(path)).not.toBe(text);
      expect(attributesOf(it, path)).toEqual(ATTRIBUTES.map((each) => [...each]));
      giveBack(it);
    } finally {
      must(it.sh('umount "$(readlink -f "$(command -v cp)")"'));
    }
    expect(it.read(path)).toBe(text);
    expect(attributesOf(it, path)).toEqual(ATTRIBUTES.map((each) => [...each]));
  });
});

describe('a file with one name', () => {
  const machine = useMachine();
  test('is replaced whole, so that no reader ever sees half of it', () => {
    const it = machine();
    const profile = '/run/mine.conf';
    it.write(profile, 'client\ndev tun\nremote 192.0.2.7 1194\n');
    setAttributes(it, profile);
    const inode = () => must(it.run('stat', '-c', '%i', profile)).stdout;
    const before = inode();
    must(it.command('attach', profile));
    expect(inode()).not.toBe(before);
    expect(attributesOf(it, profile)).toEqual(ATTRIBUTES.map((each) => [...each]));
  });
});

describe.each(BACKENDS)('with %s, a cache that cannot be written', (backend) => {
  const machine = useMachine();
  const RUN = '/run/ovpn-killswitch';

  test('fails no hook: the next one reads all rules', () => {
    const it = machine();
    it.relock(`KILLSWITCH_BACKEND=${backend}`, 'KILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp');
    must(it.hook('up', tunnelCall('tun0')));
    must(it.hook('down', tunnelCall('tun0')));
    // Room for one small file beside those that are there: the record of a tunnel.
    must(
      it.sh(
        `cp -a ${RUN} /root/kept; mount -t tmpfs -o size=256k,mode=755 tmpfs ${RUN}; cp -a /root/kept/. ${RUN}/; rm -rf /root/kept`,
      ),
    );
    it.sh(`dd if=/dev/zero of=${RUN}/filler bs=4096 2>/dev/null; truncate -s -4096 ${RUN}/filler`);
    try {
      must(it.hook('up', tunnelCall('tun0')));
      expect(it.status()).toMatchObject({ state: 'connected', exact: true });
      must(it.hook('down', tunnelCall('tun0')));
    } finally {
      must(it.sh(`umount ${RUN}`));
    }
  });
});

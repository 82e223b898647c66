import { afterEach, describe, expect, test } from 'vitest';
import { tunnelCall } from '../hooks/captures.ts';
import {
  BACKENDS,
  LIBRARY,
  type Machine,
  must,
  ran,
  STATE,
  useMachine,
} from '../hooks/installed-machine.ts';
import { hideHere, mountHere, undoAll } from '../hooks/obstacles.ts';

const BOOT = `${LIBRARY}/boot`;
const PROBLEM = '/run/ovpn-killswitch/boot.problem';
const RESTORES = ['', '-nft', '-legacy'].flatMap((kind) => [
  `iptables${kind}-restore`,
  `ip6tables${kind}-restore`,
]);

/**
 * A card with a neighbour that answers; messages of the boot script do not reach this machine's own
 * kernel log.
 */
function prepare(it: Machine): void {
  mountHere(it, '/dev/kmsg', '--bind', '/dev/null');
  must(
    it.sh(`ip netns add far
      ip link add up0 type veth peer name far0 netns far
      ip -n far addr add 203.0.113.1/24 dev far0; ip -n far addr add 2001:db8::1/64 dev far0 nodad; ip -n far link set far0 up
      ip addr add 203.0.113.2/24 dev up0; ip addr add 2001:db8::2/64 dev up0 nodad; ip link set up0 up`),
  );
}

/** Whether the neighbour is reached over IPv4 or IPv6. */
function reaches(it: Machine): boolean {
  return ['203.0.113.1', '2001:db8::1'].some(
    (address) => it.run('ping', '-nqc1', '-W0.2', address).status === 0,
  );
}

/** A kernel knows nothing after a restart. */
function restart(it: Machine): void {
  must(
    it.sh(`nft flush ruleset; rm -rf /run/ovpn-killswitch /run/motd.d
      for family in -4 -6; do ip $family rule del pref 1 2>/dev/null || :; done
      ip link set up0 up; ip addr replace 2001:db8::2/64 dev up0 nodad`),
  );
}

describe.each(BACKENDS)('the boot script with %s', (backend) => {
  const machine = useMachine(prepare);
  const base = () => (backend === 'nftables' ? `${STATE}/base.nft` : `${STATE}/base.v4`);
  const relock = () => {
    machine().relock(`KILLSWITCH_BACKEND=${backend}`);
    must(machine().sh(`rm -rf /mnt/kept; cp -a ${STATE} /mnt/kept`));
  };
  /** The disk as after `lock`, in a kernel that knows nothing. */
  const restartLocked = () => {
    if (!machine().exists('/mnt/kept')) relock();
    must(machine().sh(`rm -rf ${STATE}; cp -a /mnt/kept ${STATE}`));
    restart(machine());
  };
  afterEach(() => undoAll(machine()));

  test('loads exactly the base, also a second time and over what a save has kept of a live tunnel', () => {
    const it = machine();
    relock();
    restart(it);
    expect(reaches(it)).toBe(true);
    must(it.run(BOOT));
    expect(it.status()).toMatchObject({ state: 'blocked', exact: true, boot: { problems: [] } });
    expect(reaches(it)).toBe(false);
    must(it.run(BOOT));
    expect(it.status()).toMatchObject({ state: 'blocked', exact: true });

    must(it.hook('up', tunnelCall('tun0')));
    const save =
      'iptables-save >/run/saved.v4; ip6tables-save >/run/saved.v6; { echo flush ruleset; nft list ruleset; } >/run/saved.nft';
    must(it.sh(save));
    restart(it);
    must(
      it.sh(
        backend === 'nftables'
          ? 'nft -f /run/saved.nft'
          : 'iptables-restore /run/saved.v4; ip6tables-restore /run/saved.v6',
      ),
    );
    must(it.run(BOOT));
    expect(it.status()).toMatchObject({ state: 'blocked', exact: true });
  });

  /** The first step of the drop-in for nftables.service. */
  const FLUSH = `nft 'flush ruleset;; include "${STATE}/*.nft"; include "${STATE}/*.hold";'`;

  test('after a flush by nftables.service nothing was open, and the base is there again', () => {
    const it = machine();
    restartLocked();
    must(it.run(BOOT));
    must(it.sh(FLUSH));
    expect(reaches(it)).toBe(false);
    must(it.run(BOOT, '--flushed'));
    expect(reaches(it)).toBe(false);
    expect(it.status()).toMatchObject({ state: 'blocked', exact: true, boot: { problems: [] } });
  });

  if (backend === 'iptables')
    test('what stands for the base stays when it cannot be loaded again, until lock', () => {
      const it = machine();
      restartLocked();
      must(it.run(BOOT));
      must(it.sh(`${FLUSH}; echo damaged >${base()}`));
      expect(it.run(BOOT, '--flushed').status).toBe(1);
      expect(reaches(it)).toBe(false);
      expect(it.status()).toMatchObject({
        exact: false,
        boot: { problems: [expect.stringContaining('nftables.service has flushed')] },
      });
      relock();
      expect(reaches(it)).toBe(false);
      expect(it.status()).toMatchObject({ state: 'blocked', exact: true });
    });

  test('leaves the rules of a live tunnel alone, when it is no boot', () => {
    const it = machine();
    relock();
    must(it.hook('up', tunnelCall('tun0')));
    const before = it.rules();
    expect(must(it.run(BOOT)).stderr).toContain('in use');
    expect(it.rules()).toEqual(before);
    must(it.sh('nft flush ruleset'));
    must(it.run(BOOT));
    expect(it.rules()).not.toEqual({});
    expect(reaches(it)).toBe(false);
    must(it.hook('down', tunnelCall('tun0')));
  });

  test('loads nothing on a machine that was unlocked', () => {
    const it = machine();
    relock();
    must(it.command('unlock'));
    restart(it);
    expect(must(it.run(BOOT)).stderr).toBe('');
    expect(JSON.stringify(it.rules())).not.toMatch(/killswitch/i);
    expect(reaches(it)).toBe(true);
  });

  test.each([
    ['is gone', 'rm $base'],
    ['is empty', ': >$base'],
    ['is cut off after its first command', 'sed -i 2q $base'],
    ['is cut off in its middle', 'truncate -s $(($(stat -c %s $base) / 2)) $base'],
    ['has lost its last line', "sed -i '$d' $base"],
    ['has another byte', "sed -i '0,/drop/I s/drop/Accept/I' $base"],
    ['is written by somebody else', 'echo "table inet theirs { }" >$base'],
    ['and the record are gone', `rm -r ${STATE}`],
    ['stands beside a record that says nothing', `rm $base; echo unlock >${STATE}/lock.plain`],
  ])('drops everything when the base %s', (_, damage) => {
    const it = machine();
    restartLocked();
    must(it.sh(`base=${base()}; ${damage}`));
    const said = must(it.run(BOOT)).stderr;
    expect(said).toContain('EVERYTHING is dropped');
    expect(reaches(it)).toBe(false);
    expect(it.run('ping', '-nqc1', '-W1', '127.0.0.1').status).toBe(0);
    expect(it.read('/run/motd.d/ovpn-killswitch')).toContain('EVERYTHING is dropped');
  });

  test('"status" reports what it drops instead, and "lock" removes it', () => {
    const it = machine();
    restartLocked();
    must(it.run('rm', base()));
    must(it.run(BOOT));
    const said = it.command('status');
    expect(said.status).toBe(2);
    expect(said.stdout).toContain('PROBLEM: the base rules could not be loaded');
    must(it.command('lock', '--force'));
    expect(it.status()).toMatchObject({ state: 'blocked', exact: true, boot: { problems: [] } });
    expect(it.exists('/run/motd.d/ovpn-killswitch')).toBe(false);
  });

  test.each([
    ['nft is missing', ['nft'], ''],
    ['iptables is missing', RESTORES, ''],
    ['iptables fails', RESTORES, 'false'],
    ['nft fails', ['nft'], 'false'],
  ])('lets nothing out when %s', (_, programs, instead) => {
    const it = machine();
    restartLocked();
    const show = hideHere(it, ...programs);
    if (instead !== '')
      must(it.sh(programs.map((each) => `ln -s /bin/${instead} /usr/sbin/${each}`).join('; ')));
    const ended = it.run(BOOT);
    expect(ended.status, ran(ended)).toBe(0);
    expect(reaches(it)).toBe(false);
    show();
    // Whatever tool it has found instead, what that has loaded goes.
    must(it.command('lock', '--force'));
    expect(it.status()).toMatchObject({ state: 'blocked', exact: true });
  });

  test('drops everything when the checksum cannot be made', () => {
    const it = machine();
    restartLocked();
    mountHere(it, must(it.sh('command -v sha256sum')).stdout.trim(), '--bind', '/bin/false');
    expect(must(it.run(BOOT)).stderr).toContain('EVERYTHING is dropped');
    expect(reaches(it)).toBe(false);
  });

  test('without any tool that loads rules takes the network away, says so, and "lock" restores it', () => {
    const it = machine();
    restartLocked();
    const show = hideHere(it, 'nft', ...RESTORES);
    const ended = it.run(BOOT);
    expect(ended.status).toBe(1);
    expect(ended.stderr).toContain('the network is off');
    expect(it.read(PROBLEM)).toContain('the network is off');
    expect(must(it.run('ip', '-br', 'link', 'show', 'up0')).stdout).toContain('DOWN');
    // Somebody brings the card up all the same.
    must(it.sh('ip link set up0 up; ip addr replace 2001:db8::2/64 dev up0 nodad'));
    expect(reaches(it)).toBe(false);
    show();
    must(it.command('lock', '--force'));
    expect(it.exists(PROBLEM)).toBe(false);
    must(it.command('unlock'));
    expect(reaches(it)).toBe(true);
  });

  test.each(['/run', '/run/ovpn-killswitch'])(
    'needs nothing that can be written, and %s not either',
    (place) => {
      const it = machine();
      restartLocked();
      must(it.run('mkdir', '-p', '/run/ovpn-killswitch'));
      for (const each of ['/var/lib', '/usr/local/lib'])
        mountHere(it, each, '--bind', '-o', 'ro', each);
      mountHere(it, place, '-t', 'tmpfs', '-o', 'ro', 'tmpfs');
      const ended = it.run(BOOT);
      expect(ended.status, ran(ended)).toBe(0);
      expect(ended.stderr).not.toContain('could not be loaded');
      expect(reaches(it)).toBe(false);
      undoAll(it);
      expect(it.status()).toMatchObject({ state: 'blocked', exact: true });
    },
  );

  test('needs no place in /run, and neither does the script recover', () => {
    const it = machine();
    restartLocked();
    must(it.run('mkdir', '-p', '/run/ovpn-killswitch'));
    mountHere(it, '/run/ovpn-killswitch', '-t', 'tmpfs', '-o', 'nr_inodes=1', 'tmpfs');
    expect(it.sh('echo >/run/ovpn-killswitch/lock').stderr).toContain('No space left');
    const ended = it.run(BOOT);
    expect(ended.status, ran(ended)).toBe(0);
    expect(reaches(it)).toBe(false);
    must(it.run(`${LIBRARY}/recover`));
    expect(reaches(it)).toBe(true);
    undoAll(it);
    relock();
  });

  test('without any tool takes the network away, also when nothing in /run can be written', () => {
    const it = machine();
    restartLocked();
    must(it.run('mkdir', '-p', '/run/ovpn-killswitch'));
    hideHere(it, 'nft', ...RESTORES);
    mountHere(it, '/run/ovpn-killswitch', '-t', 'tmpfs', '-o', 'ro', 'tmpfs');
    expect(it.run(BOOT).status).toBe(1);
    expect(must(it.run('ip', '-br', 'link', 'show', 'up0')).stdout).toContain('DOWN');
  });
});

describe('recover', () => {
  const machine = useMachine();

  test('on a machine that never had the product leaves nothing behind', () => {
    const it = machine();
    must(it.sh(`cp ${LIBRARY}/recover /run/recover-copy; rm -rf ${LIBRARY} ${STATE}`));
    // This machine's root folders for the lab lie in the cache, and are large.
    const files = () =>
      must(
        it.sh(
          'find /etc /usr/local /var /run -xdev -path /var/cache -prune -o -name "*killswitch*" -print',
        ),
      ).stdout;
    const before = files();
    must(it.run('sh', '/run/recover-copy'));
    expect(files()).toBe(before);
    expect(it.exists(STATE)).toBe(false);
  });
});

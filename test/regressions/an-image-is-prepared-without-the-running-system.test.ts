import { beforeEach, describe, expect, test } from 'vitest';
import { BUILT_COMMAND, must, ran, useMachine } from '../hooks/installed-machine.ts';
import { expectWhole, HELD, heldIn, parsedAnswer } from '../support/json-answers.ts';

const IMAGE = '/var/image';
/** This system's files again, laid over: what is written there is the image's alone. */
const MAKE = `
set -e
mkdir -p /run/over; mount -t tmpfs tmpfs /run/over
mkdir -p /run/over/upper /run/over/work ${IMAGE}
mount -t overlay overlay -o lowerdir=/,upperdir=/run/over/upper,workdir=/run/over/work ${IMAGE}
rm -rf ${IMAGE}/usr/local/lib/ovpn-killswitch ${IMAGE}/usr/local/sbin/ovpn-killswitch ${IMAGE}/etc/ovpn-killswitch ${IMAGE}/var/lib/ovpn-killswitch
mkdir -p ${IMAGE}/sbin ${IMAGE}/usr/lib/systemd; touch ${IMAGE}/usr/lib/systemd/systemd
ln -sf /usr/lib/systemd/systemd ${IMAGE}/sbin/init
printf '#!/bin/sh\\necho "systemctl $*" >>/var/asked\\n' >${IMAGE}/usr/bin/systemctl; chmod 755 ${IMAGE}/usr/bin/systemctl
`;

/** The machine's own Node may lie where an image has none. */
const HAS_NODE = `for each in /usr/bin /bin /usr/local/bin /usr/sbin /sbin /usr/local/sbin; do test -x ${IMAGE}$each/node && exit; done; exit 1`;

describe('an image', () => {
  let obstacle: string | undefined;
  const machine = useMachine((fresh) => {
    const made = fresh.sh(MAKE);
    if (made.status !== 0) {
      obstacle = `no image can be laid over here: ${made.stderr}`;
      return;
    }
    if (fresh.sh(HAS_NODE).status !== 0)
      must(fresh.sh(`cp -L '${process.execPath}' ${IMAGE}/usr/bin/node`));
    fresh.relock('KILLSWITCH_BACKEND=nftables', 'KILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp');
  });
  beforeEach((context) => {
    if (obstacle !== undefined) context.skip(obstacle);
  });
  /** Everything of the running system that an installation or a lock could change. */
  const outside = () =>
    must(
      machine().sh(
        'find /usr/local /etc /var/lib /run/ovpn-killswitch -xdev -type f -newer /run/mark | sort; nft list ruleset | grep -v counter; grep -c . /proc/mounts; ls /run',
      ),
    ).stdout;

  test('gets hooks, command and units, which the answers name once, and nothing outside of it is changed', () => {
    must(machine().sh('touch /run/mark; sleep 0.01'));
    const before = outside();
    const call = (...words: readonly string[]) =>
      machine().run(process.execPath, BUILT_COMMAND, ...words, '--root', IMAGE);
    const inside = () => heldIn(must(machine().run('chroot', IMAGE, 'sh', '-c', HELD)).stdout);
    for (const words of [['install'], ['boot', 'enable']])
      for (const isChanged of [true, false]) {
        const old = inside();
        const answer = parsedAnswer(call(...words, '--json'));
        expectWhole(answer, old, inside());
        expect([answer.error, answer.exit, answer.changed]).toEqual([null, 0, isChanged]);
      }
    expect(outside()).toBe(before);
    const enabled = call('boot', 'enable');
    expect(enabled.status, ran(enabled)).toBe(0);
    expect(enabled.stdout).toContain('by systemd (ovpn-killswitch.service)');
    expect(outside()).toBe(before);
    const there = (path: string) => machine().exists(`${IMAGE}${path}`);
    expect(there('/usr/local/lib/ovpn-killswitch/hooks/up')).toBe(true);
    expect(there('/etc/systemd/system/ovpn-killswitch.service')).toBe(true);
    expect(machine().read(`${IMAGE}/var/lib/ovpn-killswitch/lock.plain`)).toBe('unlocked\n');
    expect(machine().list(`${IMAGE}/run`)).not.toContain('ovpn-killswitch-program');
    expect(there('/var/asked')).toBe(false);
  });

  test('is no place to lock from, while it shares the network of what runs', () => {
    must(machine().sh(`mount --rbind /proc ${IMAGE}/proc; mount --rbind /dev ${IMAGE}/dev`));
    const before = machine().rules();
    const inside = (...words: readonly string[]) => machine().run('chroot', IMAGE, ...words);
    const lock = '/usr/local/sbin/ovpn-killswitch';
    const refused = inside(lock, 'lock', '--force');
    expect(refused.status, ran(refused)).toBe(69);
    expect(refused.stderr).toContain('this is a chroot');
    expect(inside(lock, 'boot', 'enable', '--sysctl').status).toBe(69);
    expect(machine().rules()).toEqual(before);
    // With a network of its own it is a jail, and may lock that.
    must(machine().sh(`unshare --net chroot ${IMAGE} ${lock} lock --force`));
    expect(machine().rules()).toEqual(before);
  });

  test('is refused where there is none, and where it has no Node', () => {
    for (const [folder, status] of [
      ['/', 64],
      ['image', 64],
      ['/var/none', 64],
      ['/etc', 69],
    ] as const)
      expect(machine().command('install', '--root', folder).status, folder).toBe(status);
  });

  test('whose Node does not start is refused, with an answer as JSON too', () => {
    const it = machine();
    must(
      it.sh(
        'cd /var; mkdir -p broken/usr/bin broken/proc broken/dev broken/run; echo broken >broken/usr/bin/node; chmod 755 broken/usr/bin/node',
      ),
    );
    const before = must(it.sh('find /var/broken | sort')).stdout;
    expect(parsedAnswer(it.command('install', '--root', '/var/broken', '--json'))).toMatchObject({
      changes: [],
      error: { code: 'NO_IMAGE' },
      exit: 69,
    });
    expect(must(it.sh('find /var/broken | sort')).stdout).toBe(before);
  });

  test('is refused where a user could change the programs that root would run in it', () => {
    const it = machine();
    // The user's Node: it would run as root, outside of any sandbox.
    must(
      it.sh(
        'mkdir -p /var/theirs/usr/bin /var/theirs/proc /var/theirs/dev /var/theirs/run; printf "#!/bin/sh\\ntouch /run/has-run\\n" >/var/theirs/usr/bin/node; chmod 755 /var/theirs/usr/bin/node; chown -R 1234 /var/theirs',
      ),
    );
    for (const folder of ['/var/theirs', '/var/theirs/usr']) {
      must(it.sh('chown -R root /var/theirs/usr'));
      const refused = it.command('install', '--root', folder);
      expect(refused.status, ran(refused)).toBe(73);
      expect(refused.stderr).toContain('/var/theirs does not belong to root');
    }
    must(it.sh(`chmod 777 ${IMAGE}`));
    const writable = it.command('boot', 'enable', '--root', IMAGE);
    must(it.sh(`chmod 755 ${IMAGE}`));
    expect(writable.status, ran(writable)).toBe(73);
    expect(writable.stderr).toContain(`non-root users can write to ${IMAGE}`);
    expect(it.exists('/run/has-run')).toBe(false);
  });
});

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readlinkSync } from 'node:fs';
import { assertPrivate, childOf, entrance, type Sandbox, SPACES } from '../../src/host/sandbox.ts';
import { FOLDER, INTERNET, UPLINK } from '../../src/proof/addresses.ts';
import { missingRequirements } from '../../src/proof/missing-requirements.ts';
import { type ClientPlan, clientProfile } from '../../src/proof/openvpn.ts';
import type { Transport } from '../../src/proof/probes.ts';
import { waitUntil } from '../../src/proof/wait-until.ts';
import { openWorld, type World } from '../../src/proof/world.ts';
import { DIST } from '../e2e/stage.ts';
import { cgroupObstacle, makeCgroups } from './cgroups.ts';
import { builtRoot } from './debian-root.ts';
import { CLIENTS_OWN, initSystemOf, type OwnAddresses } from './init-systems.ts';

export interface BootPlan {
  /** A root of `.ci/rootfs` that has an init system. */
  readonly root: string;
  /**
   * A shell script that runs in the machine's root, as root, once, before it is switched on for the
   * first time.
   */
  readonly prepare?: string;
  /** The VPN's. */
  readonly transport?: Transport;
  /**
   * The folders of this machine that are shown in it; this repository and Node without it. A root
   * with a Node of its own needs its own list.
   */
  readonly show?: readonly string[];
}

/**
 * A private machine that was booted: its first process is the root's own init system, in name
 * spaces and cgroups of its own. Its uplink leads to the router of a world of its own, where the
 * capture runs from before it is switched on. Its disk is memory, laid over the root, and outlives
 * each boot; its /run, its rules and everything else in its kernel do not.
 */
export interface Booted extends Sandbox {
  /** The router, the servers and the capture; the world's own client has no uplink. */
  readonly world: World;
  /** Seconds from power-on until its init system said that everything was started. */
  readonly bootSeconds: number;
  /** Its own state then: `running`, or `degraded` when some of it failed. */
  readonly state: string;
  /** A file, as the machine has it. */
  file(path: string): string;
  /** Runs a shell script to its end. @throws Error with what it said, unless it ended with 0. */
  sh(script: string, stdin?: string): Promise<string>;
  /** Why no limit of tasks holds in it, TasksMax say; undefined when they do. */
  tasksObstacle(): Promise<string | undefined>;
  /** Units or services that failed. */
  failedUnits(): Promise<readonly string[]>;
  /**
   * Writes a client's profile with its keys in it: `/etc/openvpn/client/NAME.conf`, or another
   * place.
   */
  writeProfile(path: string, hooks: boolean, remote?: string, plan?: ClientPlan): Promise<void>;
  /**
   * Shuts it down in order, and switches it on again.
   * @throws Error under OpenRC, whose way down would reach out of the machine.
   */
  reboot(): Promise<void>;
  /** Ends it at once, wherever it is, and switches it on again. */
  powerCut(): Promise<void>;
  /** Ends it and its world. Nothing of them is left then. */
  close(): Promise<void>;
}

/** Why this machine cannot be made here; undefined when it can. */
export function bootObstacle({ root }: BootPlan): string | undefined {
  return missingRequirements() ?? builtRoot(root).obstacle ?? cgroupObstacle();
}

/**
 * The parts that concern this whole machine and has no name space: clock, modules, devices, kernel
 * log and the other security modules.
 */
const KEPT = [
  'sys_time',
  'sys_module',
  'sys_rawio',
  'syslog',
  'wake_alarm',
  'mac_admin',
  'mac_override',
  'audit_control',
];

/**
 * Joins the cgroups and enters the new network; then all other name spaces are made. Arguments:
 * network namespace, disk, root, layout and folders of the cgroups, script to prepare, controllers;
 * then what to show.
 */
const POWER_ON = `
for each in $5; do echo 0 >$each/cgroup.procs; done
exec nsenter --net=/run/netns/$1 -- unshare --mount --pid --fork --ipc --uts --cgroup --propagation private --kill-child=SIGKILL \\
  sh -euc "$BOOT" sh "$@"
`;

/**
 * In the new name spaces: builds the root and becomes init. The parts that belong to this whole
 * machine are shown to be read, or not at all.
 */
const BOOT = `
umask 022
disk=$2 root=$3 layout=$4 prepare=$6 controllers=$7
shift 7
new=$disk/root
mkdir -p $disk/upper $disk/work $new
[ -e $disk/prepared ] || first=yes
mount -t overlay overlay -o lowerdir=$root,upperdir=$disk/upper,workdir=$disk/work $new
mount -t proc -o nosuid,nodev,noexec proc $new/proc
mount --bind $new/proc/sys $new/proc/sys
mount --bind $new/proc/sys/net $new/proc/sys/net
# Another kernel would have another word for each boot (systemd-nspawn does the same).
cat $new/proc/sys/kernel/random/uuid >$disk/boot-id
mount --bind $disk/boot-id $new/proc/sys/kernel/random/boot_id
mount -o remount,bind,ro $new/proc/sys
[ ! -e $new/proc/sysrq-trigger ] || mount --bind /dev/null $new/proc/sysrq-trigger
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs $new/sys
case $layout in
  unified) mount -t cgroup2 cgroup2 $new/sys/fs/cgroup ;;
  hybrid)
    mount -t tmpfs -o mode=755 tmpfs $new/sys/fs/cgroup
    mkdir $new/sys/fs/cgroup/unified $new/sys/fs/cgroup/systemd
    mount -t cgroup2 cgroup2 $new/sys/fs/cgroup/unified
    mount -t cgroup -o none,name=systemd cgroup $new/sys/fs/cgroup/systemd
    # systemd would mount every other controller too, which is not its own.
    echo '#subsys_name hierarchy num_cgroups enabled' >$disk/controllers
    for each in $controllers; do
      mkdir $new/sys/fs/cgroup/$each
      mount -t cgroup -o $each cgroup $new/sys/fs/cgroup/$each
      echo "$each 1 1 1" >>$disk/controllers
    done
    mount --bind $disk/controllers $new/proc/cgroups ;;
esac
mount -t tmpfs -o mode=755,nosuid tmpfs $new/dev
mkdir $new/dev/net $new/dev/pts $new/dev/shm
for each in 'null 1 3' 'zero 1 5' 'full 1 7' 'random 1 8' 'urandom 1 9' 'tty 5 0' 'net/tun 10 200'; do
  mknod -m 666 $new/dev/\${each%% *} c \${each#* }
done
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts $new/dev/pts
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs $new/dev/shm
ln -s pts/ptmx $new/dev/ptmx
ln -s /proc/self/fd $new/dev/fd
for each in '0 stdin' '1 stdout' '2 stderr'; do ln -s /proc/self/fd/\${each% *} $new/dev/\${each#* }; done
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs $new/run
mkdir -p $new/run/lock $new${FOLDER}
for path; do
  if [ -d "$path" ]; then mkdir -p "$new$path"; else mkdir -p "$new\${path%/*}"; [ -e "$new$path" ] || : >"$new$path"; fi
  mount --bind "$path" "$new$path"
  mount -o remount,bind,ro "$new$path"
done
hostname machine
cd $new
mkdir -p .machine
pivot_root . .machine
if [ -n "\${first:-}" ]; then
  # Not its first boot, on which systemd would enable and disable units by its presets.
  echo 0123456789abcdef0123456789abcdef >etc/machine-id
  echo machine >etc/hostname
  printf '127.0.0.1 localhost machine\\n::1 localhost\\n' >etc/hosts
  sh -euc "$prepare"
  : >.machine$disk/prepared
fi
umount -l .machine
rmdir .machine
# The words are for systemd: it looks for its kernel's command line among the arguments of its first process.
exec setpriv --bounding-set ${KEPT.map((each) => `-${each}`).join(',')} env -i \
  PATH=/usr/sbin:/usr/bin:/sbin:/bin container=other LANG=C.UTF-8 TERM=dumb \
  /sbin/init $([ $layout = unified ] || echo systemd.unified_cgroup_hierarchy=0 SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1)
`;

/** The state that an init system reports when nothing is left to be started. */
const STARTED = ['running', 'degraded'];

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

interface Boot {
  readonly holder: ChildProcess;
  readonly pid: number;
  readonly inside: ReturnType<typeof entrance>;
}

/** The place of a machine in its world. */
export interface Seat {
  /** Of its network namespaces and of its disk. */
  readonly name: string;
  /** The card in the world's own network namespace, which becomes the machine's uplink. */
  readonly card: string;
  readonly own: OwnAddresses;
  /** Runs when the machine is switched off for good. */
  leave(): void;
}

/**
 * Boots a machine at a place of its world.
 * @throws Error with what did not start, and why; then nothing of it is left.
 */
export async function bootAt(world: World, plan: BootPlan, seat: Seat): Promise<Booted> {
  const { root = '', show: usual = [] } = builtRoot(plan.root);
  const show = plan.show ?? usual;
  const { sandbox } = world;
  const cgroups = makeCgroups();
  const disk = `/mnt/${seat.name}`;
  const init = initSystemOf(plan.root);
  const prepare = [init.prepare(seat.own), plan.prepare ?? ''].join('\n');
  let boots = 0;
  let boot: Boot | undefined;
  let bootSeconds = 0;
  let state = '';

  const outside = async (script: string) => {
    const { status, stderr } = await sandbox.ask(['sh', '-euc', script]);
    if (status !== 0) throw new Error(`${script}: ${stderr}`);
  };
  const now = (): Boot => {
    if (boot === undefined) throw new Error('the machine is switched off');
    return boot;
  };
  const answer = async (script: string) => (await now().inside.ask(['sh', '-c', script])).stdout;
  const failedUnits = async () =>
    (await answer(init.failed)).split('\n').filter((line) => line !== '');

  async function switchOn(): Promise<void> {
    const started = performance.now();
    const [before, space] = [`${seat.name}-${boots}`, `${seat.name}-${boots + 1}`];
    boots++;
    // The same card in a new machine: the router's side stays, and with it the capture.
    await outside(
      boots === 1
        ? `ip netns add ${space}; ip link set ${seat.card} netns ${space} name ${UPLINK}`
        : `ip netns add ${space}; ip -n ${before} link set ${UPLINK} netns ${space}; ip netns delete ${before}`,
    );
    const words = [
      space,
      disk,
      root,
      cgroups.layout,
      Object.values(cgroups.folders).join(' '),
      prepare,
      cgroups.controllers.join(' '),
      ...show,
    ];
    const holder = sandbox.start(['sh', '-euc', POWER_ON, 'sh', ...words], { env: { BOOT } });
    let said = '';
    const keep = (chunk: Buffer) => {
      said = (said + chunk.toString('utf8')).slice(-10_000);
    };
    holder.stdout?.on('data', keep);
    holder.stderr?.on('data', keep);
    const alive = () => {
      if (hasEnded(holder)) throw new Error(`the machine did not boot:\n${said}`);
      return true;
    };
    // nsenter's child becomes unshare, whose child becomes init.
    const first = (): number | undefined => {
      try {
        return childOf(childOf(holder.pid ?? 0));
      } catch {
        return undefined;
      }
    };
    await waitUntil(
      () => `the first process: ${said}`,
      () =>
        alive() &&
        first() !== undefined &&
        /^(init|systemd)$/.test(readFileSync(`/proc/${first()}/comm`, 'utf8').trim()),
      30_000,
    );
    const pid = first() ?? 0;
    assertPrivate(pid);
    if (readlinkSync(`/proc/${pid}/ns/net`) === readlinkSync(`/proc/${sandbox.pid}/ns/net`))
      throw new Error('refused: the machine shares the network of its router');
    boot = { holder, pid, inside: entrance(pid, [...SPACES, '--cgroup', '--wd']) };
    const waiting = async () => {
      const [pending, failed] = await Promise.all([answer(init.pending), failedUnits()]);
      return `the machine to be started; it is ${state}. Failed: ${failed.join(', ') || 'none'}. Left:\n${pending}${said}`;
    };
    try {
      await waitUntil(
        'the machine to be started',
        async () => {
          alive();
          state = (await answer(init.state)).trim();
          return STARTED.includes(state);
        },
        60_000,
      );
    } catch (cause) {
      alive();
      throw new Error(`waited for ${await waiting()}`, { cause });
    }
    bootSeconds = (performance.now() - started) / 1000;
  }

  async function switchOff(): Promise<void> {
    const { holder, pid } = now();
    if (!hasEnded(holder)) {
      const ended = once(holder, 'close');
      try {
        process.kill(pid, 'SIGKILL');
      } catch (thrown) {
        // It has ended by itself just now.
        if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'ESRCH')) throw thrown;
      }
      await ended;
    }
    boot = undefined;
    await cgroups.clear();
  }

  const close = async () => {
    try {
      if (boot !== undefined) await switchOff();
    } finally {
      seat.leave();
      await cgroups.remove();
    }
  };

  const machine: Booted = {
    world,
    get pid() {
      return now().pid;
    },
    hasOtherUsers: true,
    get bootSeconds() {
      return bootSeconds;
    },
    get state() {
      return state;
    },
    run: (argv, options) => now().inside.run(argv, options),
    ask: (argv, options) => now().inside.ask(argv, options),
    start: (argv, options) => now().inside.start(argv, options),
    file: (path) => readFileSync(`/proc/${now().pid}/root${path}`, 'utf8'),
    sh: async (script, stdin) => {
      const { status, stdout, stderr } = await now().inside.ask(
        ['sh', '-euc', script],
        stdin === undefined ? {} : { stdin },
      );
      if (status !== 0) throw new Error(`${script}: status ${status}\n${stdout}${stderr}`);
      return stdout;
    },
    tasksObstacle: async () => {
      const { status } = await machine.ask([
        'sh',
        '-c',
        'test -d /sys/fs/cgroup/pids || grep -qw pids /sys/fs/cgroup/cgroup.controllers',
      ]);
      return status === 0 ? undefined : 'this machine gives no pids controller to cgroups';
    },
    failedUnits,
    writeProfile: async (path, hooks, remote = INTERNET.vpn4, client = {}) => {
      const text = await clientProfile(machine, hooks, remote, {
        transport: plan.transport ?? 'udp',
        ...client,
      });
      // The keys lie in the world's /run: the machine's would be gone after a boot.
      const inline = text.replace(
        /^(ca|cert|key|tls-crypt) (\S+)$/gm,
        (_, option: string, file: string) => {
          const key = readFileSync(`/proc/${sandbox.pid}/root${file}`, 'utf8');
          return `<${option}>\n${key}</${option}>`;
        },
      );
      await machine.sh(`mkdir -p "$(dirname ${path})"; umask 077; cat >${path}`, inline);
    },
    reboot: async () => {
      if (init.reboot === undefined)
        throw new Error(`a machine of ${plan.root} is not shut down in order here`);
      const { holder } = now();
      await machine.ask(['sh', '-c', init.reboot]);
      await waitUntil('the machine to shut down', () => hasEnded(holder), 100_000);
      await switchOff();
      await switchOn();
    },
    powerCut: async () => {
      await switchOff();
      await switchOn();
    },
    close,
  };
  try {
    await switchOn();
  } catch (thrown) {
    await close();
    throw thrown;
  }
  return machine;
}

/**
 * Builds the world, and boots the machine in it; ask `bootObstacle` first.
 * @throws Error with what did not start, and why; then nothing is left.
 */
export async function bootMachine(plan: BootPlan): Promise<Booted> {
  const world = await openWorld({ dist: DIST, transport: plan.transport ?? 'udp' });
  try {
    const leave = () => world.close();
    return await bootAt(world, plan, { name: 'boot', card: UPLINK, own: CLIENTS_OWN, leave });
  } catch (thrown) {
    world.close();
    throw thrown;
  }
}

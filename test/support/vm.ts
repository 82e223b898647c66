import { spawn, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/**
 * Debian's stock kernels, by the root folder in the table of `.ci/rootfs` that has each with the
 * programs of its own Debian.
 */
export const VM_ROOTS = ['kernel-5.10', 'kernel-6.1', 'kernel-6.12', 'kernel-7.3'] as const;
export type VmRoot = (typeof VM_ROOTS)[number];

const CACHE = process.env['OVPN_KILLSWITCH_LAB'] ?? '/var/cache/ovpn-killswitch-lab';
const REPOSITORY = resolve(import.meta.dirname, '../..');
const DIST = join(REPOSITORY, 'dist');
/** It has QEMU: this machine needs none. */
const TOOLS = `${CACHE}/guests-12`;
/** The last of the console that a message holds. */
const TAIL_LINES = 25;

/** Why this kernel cannot be booted here; undefined when it can. */
export function vmObstacle(root: VmRoot): string | undefined {
  if (process.getuid?.() !== 0) return 'a virtual machine from a root folder needs root';
  if (process.arch !== 'x64') return 'the kernels are those of x86_64';
  if (!existsSync(`${CACHE}/${root}.ready`))
    return `${CACHE}/${root} is not built: run .ci/rootfs ${root} as root`;
  return existsSync(`${TOOLS}.ready`)
    ? undefined
    : `${TOOLS} is not built: run .ci/rootfs guests-12 as root`;
}

/** Said to a program that is started again after a restart of the machine. */
export const SECOND_BOOT = 'second-boot';
/** On the kernel's command line: what runs there may use the machine's own network. */
export const INSIDE_WORD = 'made-for-tests';

/** The output of a virtual machine. */
export interface VmRun {
  /** The lines that its program wrote on its second serial line. */
  readonly report: string;
  /** The kernel's messages and what the program said besides. */
  readonly console: string;
  /** Every frame that left its network card, as pcap: seen by QEMU, outside the machine. */
  readonly frames: Buffer;
  /** From the start of QEMU to its end. */
  readonly seconds: number;
}

/** The program of a virtual machine. */
export interface VmOrders {
  readonly root: VmRoot;
  /**
   * A program, bundled for Node: it is started as the only process but the first, and the machine
   * ends when it does.
   */
  readonly program: string;
  readonly args?: readonly string[];
  /** It is killed after so many seconds, whatever it does. */
  readonly seconds: number;
  /** Called with what the report holds so far, whenever it may have grown. */
  readonly onReport?: (report: string) => void;
}

/**
 * The first process. `/srv` is the disk with the program. After a restart that the program has
 * asked for, systemd is the first process and the program one of its services.
 */
const INIT = (words: string) => `#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C TZ=UTC HOME=/root
run='/srv/node /srv/program.mjs ${words}'
if [ -e /var/lib/second-boot ]; then
  mkdir -p /run/systemd/system/multi-user.target.wants
  cat >/run/systemd/system/job.service <<END
[Unit]
After=multi-user.target
[Service]
Type=oneshot
TimeoutStartSec=infinity
Environment=PATH=$PATH LC_ALL=C TZ=UTC
StandardOutput=null
StandardError=null
ExecStart=/bin/sh -c 'exec $run ${SECOND_BOOT} >/dev/ttyS1 2>/dev/console'
ExecStopPost=/bin/sh -c 'sync; echo o >/proc/sysrq-trigger'
END
  ln -s ../job.service /run/systemd/system/multi-user.target.wants/job.service
  exec /sbin/init
fi
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
ln -sf /proc/self/fd /dev/fd
for each in 0:stdin 1:stdout 2:stderr; do ln -sf fd/\${each%:*} /dev/\${each#*:}; done
hostname machine
ip link set lo up
for module in virtio_net tun veth ovpn; do modprobe -q $module; done
mkdir -p /dev/net
[ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200
$run >/dev/ttyS1 2>/dev/console </dev/null || echo "the program ended with $?" >/dev/console
sleep 1
sync
if [ -e /var/lib/second-boot ]; then echo b >/proc/sysrq-trigger; else echo o >/proc/sysrq-trigger; fi
sleep 60
`;

const QEMU = [
  // Translated, ten to twenty times slower than the processor: a /dev/kvm may be there and not
  // work.
  '-accel tcg,thread=multi -cpu Nehalem -M q35 -m 1536 -smp 2 -display none -vga none',
  `-kernel /mnt/vm.kernel -initrd /mnt/vm.initrd -append "console=ttyS0 quiet panic=-1 net.ifnames=0 mitigations=off no_timer_check ${INSIDE_WORD}"`,
  '-drive file=/mnt/vm.disk,if=virtio,format=raw,snapshot=on -drive file=/mnt/job/disk,if=virtio,format=raw,readonly=on',
  '-serial file:/mnt/job/console -serial file:/mnt/job/report',
  '-netdev user,id=card,restrict=on -device virtio-net-pci,netdev=card,mac=52:54:00:00:00:02 -object filter-dump,id=frames,netdev=card,file=/mnt/job/frames',
].join(' ');

/**
 * Its arguments: the tools, the part of a path that kernel and disks begin with, the folder for the
 * job.
 */
const START = `
mount -t tmpfs tmpfs "$1/mnt"
for part in kernel initrd disk; do touch "$1/mnt/vm.$part"; mount --bind "$2.$part" "$1/mnt/vm.$part"; done
mkdir "$1/mnt/job"
mount --bind "$3" "$1/mnt/job"
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
mount -t tmpfs tmpfs "$1/tmp"
chroot "$1" mke2fs -q -t ext4 -O ^has_journal -d /mnt/job/files /mnt/job/disk 256M
exec chroot "$1" qemu-system-x86_64 ${QEMU}
`;

/**
 * Its turn on the processor decides whether anything inside is in time, so it goes before other
 * work where that is allowed: by its group (sched(7), autogroup) and in it. It ends with its time,
 * whatever becomes of the one who started it.
 */
const FIRST = `
seconds=$1; shift
{ echo -20 >/proc/self/autogroup; renice -n -20 -p $$; } >/dev/null 2>&1 || true
exec timeout --foreground -s KILL "$seconds" unshare "$@"
`;
/** As timeout(1) ends when it had to kill. */
const KILLED = 137;

function text(path: string): string {
  // A serial line ends its lines as a terminal does.
  return existsSync(path) ? readFileSync(path, 'latin1').replaceAll('\r\n', '\n') : '';
}

function tail(lines: string): string {
  return lines.trim().split('\n').slice(-TAIL_LINES).join('\n');
}

/**
 * Boots a kernel, runs the program in it and returns its report.
 * @throws Error with the end of its console when it cannot be booted, or does not end by itself in
 * time.
 */
export async function runVm({
  root,
  program,
  args = [],
  seconds,
  onReport,
}: VmOrders): Promise<VmRun> {
  const made = spawnSync(join(REPOSITORY, '.ci/vm'), [root], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(`.ci/vm ${root}: ${made.stderr}`);
  const job = mkdtempSync(join(tmpdir(), 'vm-'));
  try {
    const files = join(job, 'files');
    mkdirSync(files);
    cpSync(DIST, join(files, 'dist'), { recursive: true });
    cpSync(process.execPath, join(files, 'node'));
    cpSync(program, join(files, 'program.mjs'));
    writeFileSync(join(files, 'init'), INIT(args.join(' ')), { mode: 0o755 });
    const started = performance.now();
    const spaces = ['-m', '-n', '-p', '-f', '--kill-child', '--propagation', 'private'];
    const order = ['sh', '-euc', START, 'sh', TOOLS, made.stdout.trim(), job];
    const qemu = spawn('sh', ['-euc', FIRST, 'sh', String(seconds), ...spaces, ...order], {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    for (const stream of [qemu.stdout, qemu.stderr])
      stream.on('data', (chunk) => (said += String(chunk)));
    const report = () => text(join(job, 'report'));
    const ticking = setInterval(() => onReport?.(report()), 500);
    const status = await new Promise<number | null>((done, fail) => {
      qemu.once('error', fail);
      qemu.once('close', done);
    });
    clearInterval(ticking);
    onReport?.(report());
    const console = text(join(job, 'console'));
    const late = status === KILLED;
    if (status !== 0)
      throw new Error(
        `${root}: ${late ? `not done after ${seconds} s` : `QEMU ended with ${status}: ${said.trim()}`}; its report and its console end with:\n${tail(report())}\n${tail(console)}`,
      );
    const frames = existsSync(join(job, 'frames'))
      ? readFileSync(join(job, 'frames'))
      : Buffer.alloc(0);
    return { report: report(), console, frames, seconds: (performance.now() - started) / 1000 };
  } finally {
    rmSync(job, { recursive: true, force: true });
  }
}

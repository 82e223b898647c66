import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, statfsSync } from 'node:fs';

const MOUNT = '/sys/fs/cgroup';
/** CGROUP2_SUPER_MAGIC (linux/magic.h). */
const UNIFIED = 0x63677270;
/**
 * The hierarchies that a machine of ours gets where each controller has a hierarchy of its own:
 * systemd's two, and controllers that service units need.
 */
const HIERARCHIES = ['unified', 'systemd'] as const;
const CONTROLLERS = ['pids', 'devices'] as const;

/**
 * One tree of version 2, or version 1 beside it with a hierarchy for each controller, as systemd
 * calls them (systemd(1)).
 */
export type CgroupLayout = 'unified' | 'hybrid';

/** Cgroups of this machine that one private machine has for itself. */
export interface Cgroups {
  readonly layout: CgroupLayout;
  /** Those of version 1; none where there is one tree. */
  readonly controllers: readonly string[];
  /**
   * A folder of each hierarchy, by the hierarchy's name below /sys/fs/cgroup; the name is empty
   * where there is but one.
   */
  readonly folders: Readonly<Record<string, string>>;
  /**
   * Removes what is in them; they themselves stay.
   * @throws Error when something still runs in there.
   */
  clear(): Promise<void>;
  /** Removes them, once nothing runs in them any more. */
  remove(): Promise<void>;
}

function layout(): CgroupLayout {
  return statfsSync(MOUNT).type === UNIFIED ? 'unified' : 'hybrid';
}

/**
 * Not memory: this process may be bounded in a cgroup of that hierarchy, and what is moved
 * elsewhere would not be.
 */
function controllers(): readonly string[] {
  if (layout() === 'unified') return [];
  // Elsewhere it shares a hierarchy with another controller, or this process is bounded there.
  const cpu = /^\d+:cpu:\/$/m.test(readFileSync('/proc/self/cgroup', 'utf8')) ? ['cpu'] : [];
  return [...CONTROLLERS, ...cpu];
}

function hierarchies(): readonly string[] {
  return layout() === 'unified' ? [''] : [...HIERARCHIES, ...controllers()];
}

/** Why no machine can have cgroups of its own here; undefined when one can. */
export function cgroupObstacle(): string | undefined {
  const missing = hierarchies().find((each) => !existsSync(`${MOUNT}/${each}/cgroup.procs`));
  return missing === undefined ? undefined : `there is no cgroup hierarchy ${MOUNT}/${missing}`;
}

function prefixOf(owner: number): string {
  return `ovpn-killswitch-lab-${owner}-`;
}

/** Cgroups that a process has made for machines and that are still there. */
export function cgroupsOf(owner: number): readonly string[] {
  return hierarchies().flatMap((each) =>
    readdirSync(`${MOUNT}/${each}`).filter((name) => name.startsWith(prefixOf(owner))),
  );
}

/**
 * Removes cgroups from the leaves on, again and again until they are gone; a cgroup with a process
 * in it cannot be removed.
 */
const REMOVE = `
depth=$1; shift
for turn in $(seq 500); do
  find "$@" -mindepth $depth -depth -type d -exec rmdir {} + 2>/dev/null
  [ -n "$(find "$@" -mindepth $depth -type d 2>/dev/null)" ] || exit 0
  sleep 0.02
done
exit 1
`;

/** Waits until the maker of the cgroups is gone, however that happened. */
const KEEP = `trap '' HUP INT TERM; while read -r _; do :; done; ${REMOVE}`;

let made = 0;

/**
 * Makes cgroups for one machine. They are removed in any case: a process of its own outlives this
 * one for that.
 */
export function makeCgroups(): Cgroups {
  const name = `${prefixOf(process.pid)}${made++}`;
  const folders = Object.fromEntries(
    hierarchies().map((each) => [each, `${MOUNT}/${each}${each === '' ? '' : '/'}${name}`]),
  );
  const paths = Object.values(folders);
  const keeper = spawn('sh', ['-c', KEEP, 'sh', '0', ...paths], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  const gone = once(keeper, 'exit');
  for (const path of paths) mkdirSync(path);
  return {
    layout: layout(),
    controllers: controllers(),
    folders,
    clear: async () => {
      const [status] = await once(
        spawn('sh', ['-c', REMOVE, 'sh', '1', ...paths], { stdio: 'ignore' }),
        'exit',
      );
      if (status !== 0) throw new Error(`something still runs in ${paths.join(', ')}`);
    },
    remove: async () => {
      keeper.stdin.end();
      const [status] = await gone;
      if (status !== 0) throw new Error(`something still runs in ${paths.join(', ')}`);
    },
  };
}

import { beforeAll, expect, type TestContext, test } from 'vitest';
import { LAN, UPLINK } from '../../src/proof/addresses.ts';
import { bootObstacle } from '../support/booted.ts';
import { initSystemOf } from '../support/init-systems.ts';
import {
  CUT_OFF,
  type Debian,
  NOTHING,
  openScene,
  RENAMED_AWAY,
  type Scene,
  type Seen,
  seenAtBoot,
} from './boot-scene.ts';
import { type Said, saidAtBoot } from './loudness.ts';

const SECONDS = 60;

const OPENRC = 'openrc-networking-12';

const DEBIANS: readonly Debian[] = [
  { root: 'systemd-12', backend: 'iptables' },
  { root: 'systemd-12', backend: 'nftables' },
  { root: 'systemd-13', backend: 'iptables' },
  { root: 'systemd-13', backend: 'nftables' },
  { root: OPENRC, backend: 'iptables', prepare: 'rc-update del netfilter-persistent sysinit' },
  // It starts after the network there, and replaces all rules of iptables by what the owner has
  // saved.
  {
    root: OPENRC,
    backend: 'nftables',
    prepare: `printf '*filter\\n-A OUTPUT -j ACCEPT\\nCOMMIT\\n' | tee /etc/iptables/rules.v4 >/etc/iptables/rules.v6`,
  },
];

const SYSTEMD = ['systemd-12', 'systemd-13'];

const DEPENDENCY = '/etc/systemd/system/dependency.service';

/**
 * The state that the next boot meets on the disk, and whether systemd lets the network come up:
 * shut, or not at all. `either`: what it does while it boots with a service that requires a masked
 * one differs between its versions.
 */
interface Disk {
  readonly disk: string;
  readonly make: string;
  readonly network: 'up' | 'down' | 'either';
  /** Without it the power is cut. */
  readonly how?: 'reboot' | 'powerCut';
  /** Its messages, wherever somebody may look. */
  readonly says?: RegExp;
  /** Where it can be made; without it everywhere. */
  readonly roots?: readonly string[];
}

const DISKS: readonly Disk[] = [
  {
    disk: 'nothing is wrong, and the card asks for addresses by DHCP',
    make: `mkdir /etc/systemd/network/${UPLINK}.network.d
      printf '[Link]\\nRequiredForOnline=no\\n[Network]\\nDHCP=yes\\n' >/etc/systemd/network/${UPLINK}.network.d/dhcp.conf`,
    network: 'up',
    roots: SYSTEMD,
  },
  {
    disk: 'nothing is wrong, and it is shut down in order',
    make: '',
    network: 'up',
    how: 'reboot',
    roots: SYSTEMD,
  },
  { disk: 'nothing is wrong', make: '', network: 'up', roots: [OPENRC] },
  {
    disk: 'the base is cut off',
    make: CUT_OFF,
    network: 'up',
    says: /base rules could not be loaded \(.* damaged\)\. EVERYTHING is dropped/,
  },
  {
    disk: 'nft and every iptables are renamed away',
    make: RENAMED_AWAY,
    network: 'down',
    says: /no rules could be loaded \(.*\), so the network is off/,
  },
  {
    disk: 'the unit is masked, and the early one has loaded the base',
    make: 'ln -sf /dev/null /etc/systemd/system/ovpn-killswitch.service',
    network: 'either',
    roots: SYSTEMD,
  },
  {
    disk: 'something that the unit was made to require fails',
    make: `printf '[Service]\\nType=oneshot\\nExecStart=/bin/false\\n' >${DEPENDENCY}
      mkdir /etc/systemd/system/ovpn-killswitch.service.d
      printf '[Unit]\\nRequires=dependency.service\\nAfter=dependency.service\\n' >/etc/systemd/system/ovpn-killswitch.service.d/more.conf`,
    network: 'down',
    roots: SYSTEMD,
  },
  {
    disk: '/usr cannot be written',
    make: `cat >/etc/systemd/system/usr-ro.service <<'END'
[Unit]
DefaultDependencies=no
Before=local-fs.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'mount --bind /usr /usr && mount -o remount,bind,ro /usr'
END
      mkdir -p /etc/systemd/system/local-fs.target.wants; ln -s ../usr-ro.service /etc/systemd/system/local-fs.target.wants/`,
    network: 'up',
    roots: SYSTEMD,
  },
];

/** One machine: its system, and its disk. */
interface Cell extends Disk {
  readonly debian: Debian;
}

const CELLS: readonly Cell[] = DEBIANS.flatMap((debian) =>
  DISKS.filter(({ roots = [debian.root] }) => roots.includes(debian.root)).map((disk) => ({
    ...disk,
    debian,
  })),
);

interface Story {
  readonly seen: Seen;
  /** Whether the card had its address after the minute. */
  readonly up: boolean;
  /** The places of messages. */
  readonly said: Said | undefined;
}

async function storyOf(
  scene: Scene,
  { make, how = 'powerCut', says, debian }: Cell,
): Promise<Story> {
  const { machine } = scene;
  try {
    await machine.sh(make);
    const seen = await seenAtBoot(scene, machine[how], SECONDS);
    const up = (await machine.sh(`ip -br address show dev ${UPLINK}`)).includes(LAN.client4);
    return { seen, up, said: says && (await saidAtBoot(scene, debian)) };
  } finally {
    await machine.close();
  }
}

const stories = new Map<Cell, Promise<Story>>();

/**
 * One machine of each system at a time: more of them keep two processors from booting any in time.
 * A systemd also takes six instances of inotify, and all of root on this kernel together have 128
 * (fs.inotify.max_user_instances).
 */
beforeAll(() => {
  for (const debian of DEBIANS) {
    if (bootObstacle(debian) !== undefined) continue;
    let former: Promise<unknown> = Promise.resolve();
    for (const cell of CELLS.filter((each) => each.debian === debian)) {
      const story = former.then(() => openScene(debian)).then((it) => storyOf(it, cell));
      // Its own test says why it failed.
      former = story.catch(() => undefined);
      stories.set(cell, story);
    }
  }
});

const IGMP = 'ipv4 protocol 2 to 224.0.0.22';

/**
 * Where nothing can load a rule and OpenRC holds no manager back, routes are prohibited; what goes
 * to the link's own groups asks for none.
 */
const mayLeave = ({ debian, network }: Cell) =>
  debian.root === OPENRC && network === 'down' ? [IGMP] : [];

const networkOf = ({ debian, network }: Cell) => (debian.root === OPENRC ? 'up' : network);

const storyIn = async (cell: Cell, context: TestContext): Promise<Story> => {
  const obstacle = bootObstacle(cell.debian);
  if (obstacle !== undefined) context.skip(obstacle);
  const story = await stories.get(cell);
  if (story === undefined) throw new Error('the machine was not booted');
  return story;
};

test.for(CELLS)(
  '$debian.root with $debian.backend: from before power-on until a minute after, nothing leaves when $disk',
  async (cell, context) => {
    const { seen, up } = await storyIn(cell, context);
    process.stdout.write(`${cell.debian.root}, ${cell.disk}: ${JSON.stringify(seen.neighbours)}\n`);
    expect({
      ...seen,
      clear: seen.clear.filter((name) => !mayLeave(cell).includes(name)),
    }).toMatchObject(NOTHING);
    if (networkOf(cell) !== 'either') expect(up).toBe(networkOf(cell) === 'up');
    if (up) expect(seen.neighbours['ARP']).toBeGreaterThan(0);
    if (cell.disk.includes('DHCP')) expect(seen.neighbours['DHCP']).toBeGreaterThan(0);
  },
);

test.for(CELLS.filter(({ says }) => says !== undefined))(
  '$debian.root with $debian.backend: journal, kernel log, login and status say what is wrong when $disk',
  async (cell, context) => {
    const { says = /^$/ } = cell;
    const { said } = await storyIn(cell, context);
    const { journal } = initSystemOf(cell.debian.root);
    expect(Object.keys(said ?? {})).toEqual([
      ...(journal === undefined ? [] : ['journal']),
      'kernelLog',
      'login',
      'status',
    ]);
    for (const [where, text] of Object.entries(said ?? {})) {
      // A terminal may break its lines anywhere.
      const whole = text.replace(/\s+/g, ' ');
      expect.soft(whole, where).toMatch(says);
      expect.soft(whole, where).toMatch(/To fix: .*sudo ovpn-killswitch lock/);
    }
  },
);

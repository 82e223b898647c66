import { afterAll, beforeAll, expect, test } from 'vitest';
import { LAN, UPLINK } from '../../src/proof/addresses.ts';
import { bootObstacle } from '../support/booted.ts';
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

/** boot-minute watches a minute, with the managers that most of its machines have. */
const SECONDS = 15;

/** Machines whose card NetworkManager brings up, or ifupdown under systemd. */
const DEBIANS: readonly Debian[] = [
  { root: 'networkmanager-12', backend: 'iptables' },
  { root: 'networkmanager-13', backend: 'nftables' },
  { root: 'ifupdown-12', backend: 'nftables' },
];

/**
 * The state that the next boot meets on the disk, and whether the network comes up: shut, or not at
 * all.
 */
interface Disk {
  readonly disk: string;
  readonly make: string;
  readonly network: 'up' | 'down';
}

/** Each is made of the one before, once that was locked again. */
const DISKS: readonly Disk[] = [
  { disk: 'nothing is wrong', make: '', network: 'up' },
  { disk: 'the base is cut off', make: CUT_OFF, network: 'up' },
  { disk: 'nft and every iptables are renamed away', make: RENAMED_AWAY, network: 'down' },
];

interface Story {
  readonly seen: Seen;
  /** Whether the card had its address in the end. */
  readonly up: boolean;
}

async function storyOf({ machine, product }: Scene, { make }: Disk): Promise<Story> {
  await product.must('lock');
  await machine.sh(make);
  const seen = await seenAtBoot({ machine }, machine.powerCut, SECONDS);
  return {
    seen,
    up: (await machine.sh(`ip -br address show dev ${UPLINK}`)).includes(LAN.client4),
  };
}

const stories = new Map<string, Promise<Story>>();
const ends: Promise<unknown>[] = [];
const key = ({ root }: Debian, { disk }: Disk) => `${root}: ${disk}`;

/** Three machines, side by side; each meets its disks one after the other. */
beforeAll(() => {
  for (const debian of DEBIANS) {
    if (bootObstacle(debian) !== undefined) continue;
    const scene = openScene(debian);
    let last: Promise<unknown> = scene;
    for (const disk of DISKS) {
      const story = last.then(async () => storyOf(await scene, disk));
      // Its own test says why it failed.
      last = story.catch(() => undefined);
      stories.set(key(debian, disk), story);
    }
    ends.push(last.then(async () => (await scene).machine.close()).catch(() => undefined));
  }
});
afterAll(() => Promise.all(ends));

test.for(DEBIANS.flatMap((debian) => DISKS.map((disk) => ({ ...debian, ...disk }))))(
  `$root with $backend: from before power-on until ${SECONDS} seconds after, nothing leaves when $disk`,
  async (cell, context) => {
    const obstacle = bootObstacle(cell);
    if (obstacle !== undefined) context.skip(obstacle);
    const story = await stories.get(key(cell, cell));
    if (story === undefined) throw new Error('the machine was not booted');
    const { seen, up } = story;
    process.stdout.write(`${cell.root}, ${cell.disk}: ${JSON.stringify(seen.neighbours)}\n`);
    expect(seen).toMatchObject(NOTHING);
    expect(up).toBe(cell.network === 'up');
    if (up) expect(seen.neighbours['ARP']).toBeGreaterThan(0);
    else expect(seen.neighbours).toEqual({});
  },
);

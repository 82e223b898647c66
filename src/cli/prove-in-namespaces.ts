import { KillswitchError } from '../errors.ts';
import { ownFolder } from '../host/program-files.ts';
import { printable } from '../net/printable.ts';
import type { BackendName } from '../policy/settings.ts';
import { missingRequirements, provableBackends } from '../proof/missing-requirements.ts';
import {
  clearOf,
  doubtsOf,
  leaksOf,
  type Played,
  playStories,
  triedOf,
  vpnOf,
} from '../proof/play-stories.ts';
import { ACTS, type Chapter, THINGS } from '../proof/story.ts';
import { number } from '../proof/timeline.ts';
import { withWorlds } from '../proof/worlds.ts';
import type { PictureLine } from '../view/picture.ts';
import type { Context } from './command.ts';
import { drawn } from './screen.ts';

const INTRODUCTION =
  'A client with its LAN and router, and an internet with a real OpenVPN server, in network namespaces of their own. Before the lock every kind of probe is seen at the router; from then on none must be, whatever fails.';
const COLUMN = 20;

function cell({ tally, tried, worked }: Chapter): string {
  return `${number(tally.clear)} of ${number(tried)}${worked === undefined ? '' : `, ${worked}/${THINGS}`}`.padEnd(
    COLUMN,
  );
}

function line(start: string, title: string, cells: readonly string[]): string {
  return `${start.padStart(6)}  ${title.padEnd(28)}${cells.join('')}`.trimEnd();
}

/** Renders the result in lines; the last says how much left. */
export function conclusion(
  played: readonly Played[],
  backends: readonly BackendName[],
): { readonly lines: readonly PictureLine[]; readonly proven: boolean } {
  const total = (of: (each: Played) => number) => played.reduce((sum, each) => sum + of(each), 0);
  const eachOf = (of: (each: Played) => readonly string[]) =>
    played.flatMap((each, index) => of(each).map((text) => `${backends[index]}: ${text}`));
  const [clear, tried] = [total(clearOf), total(triedOf)];
  const doubts = eachOf(doubtsOf);
  const proven = clear === 0 && doubts.length === 0;
  const kinds = Math.max(...played.map(({ end }) => end.kinds));
  const missing = new Set(played.flatMap(({ end }) => end.missing ?? []));
  return {
    proven,
    lines: [
      {
        tone: 'plain',
        text: `Before the lock each of ${kinds} kinds of probes was seen; since then ${number(total(vpnOf))} packets of the VPN itself.`,
      },
      ...[...missing].map((text): PictureLine => ({ tone: 'warning', text: `Not sent: ${text}.` })),
      ...eachOf(leaksOf).map((text): PictureLine => ({ tone: 'bad', text })),
      ...doubts.map((text): PictureLine => ({ tone: 'bad', text: `Not proven: ${text}.` })),
      {
        tone: proven ? 'good' : 'bad',
        // One probe may be several packets: only zero is a valid share of the probes.
        text:
          clear === 0
            ? `0 of ${number(tried)} probes left in clear`
            : `${number(clear)} packets left in clear, of ${number(tried)} probes`,
      },
    ],
  };
}

/**
 * Plays every fault with each installed backend, side by side, and says which packets left in
 * clear.
 * @returns whether none did, and the proof is valid.
 * @throws KillswitchError NO_PROOF when it cannot be played here.
 */
export async function proveInNamespaces(context: Context): Promise<boolean> {
  const { print, draw, progress, screen } = context;
  const why = missingRequirements();
  if (why !== undefined)
    throw new KillswitchError(
      'NO_PROOF',
      'nothing can be proven on this machine',
      'Fix the problem that the line above names, or run it as root.',
      [why],
    );
  const backends = provableBackends();
  print(INTRODUCTION);
  if (backends.length === 1) print(`Only with ${backends[0]}: the other backend is not installed.`);
  print('');
  print(
    line(
      '',
      'in clear, of probes sent',
      backends.map((each) => each.padEnd(COLUMN)),
    ),
  );
  progress('building the small internet, and seeing every probe leave');
  let rows = 0;
  try {
    const played = await withWorlds((onWorld) =>
      playStories(
        backends.map((each) => ({
          dist: ownFolder(),
          acts: ACTS,
          settings: `KILLSWITCH_BACKEND=${each}\n`,
          onWorld,
        })),
        (chapters) => {
          const [{ title } = { title: '' }] = chapters;
          const at = Math.max(...chapters.map((each) => each.at));
          print(line(`${at.toFixed(0)} s`, title, chapters.map(cell)));
          progress(ACTS[++rows]?.title ?? 'looking at the rules');
        },
      ),
    );
    progress('');
    print('');
    const { lines, proven } = conclusion(played, backends);
    for (const each of lines) for (const part of drawn(each, screen)) draw(part);
    return proven;
  } catch (thrown) {
    if (thrown instanceof KillswitchError) throw thrown;
    throw new KillswitchError(
      'NO_PROOF',
      'the proof was not completed, so nothing is proven',
      'Run it again; on a busy machine it may have been too slow.',
      (thrown instanceof Error ? thrown.message : String(thrown)).split('\n').map(printable),
      { cause: thrown },
    );
  }
}

import { type Chapter, playStory, type StoryEnd, type StoryOptions, THINGS } from './story.ts';
import { number } from './timeline.ts';

/** A story that was played to its end. */
export interface Played {
  readonly chapters: readonly Chapter[];
  readonly end: StoryEnd;
}

/**
 * Plays stories at the same time. Calls `onRow` with a chapter of each story, in the order of the
 * stories, as soon as the slowest has it.
 */
export function playStories(
  stories: readonly Omit<StoryOptions, 'onChapter'>[],
  onRow: (chapters: readonly Chapter[]) => void,
): Promise<readonly Played[]> {
  const played = stories.map((): Chapter[] => []);
  let rows = 0;
  const tell = () => {
    for (;;) {
      const row = played.flatMap((chapters) => chapters[rows] ?? []);
      if (row.length < stories.length) return;
      rows++;
      onRow(row);
    }
  };
  return Promise.all(
    stories.map(async (story, index) => {
      const chapters = played[index] ?? [];
      const onChapter = (chapter: Chapter) => {
        chapters.push(chapter);
        tell();
      };
      return { chapters, end: await playStory({ ...story, onChapter }) };
    }),
  );
}

function sum({ chapters }: Played, of: (chapter: Chapter) => number): number {
  return chapters.reduce((total, chapter) => total + of(chapter), 0);
}

export function clearOf(played: Played): number {
  return sum(played, ({ tally }) => tally.clear);
}

export function vpnOf(played: Played): number {
  return sum(played, ({ tally }) => tally.vpn);
}

export function triedOf(played: Played): number {
  return sum(played, ({ tried }) => tried);
}

/** Tells why the count of a capture is worth nothing; empty when it is sound. */
export function lossesOf({ end }: Played): readonly string[] {
  return end.lost > 0 ? [`tcpdump lost ${number(end.lost)} packets`] : [];
}

/** Tells what makes the count of a story with the switch worth nothing; empty when it is sound. */
export function doubtsOf(guarded: Played): readonly string[] {
  return [
    ...lossesOf(guarded),
    ...(vpnOf(guarded) === 0 ? ['no packet of the VPN was seen'] : []),
    ...(guarded.chapters.some(({ worked }) => worked !== undefined && worked < THINGS)
      ? ['not everything worked through the tunnel']
      : []),
  ];
}

/** Lists the packets that left in clear, by chapter and kind, one line each. */
export function leaksOf({ chapters }: Played): readonly string[] {
  return chapters.flatMap(({ title, tally }) =>
    Object.entries(tally.byName).map(([name, count]) => `${title}: ${name}: ${number(count)}`),
  );
}

import { ownFolder } from '../host/program-files.ts';
import { proofObstacle } from './obstacle.ts';
import { type Chapter, playStory, type StoryEnd, THINGS } from './story.ts';
import { heading, ink, number, row, type Style, wrap } from './timeline.ts';
import type { World } from './world.ts';

const INTRODUCTION = `Two private networks on this machine, each a client with its LAN and router, and an internet with a real OpenVPN server. The same programs send all the time; tcpdump at the router counts the packets that leave the client in clear. The bar is their share of what was sent; 6/6: web, UDP and DNS work, over IPv4 and IPv6.`;

/** Signals that end a program from a terminal, and the exit statuses a shell knows them by. */
const ENDINGS = [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const;

function print(line = ''): void {
  process.stdout.write(`${line}\n`);
}

interface Played {
  readonly chapters: readonly Chapter[];
  readonly end: StoryEnd;
}

/** Plays both stories at the same time, and a line for each chapter as soon as both have it. */
async function playBoth(dist: string, style: Style, onWorld: (world: World) => void): Promise<readonly [Played, Played]> {
  const chapters: readonly [Chapter[], Chapter[]] = [[], []];
  let printed = 0;
  const play = async (own: Chapter[], withSwitch: boolean): Promise<Played> => {
    const onChapter = (chapter: Chapter) => {
      own.push(chapter);
      for (;;) {
        const [without, guarded] = [chapters[0][printed], chapters[1][printed]];
        if (without === undefined || guarded === undefined) return;
        print(row(without, guarded, THINGS, style));
        printed++;
      }
    };
    return { end: await playStory({ dist, withSwitch, onWorld, onChapter }), chapters: own };
  };
  return Promise.all([play(chapters[0], false), play(chapters[1], true)]);
}

function sum({ chapters }: Played, of: (chapter: Chapter) => number): number {
  return chapters.reduce((total, chapter) => total + of(chapter), 0);
}

/** What the packets in clear were; the first that fits counts. */
const KINDS: readonly { readonly kind: string; readonly of: (name: string) => boolean }[] = [
  { kind: "of DNS (even while connected: the router's resolver)", of: (name) => name.includes('dns') },
  { kind: 'to the web', of: (name) => name.startsWith('web') },
  { kind: 'to the VPN server beside the VPN', of: (name) => name.startsWith('endpoint') },
];

function countOf(played: Played, of: (name: string) => boolean): number {
  return sum(played, ({ tally }) => Object.entries(tally.byName).reduce((total, [name, count]) => (of(name) ? total + count : total), 0));
}

/** What makes the count worthless, if anything. */
function doubts([without, guarded]: readonly [Played, Played]): readonly string[] {
  return [
    ...[without, guarded].filter(({ end }) => end.lost > 0).map(({ end }) => `tcpdump lost ${number(end.lost)} packets`),
    ...(sum(guarded, ({ tally }) => tally.vpn) === 0 ? ['with the switch, no packet of the VPN was seen'] : []),
    ...(guarded.chapters.some(({ worked }) => worked !== undefined && worked < THINGS)
      ? ['with the switch, not everything worked through the tunnel']
      : []),
  ];
}

function conclude(both: readonly [Played, Played], style: Style): number {
  const [without, guarded] = both;
  const clear = { without: sum(without, ({ tally }) => tally.clear), guarded: sum(guarded, ({ tally }) => tally.clear) };
  print();
  const sent = both.map((played) => number(sum(played, ({ tried }) => tried)));
  const vpn = both.map((played) => number(sum(played, ({ tally }) => tally.vpn)));
  print(wrap(`Sent: ${sent.join(' and ')} probes. Seen of the VPN itself: ${vpn.join(' and ')} packets.`));
  print(wrap(`In clear without the switch: ${KINDS.map(({ kind, of }) => `${number(countOf(without, of))} ${kind}`).join(', ')}.`));
  print(`"ovpn-killswitch status" at the end: ${guarded.end.status ?? 'nothing'}`);
  if (guarded.end.missing !== undefined) print(wrap(`Not shown: ${guarded.end.missing}.`));
  for (const doubt of doubts(both)) print(ink(`Not proven: ${doubt}.`, 'red', style));
  if (clear.guarded > 0)
    for (const { title, tally } of guarded.chapters)
      for (const [name, count] of Object.entries(tally.byName)) print(ink(`  ${title}: ${name}: ${count}`, 'red', style));
  const proven = clear.without > 0 && clear.guarded === 0 && doubts(both).length === 0;
  print();
  print(ink(`without: ${number(clear.without)} packets in clear; with: ${number(clear.guarded)}`, proven ? 'green' : 'red', style));
  return proven ? 0 : 1;
}

async function main(): Promise<number> {
  const style: Style = { colour: process.stdout.isTTY === true && !process.env['NO_COLOR'] };
  const why = proofObstacle();
  if (why !== undefined) {
    process.stderr.write(`demo: ${why}\n`);
    return 1;
  }
  const worlds: World[] = [];
  let interrupted: number | undefined;
  const close = () => {
    for (const world of worlds) world.close();
  };
  const add = (world: World) => {
    worlds.push(world);
    if (interrupted !== undefined) world.close();
  };
  for (const [signal, status] of ENDINGS)
    process.on(signal, () => {
      interrupted = status;
      close();
      // The stories end by themselves when their worlds are gone; nobody has to wait for one that does not.
      setTimeout(() => process.exit(status), 3000).unref();
    });
  print(wrap(INTRODUCTION));
  print();
  for (const line of heading(style)) print(line);
  try {
    return conclude(await playBoth(ownFolder(), style, add), style);
  } catch (thrown) {
    if (interrupted !== undefined) return interrupted;
    process.stderr.write(`demo: ${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
    return 1;
  } finally {
    close();
  }
}

main().then((status) => {
  process.exitCode = status;
});

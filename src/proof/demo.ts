import { ownFolder } from '../host/program-files.ts';
import { missingRequirements } from './missing-requirements.ts';
import {
  clearOf,
  doubtsOf,
  leaksOf,
  lossesOf,
  type Played,
  playStories,
  triedOf,
  vpnOf,
} from './play-stories.ts';
import { DEMO_ACTS } from './story.ts';
import { heading, ink, number, row, type Style, wrap } from './timeline.ts';
import { withWorlds } from './worlds.ts';

const INTRODUCTION = `Two private networks on this machine, each a client with its LAN and router, and an internet with a real OpenVPN server. The same programs send all the time; tcpdump at the router counts the packets that leave the client in clear. The bar is their share of what was sent; 6/6: web, UDP and DNS work, over IPv4 and IPv6.`;

function print(line = ''): void {
  process.stdout.write(`${line}\n`);
}

/** The kinds of packets in clear; the first that fits counts. */
const KINDS: readonly { readonly kind: string; readonly of: (name: string) => boolean }[] = [
  {
    kind: "of DNS (even while connected: the router's resolver)",
    of: (name) => name.includes('dns'),
  },
  { kind: 'to the web', of: (name) => name.startsWith('web') },
  { kind: 'to the VPN server beside the VPN', of: (name) => name.startsWith('endpoint') },
];

function countOf(played: Played, of: (name: string) => boolean): number {
  const counts = played.chapters.flatMap(({ tally }) => Object.entries(tally.byName));
  return counts.reduce((total, [name, count]) => (of(name) ? total + count : total), 0);
}

function conclude(without: Played, guarded: Played, style: Style): number {
  const both = [without, guarded];
  const doubts = [
    ...lossesOf(without),
    ...doubtsOf(guarded).map((doubt) => `with the switch, ${doubt}`),
  ];
  print();
  const sent = both.map((played) => number(triedOf(played)));
  const vpn = both.map((played) => number(vpnOf(played)));
  print(
    wrap(
      `Sent: ${sent.join(' and ')} probes. Seen of the VPN itself: ${vpn.join(' and ')} packets.`,
    ),
  );
  print(
    wrap(
      `In clear without the switch: ${KINDS.map(({ kind, of }) => `${number(countOf(without, of))} ${kind}`).join(', ')}.`,
    ),
  );
  print(`"ovpn-killswitch status" at the end: ${guarded.end.status ?? 'nothing'}`);
  if (guarded.end.missing !== undefined) print(wrap(`Not shown: ${guarded.end.missing}.`));
  for (const doubt of doubts) print(ink(`Not proven: ${doubt}.`, 'red', style));
  for (const leak of leaksOf(guarded)) print(ink(`  ${leak}`, 'red', style));
  const proven = clearOf(without) > 0 && clearOf(guarded) === 0 && doubts.length === 0;
  print();
  print(
    ink(
      `without: ${number(clearOf(without))} packets in clear; with: ${number(clearOf(guarded))}`,
      proven ? 'green' : 'red',
      style,
    ),
  );
  return proven ? 0 : 1;
}

async function main(): Promise<number> {
  const style: Style = { colour: process.stdout.isTTY === true && !process.env['NO_COLOR'] };
  const why = missingRequirements();
  if (why !== undefined) {
    process.stderr.write(`demo: ${why}\n`);
    return 1;
  }
  print(wrap(INTRODUCTION));
  print();
  for (const line of heading(style)) print(line);
  try {
    const [without, guarded] = await withWorlds((onWorld) => {
      const story = { dist: ownFolder(), acts: DEMO_ACTS, onWorld };
      return playStories(
        [
          { ...story, settings: undefined },
          { ...story, settings: '' },
        ],
        ([left, right]) => {
          if (left !== undefined && right !== undefined) print(row(left, right, style));
        },
      );
    });
    if (without === undefined || guarded === undefined) throw new Error('a story has no end');
    return conclude(without, guarded, style);
  } catch (thrown) {
    process.stderr.write(`demo: ${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
    return 1;
  }
}

main().then((status) => {
  process.exitCode = status;
});

import { setTimeout } from 'node:timers/promises';
import { readBoot } from '../boot/boot-report.ts';
import { EXIT, type ExitStatus, KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { LOCK_RECORD } from '../record/lock-record.ts';
import { picture, shortText } from '../view/picture.ts';
import { statusJson } from '../view/status-json.ts';
import { statusMetrics } from '../view/status-metrics.ts';
import { readView, type View } from '../view/view.ts';
import type { CliCommand, Context, Flags } from './command.ts';
import { misused, parseArguments } from './parse-arguments.ts';
import { drawn } from './screen.ts';

const REDRAW_MILLISECONDS = 2_000;
/** Cursor home, then erase to the end (ECMA-48 CUP, ED): less flicker than erasing first. */
const HOME = '\x1b[H';
const ERASE_BELOW = '\x1b[J';
const ERASE_LINE_END = '\x1b[K';

function exitOf({ report: { state, exact }, refused }: View): ExitStatus {
  if (state === 'unlocked') return EXIT.failed;
  // Hooks and the boot would act as if the machine had never been locked.
  return exact && refused.every(({ path }) => path !== LOCK_RECORD) ? EXIT.ok : EXIT.degraded;
}

/**
 * Reads the view. Without a tool that loads rules there is none, but the boot has shut the network
 * for that very reason: adds that to the error.
 */
function readViewOrSay(host: Host): View {
  try {
    return readView(host);
  } catch (cause) {
    if (
      !(cause instanceof KillswitchError) ||
      (cause.code !== 'NO_BACKEND' && cause.code !== 'NO_IPV6_BACKEND')
    )
      throw cause;
    const { code, message, next, detail } = cause;
    throw new KillswitchError(
      code,
      message,
      next,
      [...detail, ...readBoot(host).problems.map((each) => `at boot: ${each}`)],
      { cause },
    );
  }
}

function drawnPicture(view: View, { screen }: Context): readonly string[] {
  return [...picture(view)].flatMap((line) => drawn(line, screen));
}

/**
 * Redraws until it is interrupted, or the reader of stdout has gone. In a pipe an empty line
 * separates the pictures.
 */
async function watch(context: Context): Promise<ExitStatus> {
  const { host, draw, screen } = context;
  for (;;) {
    const view = readViewOrSay(host);
    const lines = drawnPicture(view, context);
    if (screen.columns === undefined) for (const line of [...lines, '']) draw(line);
    else
      draw(`${HOME}${lines.map((line) => `${line}${ERASE_LINE_END}`).join('\n')}\n${ERASE_BELOW}`);
    await setTimeout(REDRAW_MILLISECONDS);
    if (context.nobodyReads()) return exitOf(view);
  }
}

const FLAGS = {
  json: { type: 'boolean', what: 'for programs' },
  prometheus: {
    type: 'boolean',
    what: "metrics for the textfile collector of Prometheus' node_exporter",
  },
  short: { type: 'boolean', what: 'the state and its tunnels in one line' },
  watch: { type: 'boolean', what: 'show it again every two seconds' },
} as const satisfies Flags;

export const status: CliCommand = {
  name: 'status',
  usage: 'status [--json | --prometheus | --short | --watch]',
  group: 'daily',
  brief: 'compare the kernel with the expected rules',
  summary:
    'Compare the kernel with the expected rules: exit 0 locked and exact, 1 not locked, 2 locked but different, or not known.',
  flags: FLAGS,
  words: [],
  exits: [
    [EXIT.ok, 'locked, and exactly as it should be'],
    [EXIT.failed, 'not locked'],
    [EXIT.degraded, 'locked, but not as it should be, or not known'],
  ],
  examples: [
    ['status', 'the state, for people'],
    ['status --watch', 'the same every two seconds, until Ctrl-C'],
    ['status --json', 'the same for programs'],
    ['status --short', 'the state and its tunnels in one line, for a status bar'],
    ['status --prometheus', "metrics, for the textfile collector of Prometheus' node_exporter"],
  ],
  needsRoot: 'account',
  endless: (args) => args.includes('--watch'),
  run: (context) => {
    const { host, args, printExactly, draw } = context;
    const { values } = parseArguments(status, args, FLAGS);
    if (Object.keys(values).length > 1)
      throw misused(status, 'status takes one of --json, --prometheus, --short and --watch');
    if (values.watch === true) return watch(context);
    const view = readViewOrSay(host);
    if (values.json === true) printExactly(statusJson(view));
    else if (values.prometheus === true) printExactly(statusMetrics(view));
    else if (values.short === true) printExactly(shortText(view));
    else for (const line of drawnPicture(view, context)) draw(line);
    return exitOf(view);
  },
};

import {
  asKillswitchError,
  EXIT,
  type ExitStatus,
  explainError,
  KillswitchError,
} from '../errors.ts';
import { TERMINAL } from '../host/ask-terminal.ts';
import { callersEnvironment } from '../host/callers-environment.ts';
import type { Host } from '../host/host.ts';
import { linuxHost } from '../host/linux.ts';
import { NO_PROGRESS_LINE, progressLine } from '../host/progress-line.ts';
import { stateNow } from '../machine/kernel-state.ts';
import { shellWord } from '../net/shell-word.ts';
import { visibleLine, visibleText } from '../net/visible.ts';
import { type Answering, beginAnswer, NO_REPORT, NOBODY } from './answer.ts';
import { attach } from './attach.ts';
import { boot } from './boot.ts';
import type { CliCommand } from './command.ts';
import { completion } from './completion.ts';
import { confirm } from './confirm.ts';
import { detach } from './detach.ts';
import { doctor } from './doctor.ts';
import { due } from './due.ts';
import { explain } from './explain.ts';
import { commandHelp, type HelpLine, programHelp } from './help.ts';
import { install } from './install.ts';
import { asksForJson } from './json-flag.ts';
import { lock } from './lock.ts';
import { didYouMean } from './nearest.ts';
import { ownCommand, runningCommand, withOwnCommand } from './own-command.ts';
import { portal } from './portal.ts';
import { prove } from './prove.ts';
import { recover } from './recover.ts';
import { refresh } from './refresh.ts';
import { render } from './render.ts';
import { say } from './say.ts';
import { fitted, type Screen, screenOf } from './screen.ts';
import { status } from './status.ts';
import { uninstall } from './uninstall.ts';
import { unlock } from './unlock.ts';
import { VERSION } from './version.ts';
import { watch } from './watch.ts';

/** Every command, in the order a new user needs them. */
export const COMMANDS: readonly CliCommand[] = [
  install,
  attach,
  lock,
  confirm,
  boot,
  watch,
  status,
  portal,
  unlock,
  refresh,
  explain,
  doctor,
  prove,
  render,
  recover,
  detach,
  due,
  completion,
  uninstall,
];

/** The deadline of a command. */
const COMMAND_MILLISECONDS = 90_000;

function printExactly(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Prints an answer as JSON, where there is one: the only text on stdout then. */
function printAnswer(text: string | undefined): void {
  if (text !== undefined) printExactly(text);
}

function stdoutScreen(): Screen {
  return screenOf(process.stdout, process.env['NO_COLOR']);
}

function print(line: string, indent?: number): void {
  for (const each of fitted(line, stdoutScreen(), indent)) printExactly(each);
}

function printHelp(lines: readonly HelpLine[]): void {
  for (const { text, indent } of lines) print(text, indent);
}

/**
 * Returns the way for root to call a command of this program. `install` always installs this very
 * copy.
 */
function ownName(command: string): string {
  return command === 'install' ? runningCommand() : ownCommand();
}

/** Returns a text with commands that work here. */
function callable(text: string): string {
  return withOwnCommand(
    text,
    COMMANDS.map(({ name }) => name),
  );
}

/** How far a call has come, for the report of its error. */
interface Begun {
  /** The host of a command that needs root, once it has it. */
  host?: Host;
  /** The answer of a call with `--json`. */
  answer?: Answering;
}

/** Runs a command. */
async function run(
  argv: readonly string[],
  nobodyReads: () => boolean,
  begun: Begun,
): Promise<ExitStatus> {
  const [name, ...args] = argv;
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    printHelp(programHelp(COMMANDS));
    return name === undefined ? EXIT.usage : EXIT.ok;
  }
  if (name === '--version' || name === '-V') {
    print(`ovpn-killswitch ${VERSION}`);
    return EXIT.ok;
  }
  const names = COMMANDS.map((each) => each.name);
  const command = COMMANDS.find((each) => each.name === name);
  if (command === undefined)
    throw new KillswitchError(
      'USAGE',
      `there is no command "${name}"${didYouMean(name, names)}`,
      'Run "ovpn-killswitch help": it lists the commands.',
    );
  if (args.includes('--help') || args.includes('-h')) {
    printHelp(commandHelp(command));
    return EXIT.ok;
  }
  ownCommand();
  const milliseconds =
    command.endless?.(args) === true ? Number.POSITIVE_INFINITY : COMMAND_MILLISECONDS;
  const isJson = asksForJson(command, args);
  const { columns } = screenOf(process.stderr, undefined);
  // On a terminal both streams are one, and a program reads it whole.
  const line = columns === undefined || isJson ? NO_PROGRESS_LINE : progressLine(columns);
  const warn = (warning: string) => {
    begun.answer?.warning(visibleLine(warning));
    line.beside(() => say(warning));
  };
  const real = linuxHost({ name, milliseconds, shown: 'warn', say: warn });
  const answer = isJson ? beginAnswer(name, real, callable) : undefined;
  if (answer !== undefined) begun.answer = answer;
  const host = answer?.host ?? real;
  if (
    command.needsRoot !== false &&
    !host.mayChangeRules() &&
    (command.needsRoot === true || host.uid() !== 0)
  )
    throw new KillswitchError(
      'NOT_ROOT',
      `"${name}" needs root`,
      `Run it as root: sudo ${ownName(name)} ${argv.map(shellWord).join(' ')}`,
    );
  if (command.needsRoot !== false) begun.host = real;
  try {
    const exit = await command.run({
      host,
      env: callersEnvironment(),
      args,
      print: (text) =>
        answer === undefined
          ? line.instead(() => print(visibleLine(callable(text))))
          : answer.message(callable(text)),
      printExactly: (text) =>
        answer === undefined
          ? line.instead(() => printExactly(visibleText(text)))
          : answer.message(text),
      draw: (text) => line.instead(() => printExactly(callable(text))),
      progress: line.show,
      ask: answer === undefined ? TERMINAL : NOBODY,
      report: answer?.report ?? NO_REPORT,
      commands: COMMANDS,
      screen: stdoutScreen(),
      nobodyReads,
    });
    line.instead(() => printAnswer(answer?.text(exit)));
    return exit;
  } finally {
    line.instead(() => undefined);
  }
}

/** Runs the program `ovpn-killswitch`, and returns its exit status. */
export async function main(argv: readonly string[]): Promise<ExitStatus> {
  let gone = false;
  const begun: Begun = {};
  // A reader that has seen enough, such as head(1), is no failure: keep the command's own exit
  // status.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    gone = true;
  });
  process.stderr.on('error', () => undefined);
  try {
    return await run(argv, () => gone, begun);
  } catch (thrown) {
    const error = asKillswitchError(thrown);
    for (const line of explainError(error, begun.host && stateNow(begun.host, error)))
      say(`ovpn-killswitch: ${callable(line)}`);
    printAnswer(begun.answer?.text(error.exit, error));
    return error.exit;
  }
}

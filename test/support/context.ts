import { NO_REPORT } from '../../src/cli/answer.ts';
import type { CliCommand, Context } from '../../src/cli/command.ts';
import type { FakeHost } from './fake-host.ts';

/** A command's context on a machine in memory, in a pipe; what it prints is added to `lines`. */
export function contextOf(host: FakeHost, args: readonly string[], lines: string[] = []): Context {
  const print = (line: string) => {
    lines.push(line);
  };
  return {
    host,
    env: {},
    args,
    print,
    printExactly: print,
    draw: print,
    progress: () => undefined,
    ask: { isThere: () => false, question: async () => '' },
    commands: [],
    screen: { columns: undefined, colour: false },
    report: NO_REPORT,
    nobodyReads: () => false,
  };
}

/** The output of a command that ends at once. */
export function linesOf(
  command: CliCommand,
  host: FakeHost,
  ...args: readonly string[]
): readonly string[] {
  const lines: string[] = [];
  command.run(contextOf(host, args, lines));
  return lines;
}

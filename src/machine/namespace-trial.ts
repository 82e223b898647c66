import type { Command } from '../host/command.ts';
import type { Processes } from '../host/processes.ts';
import { firstPrintableLine } from '../net/printable.ts';

/**
 * Says why the kernel or a tool refuses commands, each run in a network namespace that ends with
 * it. Undefined when it accepts them, or when this process cannot make such a namespace.
 */
export function failsInNamespace(
  processes: Processes,
  commands: readonly Command[],
): string | undefined {
  const run = (command: readonly string[], stdin?: string) =>
    processes.run({
      program: 'unshare',
      args: ['--net', '--', ...command],
      ...(stdin !== undefined && { stdin }),
    });
  if (run(['true']).status !== 0) return undefined;
  for (const { program, args, stdin } of commands) {
    const { status, stderr } = run([program, ...args], stdin);
    if (status !== 0)
      return `${program} fails a trial in a network namespace of its own (${firstPrintableLine(stderr)})`;
  }
  return undefined;
}

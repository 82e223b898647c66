import { KillswitchError } from '../errors.ts';
import type { Command } from '../host/command.ts';
import type { Host } from '../host/host.ts';
import type { Processes } from '../host/processes.ts';
import { printable } from '../net/printable.ts';
import type { Demand } from './demand.ts';

/** One way to set the system's resolvers. Each function may run twice without harm. */
export interface Strategy {
  /** Its name for people. */
  readonly title: string;
  /** Tells whether anything that it set is still to be restored. Reads files only. */
  inUse(host: Host): boolean;
  /**
   * Returns one line for each difference from the demands. Reads files only; with `asks` it also
   * asks the program that holds the resolvers.
   */
  differences(host: Host, demands: readonly Demand[], asks: boolean): readonly string[];
  /**
   * Sets the resolvers that the demands name; there is at least one demand.
   * @throws KillswitchError RESOLVERS or FILES when it cannot.
   */
  set(host: Host, demands: readonly Demand[]): void;
  /** Restores the previous resolvers. @throws KillswitchError RESOLVERS or FILES when it cannot. */
  restore(host: Host): void;
}

/**
 * Runs a program that sets resolvers.
 * @throws KillswitchError RESOLVERS with the program's message when it fails.
 */
export function mustRun(processes: Processes, command: Command): void {
  const { status, stderr } = processes.run({ ...command, changes: 'resolvers' });
  if (status === 0) return;
  const how = status === null ? 'did not end by itself' : `ended with status ${status}`;
  throw new KillswitchError(
    'RESOLVERS',
    `${command.program} ${how}`,
    'Fix the problem that the lines above name, then run "ovpn-killswitch lock".',
    [
      [command.program, ...command.args].join(' '),
      ...stderr.trim().split('\n').slice(0, 8).map(printable),
    ],
  );
}

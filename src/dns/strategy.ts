import { KillswitchError } from '../errors.ts';
import type { Command } from '../host/command.ts';
import type { Host } from '../host/host.ts';
import { printable } from '../net/printable.ts';
import type { Demand } from './demand.ts';

/** One way to tell the system whom to ask. Each does everything twice without harm. */
export interface Strategy {
  /** What it is called for people. */
  readonly title: string;
  /** Whether anything set by it is still there to be given back. Reads files only. */
  inUse(host: Host): boolean;
  /**
   * What is not as the demands ask, as lines. Reads files only; with `asks` it also asks the
   * program that holds the truth.
   */
  differences(host: Host, demands: readonly Demand[], asks: boolean): readonly string[];
  /**
   * Sets what at least one demand asks.
   * @throws KillswitchError RESOLVERS or FILES when it cannot be set.
   */
  set(host: Host, demands: readonly Demand[]): void;
  /** Puts back what was there before. @throws KillswitchError RESOLVERS or FILES when it cannot. */
  restore(host: Host): void;
}

/**
 * Runs a program that sets resolvers.
 * @throws KillswitchError RESOLVERS with what it said when it fails.
 */
export function mustRun(host: Host, command: Command): void {
  const { status, stderr } = host.run(command);
  if (status === 0) return;
  const how = status === null ? 'did not end by itself' : `ended with status ${status}`;
  throw new KillswitchError(
    'RESOLVERS',
    `${command.program} ${how}`,
    'Mend what it says, then run "ovpn-killswitch lock"; or let KILLSWITCH_RESOLVER name another way.',
    [
      [command.program, ...command.args].join(' '),
      ...stderr.trim().split('\n').slice(0, 8).map(printable),
    ],
  );
}

import { measureCommands } from './commands.ts';
import { measureConnect, measureTunnel } from './connections.ts';
import type { Row } from './measure.ts';
import { measureMemory, measureTasks } from './needs.ts';
import { measureNumbers } from './numbers.ts';
import { measurePackets } from './packets.ts';
import { measureStart } from './start.ts';
import { measureVersions } from './versions.ts';

/** How long and how often. */
export interface Plan {
  /** The folder of the built programs of the bench, with a slash at its end. */
  readonly tools: string;
  /** Starts of each program. */
  readonly rounds: number;
  /** Of traffic of one kind. */
  readonly seconds: number;
  /** Of everything that takes seconds. */
  readonly repeats: number;
}

export interface Group {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  /** The row that the ratios compare with, where it is not the first row. */
  readonly base?: string;
  measure(plan: Plan): Promise<readonly Row[]>;
}

export const GROUPS: readonly Group[] = [
  {
    name: 'start',
    title: 'Hooks as whole processes, and what others do',
    unit: 'ms',
    measure: measureStart,
  },
  {
    name: 'versions',
    title: '`up` on each version of Node',
    unit: 'ms',
    base: 'bare node of that version',
    measure: measureVersions,
  },
  {
    name: 'number',
    title: 'By the number of tunnels, profiles and endpoints',
    unit: 'ms',
    measure: measureNumbers,
  },
  { name: 'commands', title: 'Commands and the boot', unit: 'ms', measure: measureCommands },
  { name: 'memory', title: 'Peak memory', unit: 'MiB', measure: measureMemory },
  {
    name: 'tasks',
    title: 'Tasks at once, the child included',
    unit: 'tasks',
    measure: measureTasks,
  },
  {
    name: 'connect',
    title: 'OpenVPN from its start to the connection',
    unit: 'ms',
    base: 'no hooks with that version',
    measure: measureConnect,
  },
  {
    name: 'tunnel',
    title: 'Through an encrypted tunnel',
    unit: 'Mbit/s, or each second',
    measure: measureTunnel,
  },
  {
    name: 'packets',
    title: 'Past the rules, to an endpoint',
    unit: 'each second',
    measure: measurePackets,
  },
];

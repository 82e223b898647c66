import type { Clock } from './clock.ts';
import type { Files } from './files.ts';
import type { Journal } from './log-entry.ts';
import type { Network } from './network.ts';
import type { Processes } from './processes.ts';

/**
 * The only door to the system, made of small ones: a function that needs one of them takes that
 * alone. Synchronous: OpenVPN waits for a hook anyway, and threads are scarce under its unit's
 * TasksMax.
 */
export interface Host extends Processes, Files, Clock, Journal, Network {}

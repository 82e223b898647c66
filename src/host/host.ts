import type { Clock } from './clock.ts';
import type { Files } from './files.ts';
import type { Journal } from './log-entry.ts';
import type { Network } from './network.ts';
import type { Processes } from './processes.ts';

/**
 * The only door to the system, made of small ones: a function takes only those it needs.
 * Synchronous, because OpenVPN waits for a hook anyway, and its unit's TasksMax limits threads.
 */
export interface Host extends Processes, Files, Clock, Journal, Network {}

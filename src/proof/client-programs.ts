import type { Sandbox } from '../host/sandbox.ts';
import { type ProberRun, proberRun, reportReader } from './prober-run.ts';
import type { ProberOrders } from './probes.ts';
import { startService } from './service.ts';
import type { Visited, VisitorOrders } from './services.ts';
import { waitUntil } from './wait-until.ts';

/** The built programs in a machine. Every user may run and read them. */
export interface Programs {
  /** The interpreter's path. */
  readonly node: string;
  /** The folder of the built programs. */
  readonly folder: string;
}

/** The user that a program of the proof runs as. */
export interface ProgramUser {
  /** Its account and group; undefined for the user of the sandbox. */
  readonly uid: number | undefined;
  /** The one capability(7) it keeps, as setpriv(1) calls it. */
  readonly keeps?: 'net_bind_service';
}

/**
 * Returns the command line of one of the proof's own programs. It has its user from its start: a
 * running Node refuses to change user where io_uring may be on (node/src/node_credentials.cc).
 */
export function proofProgram(
  { node, folder }: Programs,
  name: string,
  orders: object,
  { uid, keeps }: ProgramUser,
): readonly string[] {
  const capabilities = keeps === undefined ? '-all' : `-all,+${keeps}`;
  const as = [
    ...['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'],
    ...[`--inh-caps=${capabilities}`, `--ambient-caps=${capabilities}`],
  ];
  return [
    ...(uid === undefined ? [] : as),
    node,
    `${folder}/proof/${name}.js`,
    JSON.stringify(orders),
  ];
}

/** A prober's orders and user. */
export type ProberPlan = ProberOrders & Pick<ProgramUser, 'uid'>;
/** A visitor's orders and user. */
export type VisitorPlan = VisitorOrders & Pick<ProgramUser, 'uid'>;

/**
 * Starts a prober in a machine and waits until it probes. `name` is unique among the services that
 * run there.
 */
export async function startProberIn(
  sandbox: Sandbox,
  programs: Programs,
  name: string,
  { uid, ...orders }: ProberPlan,
): Promise<ProberRun> {
  const { onOutput, report } = reportReader();
  const service = startService(
    sandbox,
    name,
    proofProgram(programs, 'prober', orders satisfies ProberOrders, { uid }),
    { onOutput },
  );
  await waitUntil(
    () => `the prober: ${service.said()}`,
    () => report() !== undefined,
  );
  return proberRun(service, report);
}

/** Makes visits from a machine, and waits for each answer as long as the orders say. */
export async function visitFrom(
  sandbox: Sandbox,
  programs: Programs,
  { uid, ...orders }: VisitorPlan,
): Promise<Visited> {
  const { status, stdout, stderr } = await sandbox.ask(
    proofProgram(programs, 'visitor', orders satisfies VisitorOrders, { uid }),
  );
  if (status !== 0) throw new Error(`the visitor: ${stderr.trim()}`);
  return JSON.parse(stdout) as Visited;
}

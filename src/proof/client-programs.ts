import type { Sandbox } from '../host/sandbox.ts';
import { NODE } from './addresses.ts';
import { type ProberRun, proberRun, reportReader } from './prober-run.ts';
import type { ProberOrders } from './probes.ts';
import { startService } from './service.ts';
import type { Visited, VisitorOrders } from './services.ts';
import { until } from './until.ts';

/** The command line of one of the proof's own programs. `dist` is the folder of the built programs. */
export function proofProgram(dist: string, name: string, orders: object): readonly string[] {
  return [NODE, `${dist}/proof/${name}.js`, JSON.stringify(orders)];
}

/** Starts a prober in a machine and waits until it probes. `name` is unique among the services that run there. */
export async function startProberIn(sandbox: Sandbox, dist: string, name: string, orders: ProberOrders): Promise<ProberRun> {
  const { onOutput, report } = reportReader();
  const service = startService(sandbox, name, proofProgram(dist, 'prober', orders), { onOutput });
  await until(
    () => `the prober: ${service.said()}`,
    () => report() !== undefined,
  );
  return proberRun(service, report);
}

/** Asks for something from a machine, and waits so long for each answer as the orders say. */
export async function visitFrom(sandbox: Sandbox, dist: string, orders: VisitorOrders): Promise<Visited> {
  const { status, stdout, stderr } = await sandbox.ask(proofProgram(dist, 'visitor', orders));
  if (status !== 0) throw new Error(`the visitor: ${stderr.trim()}`);
  return JSON.parse(stdout) as Visited;
}

import { afterAll, beforeAll, type TestContext } from 'vitest';
import {
  openSandbox,
  type Sandbox,
  type SandboxPlan,
  sandboxObstacle,
} from '../../src/host/sandbox.ts';
import { type Kind, useKind } from './kinds.ts';

/** A sandbox of a test file or of a `describe`: made before its tests, closed after them. */
export interface Machine {
  /** The sandbox; a test that calls this where none can be made is skipped, with the reason. */
  sandbox(context: TestContext): Sandbox;
  /**
   * The same for a test that loads rules for users: iptables takes only those that its user
   * namespace has (xt_owner).
   */
  withUsers(context: TestContext): Sandbox;
}

/** A plan that may lack its parts on this machine. */
export interface MachinePlan extends SandboxPlan {
  /** Why it cannot be used here; undefined when it can. */
  readonly obstacle?: string;
}

/** Makes one sandbox with a kind of packet filter for the tests around the call. */
export function machineWith(
  kind: Kind,
  prepare: (sandbox: Sandbox) => void | Promise<void> = () => undefined,
  plan?: MachinePlan,
): Machine {
  let opened: Sandbox | undefined;
  let obstacle: string | undefined;
  beforeAll(async () => {
    obstacle = sandboxObstacle() ?? plan?.obstacle;
    if (obstacle !== undefined) return;
    opened = await openSandbox(plan);
    obstacle = useKind(opened, kind);
    if (obstacle === undefined) await prepare(opened);
  });
  afterAll(() => opened?.close());
  const sandboxFor = (context: TestContext): Sandbox => {
    if (obstacle !== undefined) context.skip(obstacle);
    if (opened === undefined) throw new Error('the sandbox was not made');
    return opened;
  };
  return {
    sandbox: sandboxFor,
    withUsers: (context) => {
      const sandbox = sandboxFor(context);
      if (kind !== 'nftables' && !sandbox.hasOtherUsers)
        context.skip('this user namespace has no user besides root');
      return sandbox;
    },
  };
}

/**
 * A sandbox of one test, with a kind of packet filter. The test is skipped, with the reason, where
 * none can be made; `users`: also where it has no user besides root.
 */
export async function inSandbox(
  {
    context,
    kind,
    users = false,
  }: { readonly context: TestContext; readonly kind: Kind; readonly users?: boolean },
  play: (sandbox: Sandbox) => void | Promise<void>,
): Promise<void> {
  const obstacle = sandboxObstacle();
  if (obstacle !== undefined) context.skip(obstacle);
  const sandbox = await openSandbox();
  try {
    const missing = useKind(sandbox, kind);
    if (missing !== undefined) context.skip(missing);
    if (users && !sandbox.hasOtherUsers)
      context.skip('this user namespace has no user besides root');
    await play(sandbox);
  } finally {
    sandbox.close();
  }
}

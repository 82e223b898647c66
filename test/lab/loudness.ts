import { initSystemOf } from '../support/init-systems.ts';
import type { Debian, Scene } from './boot-scene.ts';

/** Where somebody looks who wonders why nothing works, and what stands there. */
export type Said = Readonly<Record<string, string>>;

export async function saidAtBoot({ machine, product }: Scene, { root }: Debian): Promise<Said> {
  const { journal } = initSystemOf(root);
  const { stdout, stderr } = await product.command('status');
  return {
    ...(journal !== undefined && { journal: await machine.sh(journal) }),
    // The kernel has no log for these machines: what is written to its device becomes a file.
    kernelLog: await machine.sh('[ ! -f /dev/kmsg ] || cat /dev/kmsg'),
    // First of its session, as on a terminal; with a shell that ends at once.
    login: await machine.sh(
      "usermod -s /bin/true root; timeout 20 script -qec 'exec login -f root' /dev/null </dev/null || :",
    ),
    status: stdout + stderr,
  };
}

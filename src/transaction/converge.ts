import type { Backend } from '../backend/backend.ts';
import type { Host } from '../host/host.ts';
import { forgetLastTransaction, writeLastTransaction } from '../machine/last-transaction.ts';
import { type LiveTunnel, liveTunnelKey, readLiveTunnels, removeLiveTunnel, staleTunnels } from '../machine/live-tunnels.ts';
import type { InterfaceName } from '../net/interface-name.ts';
import { type Base, decide, type Policy } from '../policy/policy.ts';
import type { Portal } from '../policy/portal.ts';
import { compile } from '../ruleset/compile.ts';
import { type Applied, apply } from './apply.ts';

/** What a convergence came to. */
export interface Converged {
  readonly policy: Policy;
  readonly applied: Applied;
}

function sameTunnels(a: readonly LiveTunnel[], b: readonly LiveTunnel[]): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Forgets tunnels whose end nobody reported, so that a later device of the same name inherits nothing. */
function prune(host: Host, except: InterfaceName | undefined): void {
  for (const { tunnel } of staleTunnels(host, readLiveTunnels(host))) {
    if (tunnel.device === except) continue;
    removeLiveTunnel(host, tunnel.device);
    host.log({ level: 'warn', event: 'tunnel-stale', message: `${tunnel.device} is gone and nobody reported its end: its rules go too` });
  }
}

/**
 * Makes the kernel hold the base and every live tunnel, for a caller that holds the lock. Each hook has written its own tunnel file before;
 * whoever comes last reads all of them, so that hooks of several tunnels at once all end up in the kernel. `added` names a device whose rules may
 * just be added; `portal` is opened unless a tunnel is live.
 */
export function convergeAlone(
  host: Host,
  backend: Backend,
  base: Base,
  { added, portal }: { readonly added?: InterfaceName | undefined; readonly portal?: Portal | undefined } = {},
): Converged {
  prune(host, added);
  let live = readLiveTunnels(host);
  for (let rounds = 0; ; rounds++) {
    const tunnels = live.map(({ tunnel }) => tunnel);
    const policy = decide(base, tunnels, portal);
    const grown =
      added === undefined
        ? undefined
        : compile(
            decide(
              base,
              tunnels.filter(({ device }) => device !== added),
            ),
          );
    forgetLastTransaction(host);
    const ruleset = compile(policy);
    const applied = apply(host, backend, ruleset, grown);
    const outputs = backend.fingerprint.map((command) => host.run(command));
    const now = readLiveTunnels(host);
    // A hook that takes the short way, or one without flock(1), may have come in between. It ends: each hook writes once.
    if (sameTunnels(live, now) || rounds > 50) {
      if (outputs.every(({ status }) => status === 0)) {
        writeLastTransaction(host, {
          backend: backend.name,
          tunnels: live.map(liveTunnelKey),
          fingerprint: backend.fingerprintOf(outputs, ruleset),
        });
      }
      return { policy, applied };
    }
    live = now;
  }
}

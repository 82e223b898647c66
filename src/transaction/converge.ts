import type { Backend } from '../backend/backend.ts';
import type { Files } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import type { InterfaceName } from '../net/interface-name.ts';
import { type Base, decide, type Policy } from '../policy/policy.ts';
import type { Portal } from '../policy/portal.ts';
import { formerText, settleTunnels } from '../record/former-tunnels.ts';
import { readKeptShut } from '../record/kept-shut.ts';
import { forgetLastTransaction, writeLastTransaction } from '../record/last-transaction.ts';
import {
  type LiveTunnel,
  liveTunnelKey,
  readLiveTunnels,
  refusedTunnels,
} from '../record/live-tunnels.ts';
import { compile } from '../ruleset/compile.ts';
import type { FormerTunnel } from '../tunnel/former-tunnel.ts';
import { type Applied, apply } from './apply.ts';
import { removeLeftDevices } from './remove-left-devices.ts';

/** The result of a convergence. */
export interface Converged {
  readonly policy: Policy;
  readonly applied: Applied;
}

/** The live tunnels, and the networks that former ones keep shut. */
interface Found {
  readonly live: readonly LiveTunnel[];
  readonly former: readonly FormerTunnel[];
}

function find(host: Host): Found {
  const live = readLiveTunnels(host);
  return { live, former: readKeptShut(host, live).former };
}

/**
 * Settles tunnels that ended without a report, so that a later device of the same name inherits
 * nothing.
 */
function prune(host: Host, except: InterfaceName | undefined): void {
  for (const { path, why } of refusedTunnels(host)) {
    host.remove(path);
    host.log({
      level: 'warn',
      event: 'state-refused',
      message: `${path} was not believed and is gone: ${why}`,
    });
  }
  // Before their records go: these name the devices' owners.
  removeLeftDevices(host, except);
  const { live, returning, reconnecting } = settleTunnels(host, except);
  for (const device of live)
    host.log({
      level: 'warn',
      event: 'tunnel-stale',
      message: `${device} is gone and no hook of root's reported its end: its rules go too`,
    });
  for (const device of returning)
    host.log({
      level: 'info',
      event: 'tunnel-stale',
      message: `${device} is gone, and its OpenVPN may run: its networks stay shut until it ends`,
    });
  for (const device of reconnecting)
    host.log({
      level: 'info',
      event: 'tunnel-stale',
      message: `${device}: its OpenVPN is gone and reconnects no more: its networks are no longer kept shut`,
    });
}

/**
 * Makes the kernel hold the base and every live tunnel. The caller holds the lock. Each hook has
 * written its own tunnel file, and the last one reads them all, so simultaneous hooks all end up in
 * the kernel. `added` names a device whose rules may be added without a reload. `portal` is opened
 * unless a tunnel is live.
 */
export function convergeHoldingLock(
  host: Host,
  backend: Backend,
  base: Base,
  {
    added,
    portal,
  }: { readonly added?: InterfaceName | undefined; readonly portal?: Portal | undefined } = {},
): Converged {
  prune(host, added);
  let found = find(host);
  for (let rounds = 0; ; rounds++) {
    const { live, former } = found;
    const policy = decide(base, live.map(tunnelOf), portal, former);
    const grown = added === undefined ? undefined : compile(withoutTunnel(host, base, live, added));
    forgetLastTransaction(host);
    const ruleset = compile(policy);
    const applied = apply(host, backend, ruleset, grown);
    const outputs = backend.fingerprint.map((command) => host.run(command));
    const now = find(host);
    // A hook on the short way, or one without flock(1), may have come in between. The loop ends:
    // each hook writes once.
    if (JSON.stringify(found) === JSON.stringify(now) || rounds > 50) {
      if (outputs.every(({ status }) => status === 0)) {
        writeLastTransaction(host, {
          backend: backend.name,
          tunnels: live.map(liveTunnelKey),
          former: former.map(formerText),
          fingerprint: backend.fingerprintOf(outputs, ruleset),
        });
      }
      return { policy, applied };
    }
    found = now;
  }
}

const tunnelOf = ({ tunnel }: LiveTunnel) => tunnel;

/** Returns the policy without one device's tunnel: the one that was loaded before it came. */
function withoutTunnel(
  files: Files,
  base: Base,
  live: readonly LiveTunnel[],
  device: InterfaceName,
): Policy {
  const others = live.filter(({ tunnel }) => tunnel.device !== device);
  return decide(base, others.map(tunnelOf), undefined, readKeptShut(files, others).former);
}

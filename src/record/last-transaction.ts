import { KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { field, parseJson, texts } from '../machine/json.ts';
import type { BackendName } from '../policy/settings.ts';

/**
 * What the last transaction left in the kernel, so that the next hook can add to it without reading
 * all of it.
 */
export interface LastTransaction {
  readonly backend: BackendName;
  /** The live tunnels that it loaded, by `liveTunnelKey`. */
  readonly tunnels: readonly string[];
  /** What former tunnels kept shut then, by `formerText`. */
  readonly former: readonly string[];
  /** The backend's fingerprint of the rules. */
  readonly fingerprint: string;
}

/** Undefined when it is not known: then everything is read. */
export function readLastTransaction(host: Host): LastTransaction | undefined {
  const json = parseJson(host.read(PATHS.last) ?? '');
  const [backend, fingerprint] = [field(json, 'backend'), field(json, 'fingerprint')];
  const [tunnels, former] = ['tunnels', 'former'].map((name) =>
    texts(field(json, name), (text) => text),
  );
  if ((backend !== 'iptables' && backend !== 'nftables') || typeof fingerprint !== 'string')
    return undefined;
  return tunnels && former && { backend, tunnels, former, fingerprint };
}

/** Keeps a text where it can: without it the next hook does more work. */
function keep(host: Host, path: string, text: string): void {
  try {
    host.write(path, text, 0o600);
  } catch (thrown) {
    if (!(thrown instanceof KillswitchError)) throw thrown;
  }
}

/**
 * Where it cannot be written, none is kept: the next hook reads all rules. A previous one that stays
 * fits no rules any more.
 */
export function writeLastTransaction(host: Host, last: LastTransaction): void {
  keep(host, PATHS.last, `${JSON.stringify({ version: 1, ...last })}\n`);
}

/**
 * Keeps what `up` was told, with the last transaction, for `route-up` of the same connection, which
 * then ends at once (src/launch/route-up.sh).
 */
export function keepTold(host: Host, told: string): void {
  const last = host.read(PATHS.last);
  if (last !== undefined) keep(host, PATHS.told, told + last);
}

/** Call before any other change, so that a crash leaves no stale fingerprint. */
export function forgetLastTransaction(host: Host): void {
  host.remove(PATHS.last);
}

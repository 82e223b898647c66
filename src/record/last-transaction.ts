import { KillswitchError } from '../errors.ts';
import type { Files } from '../host/files.ts';
import { PATHS } from '../host/paths.ts';
import { field, parseJson, texts } from '../machine/json.ts';
import type { BackendName } from '../policy/settings.ts';

/**
 * The last transaction's result in the kernel. With it the next hook adds to the rules without
 * reading them all.
 */
export interface LastTransaction {
  readonly backend: BackendName;
  /** The live tunnels that it loaded, each as its `liveTunnelKey`. */
  readonly tunnels: readonly string[];
  /** The former tunnels that it kept shut, each as its `formerText`. */
  readonly former: readonly string[];
  /** The backend's fingerprint of the rules. */
  readonly fingerprint: string;
}

/**
 * Reads the last transaction; undefined when it is unknown, and then the caller reads all rules.
 */
export function readLastTransaction(files: Files): LastTransaction | undefined {
  const json = parseJson(files.read(PATHS.last) ?? '');
  const [backend, fingerprint] = [field(json, 'backend'), field(json, 'fingerprint')];
  const [tunnels, former] = ['tunnels', 'former'].map((name) =>
    texts(field(json, name), (text) => text),
  );
  if ((backend !== 'iptables' && backend !== 'nftables') || typeof fingerprint !== 'string')
    return undefined;
  return tunnels && former && { backend, tunnels, former, fingerprint };
}

/** Writes a text, and ignores a failure: the next hook only does more work. */
function keep(files: Files, path: string, text: string): void {
  try {
    files.write(path, text, 0o600);
  } catch (thrown) {
    if (!(thrown instanceof KillswitchError)) throw thrown;
  }
}

/**
 * Writes the last transaction. After a failed write the next hook reads all rules: an older
 * fingerprint matches none of them.
 */
export function writeLastTransaction(files: Files, last: LastTransaction): void {
  keep(files, PATHS.last, `${JSON.stringify({ version: 1, ...last })}\n`);
}

/**
 * Keeps `up`'s input with the last transaction, so that `route-up` of the same connection ends at
 * once (src/launch/route-up.sh).
 */
export function keepTold(files: Files, told: string): void {
  const last = files.read(PATHS.last);
  if (last !== undefined) keep(files, PATHS.told, told + last);
}

/** Call before any other change, so that a crash leaves no stale fingerprint. */
export function forgetLastTransaction(files: Files): void {
  files.remove(PATHS.last);
}

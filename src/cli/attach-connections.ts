import { makeDnsExclusive, planDns, restoreDns } from '../dns/vpn-dns.ts';
import { KillswitchError } from '../errors.ts';
import { changeBy } from '../host/change.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { vpnConnections } from '../machine/vpn-connections.ts';
import { printable } from '../net/printable.ts';
import { forgetRemembered } from '../record/remembered-networks.ts';
import type { ConnectionUuid } from '../tunnel/networkmanager-event.ts';
import type { Context } from './command.ts';

/** Bounds for words besides the flags: profiles, or with `--networkmanager` none. */
export const FILES = { least: 1, most: Number.POSITIVE_INFINITY };
export const CONNECTIONS = { least: 0, most: 0 };

interface Named {
  readonly uuid: ConnectionUuid;
  /** Escaped for a terminal. */
  readonly name: string;
}

/**
 * Finds the connection that each name or uuid means; a name must mean exactly one.
 * @throws KillswitchError PROFILE with every problem.
 */
function find(host: Host, names: readonly string[]): readonly Named[] {
  const all = [...new Map(vpnConnections(host).map((each) => [each.uuid, each])).values()];
  const problems: string[] = [];
  const found = names.flatMap((name): readonly Named[] => {
    const [first, ...others] = all.filter(
      (each) => each.uuid === name.toLowerCase() || each.name === name,
    );
    const shown = printable(name);
    if (first === undefined) problems.push(`${shown}: NetworkManager keeps no VPN of that name`);
    else if (others.length > 0)
      problems.push(
        `${shown}: ${others.length + 1} VPNs have that name; use a uuid: ${[first, ...others].map(({ uuid }) => uuid).join(', ')}`,
      );
    else if (first.profile === undefined) problems.push(`${shown}: not an OpenVPN connection`);
    else return [{ uuid: first.uuid, name: printable(first.name) }];
    return [];
  });
  if (problems.length === 0) return found;
  const known = all
    .filter(({ profile }) => profile !== undefined)
    .map(({ name }) => printable(name));
  const next =
    known.length === 0
      ? 'Import a profile into NetworkManager first.'
      : `NetworkManager's OpenVPN connections: ${known.join(', ')}`;
  throw new KillswitchError('PROFILE', 'a connection cannot be changed like this', next, problems);
}

/** Adds to the answer what a dry run would change in a connection. Returns whether it would. */
function plans(
  { host, report }: Context,
  uuid: ConnectionUuid,
  how: 'exclusive' | 'restored',
): boolean {
  const command = planDns(host, uuid, how);
  const change = command && changeBy(command);
  if (change !== undefined) report.plan(change);
  return change !== undefined;
}

/**
 * Makes the tunnel's resolvers the only ones while one of these connections is up.
 * @throws KillswitchError PROFILE, FILES
 */
export function attachConnections(
  context: Context,
  names: readonly string[],
  dryRun: boolean,
): void {
  const { host, print } = context;
  const found = find(host, names);
  if (!host.exists(PATHS.dispatcher) && !dryRun && found.length > 0)
    throw new KillswitchError(
      'FILES',
      `there is no ${PATHS.dispatcher}, so no hook would learn of the tunnel`,
      'Install it first: ovpn-killswitch install --networkmanager',
    );
  for (const { uuid, name } of found) {
    if (dryRun)
      print(
        plans(context, uuid, 'exclusive')
          ? `# ${name}: ipv4.dns-priority and ipv6.dns-priority would be below zero`
          : `# ${name}: is attached already`,
      );
    else
      print(
        makeDnsExclusive(host, uuid)
          ? `${name}: attached; only its own resolvers are asked from the next connect on`
          : `${name}: is attached already`,
      );
  }
}

/** Restores what `attachConnections` changed. @throws KillswitchError PROFILE */
export function detachConnections(
  context: Context,
  names: readonly string[],
  dryRun: boolean,
): void {
  const { host, print } = context;
  for (const { uuid, name } of find(host, names)) {
    if (dryRun) {
      print(
        plans(context, uuid, 'restored')
          ? `# ${name}: the changes of attach would be undone`
          : `# ${name}: holds nothing of ours`,
      );
      continue;
    }
    forgetRemembered(host, { connection: uuid });
    print(restoreDns(host, uuid) ? `${name}: detached` : `${name}: holds nothing of ours`);
  }
}

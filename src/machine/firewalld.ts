import type { Host } from '../host/host.ts';
import { isUnitEnabled } from './enabled-unit.ts';
import { readAnybodys } from './read-anybodys.ts';
import { runningPrograms } from './running-programs.ts';

/**
 * Whether firewalld is used here and flushes every table of iptables whenever it starts, reloads or
 * stops (firewalld.conf(5), FirewallBackend).
 */
export function firewalldFlushesIptables(host: Host): boolean {
  const isSet = /^\s*FirewallBackend\s*=\s*iptables\s*$/m.test(
    readAnybodys(host, '/etc/firewalld/firewalld.conf'),
  );
  return isSet && (isUnitEnabled(host, 'firewalld') || runningPrograms(host).has('firewalld'));
}

import type { Host } from '../host/host.ts';
import { isUnitEnabled } from './enabled-unit.ts';
import { readAnybodys } from './read-anybodys.ts';
import { runningPrograms } from './running-programs.ts';

/**
 * Whether firewalld runs here and flushes every table of iptables at each start, reload and stop
 * (firewalld.conf(5), FirewallBackend).
 */
export function firewalldFlushesIptables(host: Host): boolean {
  const isSet = /^\s*FirewallBackend\s*=\s*iptables\s*$/m.test(
    readAnybodys(host, '/etc/firewalld/firewalld.conf'),
  );
  return isSet && (isUnitEnabled(host, 'firewalld') || runningPrograms(host).has('firewalld'));
}

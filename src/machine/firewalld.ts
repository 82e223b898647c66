import type { Files } from '../host/files.ts';
import { isUnitEnabled } from './enabled-unit.ts';
import { readAnybodys } from './read-anybodys.ts';
import { runningPrograms } from './running-programs.ts';

/**
 * Whether firewalld runs here and flushes every table of iptables at each start, reload and stop
 * (firewalld.conf(5), FirewallBackend).
 */
export function firewalldFlushesIptables(files: Files): boolean {
  const isSet = /^\s*FirewallBackend\s*=\s*iptables\s*$/m.test(
    readAnybodys(files, '/etc/firewalld/firewalld.conf'),
  );
  return isSet && (isUnitEnabled(files, 'firewalld') || runningPrograms(files).has('firewalld'));
}

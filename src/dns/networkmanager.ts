import type { Command } from '../host/command.ts';
import { PATHS } from '../host/paths.ts';
import { readAnybodys } from '../machine/read-anybodys.ts';
import type { Demand } from './demand.ts';
import { readNote, removeNote, writeNote } from './note.ts';
import { generated } from './resolv-conf-before.ts';
import { giveBack } from './resolv-conf-file.ts';
import { nameserverDifferences, nameserversOf } from './resolv-conf-text.ts';
import { mustRun, type Strategy } from './strategy.ts';

/** NetworkManager.conf(5) reads this folder after its own; a reboot empties it. */
const DROP_IN = '/run/NetworkManager/conf.d/90-ovpn-killswitch.conf';

/**
 * Renders global DNS, which replaces the resolvers of every connection, whatever connects
 * meanwhile.
 */
function dropIn(demands: readonly Demand[]): string {
  const domains = [...new Set(demands.flatMap(({ searchDomains }) => searchDomains))];
  return [
    '[global-dns]',
    ...(domains.length > 0 ? [`searches=${domains.join(',')}`] : []),
    '[global-dns-domain-*]',
    `servers=${nameserversOf(demands).join(',')}`,
    '',
  ].join('\n');
}

const RELOAD: Command = { program: 'nmcli', args: ['general', 'reload', 'conf'] };

/**
 * NetworkManager, where it writes /etc/resolv.conf: it would overwrite any file of this product's.
 */
export const networkmanager: Strategy = {
  title: 'NetworkManager',
  inUse: (host) => readNote(host, 'networkmanager') !== undefined,
  differences: (host, demands, asks) => {
    if (host.read(DROP_IN) !== dropIn(demands))
      return [`${DROP_IN} is not as it was written for the tunnel`];
    return asks ? nameserverDifferences(readAnybodys(host, PATHS.resolvConf), demands, true) : [];
  },
  set: (host, demands) =>
    generated(host, () => {
      writeNote(host, 'networkmanager', `${DROP_IN}\n`);
      host.write(DROP_IN, dropIn(demands));
      mustRun(host, RELOAD);
    }),
  restore: (host) => {
    host.remove(DROP_IN);
    // If NetworkManager does not run any more, the file stays as it left it.
    host.run({ ...RELOAD, changes: 'resolvers' });
    removeNote(host, 'networkmanager');
    giveBack(host);
  },
};

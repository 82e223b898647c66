import { describe } from 'vitest';
import { debianRoot, OPENVPNS } from '../support/debian-root.ts';
import { KINDS } from '../support/kinds.ts';
import { describeLoads } from '../support/loads.ts';

// nft 1.0.6 and 1.1.3; iptables 1.8.7, 1.8.9 and 1.8.11, each over nf_tables and legacy.
describe.each(OPENVPNS)('with the packet filter tools of the Debian that ships OpenVPN %s', (version) => {
  // Its nft 0.9.8 cannot read a script from a socket, which is what Node gives a child to read from.
  const kinds = version === '2.5' ? KINDS.filter((kind) => kind !== 'nftables') : KINDS;
  describe.each(kinds)('%s', (kind) => describeLoads(kind, debianRoot(version)));
});

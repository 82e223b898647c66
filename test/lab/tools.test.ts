import { describe } from 'vitest';
import { coveringPolicies } from '../support/covering-policies.ts';
import { debianRoot, OPENVPNS } from '../support/debian-root.ts';
import { KINDS } from '../support/kinds.ts';
import { describeLoads } from '../support/loads.ts';

// nft 0.9.8, 1.0.6 and 1.1.3; iptables 1.8.7, 1.8.9 and 1.8.11, each over nf_tables and legacy.
describe.each(OPENVPNS)(
  'with the packet filter tools of the Debian that ships OpenVPN %s',
  (version) => {
    describe.each(KINDS)('%s', (kind) => {
      const old = version === '2.5' && kind === 'nftables';
      describeLoads(kind, {
        policies: coveringPolicies(kind),
        plan: debianRoot(version),
        ...(old && {
          noShortWay:
            'nft 0.9.8 lists nothing in a script that changes rules: hooks go the long way',
        }),
      });
    });
  },
);

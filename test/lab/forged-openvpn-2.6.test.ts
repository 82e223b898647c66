import { specifyForged } from './forged.ts';

for (const backend of ['nftables', 'iptables'] as const) specifyForged('2.6', backend);

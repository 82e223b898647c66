import { describe } from 'vitest';
import { neighboursWith } from './neighbours.ts';

describe.each(['nftables', 'iptables'] as const)('on a machine that %s locks', (backend) => {
  neighboursWith(backend, 'netfilter-persistent-12');
});

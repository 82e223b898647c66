import { describe } from 'vitest';
import { A_FEW, describeLoads } from '../support/loads.ts';

describe('iptables-nft', () => describeLoads('iptables-nft', { policies: A_FEW }));

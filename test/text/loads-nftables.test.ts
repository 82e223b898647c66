import { describe } from 'vitest';
import { A_FEW, describeLoads } from '../support/loads.ts';

describe('nftables', () => describeLoads('nftables', { policies: A_FEW }));

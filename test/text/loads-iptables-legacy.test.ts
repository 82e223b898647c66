import { describe } from 'vitest';
import { A_FEW, describeLoads } from '../support/loads.ts';

describe('iptables-legacy', () => describeLoads('iptables-legacy', { policies: A_FEW }));

import { describe } from 'vitest';
import { describeLoads } from '../support/loads.ts';

describe('nftables', () => describeLoads('nftables'));

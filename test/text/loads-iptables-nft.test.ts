import { describe } from 'vitest';
import { describeLoads } from '../support/loads.ts';

describe('iptables-nft', () => describeLoads('iptables-nft'));

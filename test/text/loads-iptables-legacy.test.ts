import { describe } from 'vitest';
import { describeLoads } from '../support/loads.ts';

describe('iptables-legacy', () => describeLoads('iptables-legacy'));

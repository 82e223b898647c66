import { describe } from 'vitest';
import { describeDecisions } from '../support/decisions.ts';

describe('iptables-nft', () => describeDecisions('iptables-nft'));

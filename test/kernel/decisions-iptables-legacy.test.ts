import { describe } from 'vitest';
import { describeDecisions } from '../support/decisions.ts';

describe('iptables-legacy', () => describeDecisions('iptables-legacy'));

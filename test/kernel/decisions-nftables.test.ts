import { describe } from 'vitest';
import { describeDecisions } from '../support/decisions.ts';

describe('nftables', () => describeDecisions('nftables'));

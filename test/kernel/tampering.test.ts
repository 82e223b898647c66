import { describe } from 'vitest';
import { KINDS } from '../support/kinds.ts';
import { describeTampering } from '../support/tampering.ts';

describe.each(KINDS)('%s', (kind) => describeTampering(kind, 'common'));

import { GLOBAL_EXPECT, JestAsymmetricMatchers, JestChaiExpect, JestExtend } from '@vitest/expect';
import * as chai from 'chai';

// In place of `vitest` in a program that no vitest runs: the same words, so that the lab's own
// promises can be asked for in there.
chai.use(JestExtend);
chai.use(JestChaiExpect);
chai.use(JestAsymmetricMatchers);

export const expect = chai.expect;
Object.defineProperty(globalThis, GLOBAL_EXPECT, { value: expect, configurable: true });

function outside(): never {
  throw new Error('this is no test file');
}
export const afterAll = outside;
export const beforeAll = outside;
export const describe = outside;
export const test = outside;

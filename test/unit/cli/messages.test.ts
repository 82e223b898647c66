import { expect, test } from 'vitest';
import { STEPS } from '../../support/message-walk.ts';
import {
  codesThrownFrom,
  printedBy,
  saidBy,
  WALKED_FILES,
  WALKED_SCRIPT,
} from '../../support/printed-messages.ts';
import { OTHERS, UNREACHED_CODES, WALKED } from '../../support/walked-messages.ts';

test('every message of the commands that lock and open is in the walk, or says nothing of rules', () => {
  const printed = new Set([...WALKED_FILES.flatMap(printedBy), ...saidBy(WALKED_SCRIPT)]);
  expect([...printed].sort()).toEqual([...new Set([...WALKED, ...OTHERS])].sort());
});

test('every code that these commands throw is brought about in the walk', () => {
  // The door to the machine is not imported by a command, but given to it.
  const thrown = new Set([...codesThrownFrom([...WALKED_FILES, 'src/host/linux.ts'])]);
  // `uninstall` says what it met in a profile, and goes on: no step ends with it.
  const codes = new Set(STEPS.flatMap(({ code }) => code ?? []));
  expect([...codes, ...UNREACHED_CODES].sort()).toEqual([...thrown].sort());
});

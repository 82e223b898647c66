import { afterEach, describe, expect, test } from 'vitest';
import { patiently } from '../../src/proof/wait-until.ts';
import {
  BACKENDS,
  BUILT_COMMAND,
  LIBRARY,
  must,
  ran,
  STATE,
  useMachine,
} from '../hooks/installed-machine.ts';
import { undoAll } from '../hooks/obstacles.ts';
import { readKernel } from '../support/kernel-listing.ts';
import { falseLines } from '../support/message-claims.ts';
import { STEPS } from '../support/message-walk.ts';
import { patternOf, WALKED } from '../support/walked-messages.ts';

/**
 * Every success and every error of `lock`, `unlock`, `recover`, `uninstall` and `boot enable`, held
 * against what nft and iptables list.
 */
const RESET = `
[ ! -e ${LIBRARY}/recover ] || sh ${LIBRARY}/recover
nft flush ruleset
for each in iptables ip6tables; do for chain in INPUT FORWARD OUTPUT; do $each -P $chain ACCEPT; done; done
nft flush ruleset
rm -rf ${STATE} /run/ovpn-killswitch /run/real /etc/openvpn/client/odd.conf
`;

const heard = new Set<string>();

describe.each(BACKENDS)('with %s', (backend) => {
  const machine = useMachine();
  const reset = () => {
    const it = machine();
    undoAll(it);
    it.sh(RESET);
    if (!it.exists(`${LIBRARY}/recover`)) must(it.run(process.execPath, BUILT_COMMAND, 'install'));
    must(it.sh('chown 0:0 /etc/ovpn-killswitch/killswitch.env'));
    it.settings(`KILLSWITCH_BACKEND=${backend}`, 'KILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp');
  };
  afterEach(reset);
  const steps = STEPS.filter(({ only }) => only === undefined || only === backend);

  test.each(steps)('$name', ({ prepare, call, code, says, spoilt = false }) => {
    const it = machine();
    reset();
    prepare?.(it, backend);
    const before = readKernel(it);
    const ended = it.sandbox.run(call, { milliseconds: patiently(110_000) });
    undoAll(it);
    const after = readKernel(it);
    const said = `${ended.stdout}${ended.stderr}`;
    for (const message of WALKED) if (patternOf(message).test(said)) heard.add(message);
    const unspoilt = { before: spoilt ? after : before, after, spoilt };
    expect(falseLines(said, unspoilt), ran(ended)).toEqual([]);
    if (code !== undefined) expect(said).toContain(`[${code}]`);
    if (says !== undefined) expect(said).toMatch(says);
  });
});

test('every message about the rules was printed', () => {
  expect(WALKED.filter((message) => !heard.has(message))).toEqual([]);
});

import { describe, expect, test } from 'vitest';
import { PATHS } from '../../src/host/paths.ts';
import { machineWith } from '../support/machine.ts';
import { installProduct } from '../support/product.ts';

const ERASE = '\r\x1b[K';

/** An nft that takes its time. */
const SLOW = `
cp /usr/sbin/nft /run/nft
printf '#!/bin/sh\\nsleep 0.3\\nexec /run/nft "$@"\\n' >/run/slow
chmod 755 /run/slow
mount --bind /run/slow /usr/sbin/nft
`;

describe('a command that takes longer than half a second', () => {
  const machine = machineWith('nftables', (sandbox) => {
    installProduct(sandbox).set({
      KILLSWITCH_BACKEND: 'nftables',
      KILLSWITCH_ENDPOINTS: '203.0.113.10:1194/udp',
    });
    const { status, stderr } = sandbox.run(['sh', '-euc', SLOW]);
    if (status !== 0) throw new Error(stderr);
  });

  test('says so on a terminal, and leaves no trace of it there', (context) => {
    const { status, stdout } = machine
      .sandbox(context)
      .run(['script', '-qec', `${PATHS.command} lock`, '/dev/null']);
    expect(status).toBe(0);
    // Each drawing erases the last, and the answer begins on an empty line.
    const drawings = stdout.split(ERASE);
    expect(drawings[0]).toBe('');
    expect(drawings[1]).toMatch(/^\| asking for names and loading rules, \d+ s\r$/);
    expect(drawings.at(-1)).toMatch(/^Locked: /);
    expect(drawings.at(-1)).toContain('endpoint 203.0.113.10:1194/udp\r\n');
  });

  test('draws nothing on a terminal beside its answer as JSON', (context) => {
    const { stdout } = machine
      .sandbox(context)
      .run(['script', '-qec', `${PATHS.command} lock --json`, '/dev/null']);
    expect(JSON.parse(stdout)).toMatchObject({ command: 'lock', exit: 0 });
  });

  test('says nothing in a pipe', (context) => {
    const { status, stdout, stderr } = machine.sandbox(context).run([PATHS.command, 'lock']);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^Locked:/);
    expect(stderr).toBe('');
  });
});

describe('a command that is over at once', () => {
  const machine = machineWith('nftables', (sandbox) => void installProduct(sandbox));

  test('says nothing on a terminal', (context) => {
    const since = performance.now();
    const { stdout } = machine
      .sandbox(context)
      .run(['script', '-qec', `${PATHS.command} unlock`, '/dev/null']);
    const isLong = performance.now() - since > 500;
    const drawings = stdout.split(ERASE);
    expect(drawings.at(-1)).toMatch(/^\w/);
    // On a slow machine it is no short command: then it may draw, as the first test says.
    expect(drawings.length === 1 || isLong, stdout).toBe(true);
  });
});

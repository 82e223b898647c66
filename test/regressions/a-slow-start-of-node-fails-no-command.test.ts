import { describe, expect, test } from 'vitest';
import { PATHS } from '../../src/host/paths.ts';
import { machineWith } from '../support/machine.ts';
import { installProduct, type Product } from '../support/product.ts';

/**
 * Node does not get to our first line before that: a limit that is scaled by it is then no whole
 * number of milliseconds.
 */
const SLOW = '/run/slow.cjs';
const WAIT = 'const until = process.uptime() + 0.5173; while (process.uptime() < until);';

describe('on a machine where Node takes half a second to start', () => {
  let product: Product;
  const machine = machineWith('nftables', (sandbox) => {
    product = installProduct(sandbox);
    product.set({
      KILLSWITCH_BACKEND: 'nftables',
      KILLSWITCH_ENDPOINTS: '203.0.113.10:1194/udp',
      KILLSWITCH_RESOLVER: 'off',
    });
    sandbox.run(['sh', '-c', `cat >${SLOW}`], { stdin: WAIT });
  });

  test('lock, status and unlock end as on any other', (context) => {
    const sandbox = machine.sandbox(context);
    const slowly = (...args: readonly string[]) =>
      sandbox.run([process.execPath, '-r', SLOW, `${PATHS.library}/cli.js`, ...args], { only: {} });
    expect(slowly('lock')).toMatchObject({ status: 0 });
    expect(slowly('status')).toMatchObject({ status: 0 });
    expect(slowly('unlock')).toMatchObject({ status: 0 });
  });
});

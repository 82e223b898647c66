import { describe, expect, test } from 'vitest';
import { debianRoot } from '../support/debian-root.ts';
import { KINDS } from '../support/kinds.ts';
import { machineWith } from '../support/machine.ts';
import { installProduct, type Product } from '../support/product.ts';

// Debian 11: nft 0.9.8, which cannot read a script from a socket, and iptables 1.8.7.
describe.each(KINDS)('on Debian 11 with %s', (kind) => {
  const backend = kind === 'nftables' ? 'nftables' : 'iptables';
  let product: Product;
  const machine = machineWith(
    kind,
    (sandbox) => {
      product = installProduct(sandbox);
      product.set({
        KILLSWITCH_BACKEND: backend,
        KILLSWITCH_ENDPOINTS: '203.0.113.10:1194/udp',
        KILLSWITCH_RESOLVER: 'off',
      });
      sandbox.run(['ip', 'tuntap', 'add', 'dev', 'tun0', 'mode', 'tun']);
    },
    debianRoot('2.5'),
  );
  const is = (state: string, exact = true) =>
    expect(product.report()).toMatchObject({ state, exact, backend, differences: [] });

  test('every step leaves exactly the rules that it should', (context) => {
    machine.withUsers(context);
    product.succeed('lock');
    is('blocked');
    for (const hook of ['up', 'route-up', 'up'] as const) {
      expect(product.hook(hook)).toMatchObject({ status: 0 });
      is('connected');
    }
    product.succeed('lock');
    is('connected');
    expect(product.hook('down')).toMatchObject({ status: 0 });
    is('blocked');
    product.succeed('unlock');
    expect(product.report()).toMatchObject({ state: 'unlocked', exit: 1 });
  });
});

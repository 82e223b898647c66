import { describe, expect, test } from 'vitest';
import type { Backend } from '../../src/backend/backend.ts';
import { differencesOf } from '../../src/backend/image.ts';
import { iptables } from '../../src/backend/iptables.ts';
import { nftables } from '../../src/backend/nftables.ts';
import type { Host } from '../../src/host/host.ts';
import { PATHS } from '../../src/host/paths.ts';
import type { Sandbox } from '../../src/host/sandbox.ts';
import { tellsFrames } from '../../src/machine/bridged-frames.ts';
import { FAMILIES } from '../../src/net/address.ts';
import { baseOf, decide } from '../../src/policy/policy.ts';
import type { BackendName } from '../../src/policy/settings.ts';
import { gatherKnown } from '../../src/record/gather-known.ts';
import { compile } from '../../src/ruleset/compile.ts';
import { look } from '../../src/transaction/apply.ts';
import { type Locked, lockMachine, unlockMachine } from '../../src/transaction/lock.ts';
import { machineWith } from '../support/machine.ts';
import { onlyLists } from '../support/only-lists.ts';
import { addOthersRules } from '../support/others-rules.ts';
import { settingsOf } from '../support/policies.ts';
import { installProduct, type Product } from '../support/product.ts';
import { dumpRules, othersOf } from '../support/rule-dump.ts';
import { sandboxHost } from '../support/sandbox-host.ts';

/**
 * As they are here: with iptables it depends on the kernel's modules whether bridged frames are
 * told apart.
 */
function backends(host: Host): readonly Backend[] {
  return [iptables(FAMILIES, '', true, tellsFrames(host)), nftables];
}

const VALUES = {
  KILLSWITCH_ENDPOINTS: '203.0.113.10:1194/udp,[2001:db8:10::10]:1194/udp',
  KILLSWITCH_PROFILES: '/etc/nothing-is-here/*.conf',
} as const;

/** The backends whose rules are exactly the base. */
function exact(sandbox: Sandbox): readonly string[] {
  const host = sandboxHost(sandbox);
  const settings = settingsOf(VALUES);
  const base = compile(decide(baseOf(settings, gatherKnown(host, settings, undefined)), []));
  return backends(host)
    .filter((backend) => differencesOf(backend.image(base), look(host, backend).image).length === 0)
    .map(({ name }) => name);
}

function present(sandbox: Sandbox): readonly string[] {
  const host = sandboxHost(sandbox);
  return backends(host)
    .filter((backend) => look(host, backend).present)
    .map(({ name }) => name);
}

/** Writes the settings and locks, as a person does. */
function lockWith(host: Host, backend: BackendName): Locked {
  const lines = Object.entries({ ...VALUES, KILLSWITCH_BACKEND: backend }).map(
    ([key, value]) => `${key}=${value}\n`,
  );
  host.write(PATHS.settings, lines.join(''));
  return lockMachine(host);
}

const WAYS = [
  ['iptables', 'nftables'],
  ['nftables', 'iptables'],
] as const satisfies readonly (readonly [BackendName, BackendName])[];

describe.each(['iptables-nft', 'iptables-legacy'] as const)('with %s installed', (kind) => {
  const machine = machineWith(kind, addOthersRules);

  test.for(WAYS)(
    'from %s to %s there is no moment without all the rules, and only one set afterwards',
    ([from, to], context) => {
      const sandbox = machine.sandbox(context);
      const before = dumpRules(sandbox);
      lockWith(sandboxHost(sandbox), from);
      expect(exact(sandbox)).toEqual([from]);

      const moments: (readonly string[])[] = [];
      const host = sandboxHost(sandbox, {
        intercept: (command, run) => {
          const output = run(command);
          if (command.stdin !== undefined && command.program !== 'unshare')
            moments.push(exact(sandbox));
          return output;
        },
      });
      const { choice } = lockWith(host, to);
      expect(choice.backend.name).toBe(to);
      expect(moments.length).toBeGreaterThan(2);
      expect(moments.filter((backends) => backends.length === 0)).toEqual([]);
      expect(moments).toContainEqual(['iptables', 'nftables']);
      expect(exact(sandbox)).toEqual([to]);
      expect(present(sandbox)).toEqual([to]);
      expect(othersOf(dumpRules(sandbox))).toEqual(othersOf(before));

      unlockMachine(sandboxHost(sandbox));
      expect(present(sandbox)).toEqual([]);
      expect(dumpRules(sandbox)).toEqual(before);
    },
  );

  test('locking again with the same backend commits nothing', (context) => {
    const sandbox = machine.sandbox(context);
    for (const name of ['iptables', 'nftables'] as const) {
      lockWith(sandboxHost(sandbox), name);
      const host = sandboxHost(sandbox);
      expect(lockWith(host, name).applied).toBe('unchanged');
      // A trial is made in a network namespace of its own.
      expect(
        host.commands.filter(
          (each) => each.stdin !== undefined && each.program !== 'unshare' && !onlyLists(each),
        ),
      ).toEqual([]);
      unlockMachine(sandboxHost(sandbox));
    }
  });
});

describe('the installed product', () => {
  let product: Product | undefined;
  const machine = machineWith('iptables-nft', (sandbox) => {
    product = installProduct(sandbox);
  });

  test.for(WAYS)(
    'takes live tunnels from %s to %s, and a hook keeps to what the machine is locked with until then',
    ([from, to], context) => {
      const sandbox = machine.sandbox(context);
      if (product === undefined) throw new Error('not installed');
      product.set({ ...VALUES, KILLSWITCH_BACKEND: from });
      product.succeed('lock', '--force');
      expect(product.hook('up').status).toBe(0);
      product.set({ ...VALUES, KILLSWITCH_BACKEND: to });
      // The settings have changed but nobody has locked again: two sets of rules must not come of
      // it.
      expect(product.hook('route-up').status).toBe(0);
      expect(present(sandbox)).toEqual([from]);
      expect(product.report()).toMatchObject({ exit: 0, backend: from, state: 'connected' });

      product.succeed('lock', '--force');
      expect(present(sandbox)).toEqual([to]);
      expect(product.report()).toMatchObject({ exit: 0, backend: to, state: 'connected' });
      expect(product.hook('down').status).toBe(0);
      expect(product.report()).toMatchObject({ exit: 0, backend: to, state: 'blocked' });
      product.succeed('unlock');
      expect(present(sandbox)).toEqual([]);
    },
  );
});

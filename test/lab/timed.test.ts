import { once } from 'node:events';
import { describe, expect, type TestContext, test } from 'vitest';
import { patiently } from '../../src/proof/wait-until.ts';
import { KINDS } from '../support/kinds.ts';
import { machineWith } from '../support/machine.ts';
import { pacedSeconds } from '../support/machine-pace.ts';
import { addOthersRules } from '../support/others-rules.ts';
import { installProduct, type Product } from '../support/product.ts';
import { dumpRules, type RuleDump } from '../support/rule-dump.ts';

const RECORD = '/var/lib/ovpn-killswitch/lock.json';
const SOON = { timeout: patiently(40_000), interval: 100 };

/**
 * Rules without what the kernel counts, and without those that keep an ended tunnel's address shut.
 */
function shape({ ipv4, ipv6, nft }: RuleDump): readonly string[] {
  return [ipv4, ipv6, nft].map((text) =>
    text
      .replace(/\[\d+:\d+\]/g, '')
      .replace(/packets \d+ bytes \d+/g, '')
      .replace(/^\s*[io]ifname != "tun0" ip6? [sd]addr \S+ +counter drop$\n?/gm, '')
      .replace(
        /^.*(-j DROP|drop).*tunnel-(address|source).*\n|^.*tunnel-(address|source).*-j DROP\n/gm,
        '',
      ),
  );
}

describe.each(KINDS)('%s', (kind) => {
  let product: Product | undefined;
  const machine = machineWith(kind, (sandbox) => {
    product = installProduct(sandbox);
    product.set({
      KILLSWITCH_BACKEND: kind === 'nftables' ? 'nftables' : 'iptables',
      KILLSWITCH_ENDPOINTS: '203.0.113.10:1194/udp',
    });
    addOthersRules(sandbox);
  });

  test('a lock that nobody confirms is taken back although its terminal was killed, and every rule is what it was', async (context) => {
    const sandbox = machine.sandbox(context);
    if (product === undefined) throw new Error('not installed');
    const before = shape(dumpRules(sandbox));
    // script(1) is the terminal: a program in it gets SIGHUP when it dies.
    const terminal = sandbox.start([
      'script',
      '-qec',
      `/usr/local/sbin/ovpn-killswitch lock --confirm ${pacedSeconds(6)}; sleep 1000`,
      '/dev/null',
    ]);
    const { report } = product;
    await expect.poll(() => report().state, SOON).toBe('blocked');
    const ended = once(terminal, 'exit');
    terminal.kill('SIGKILL');
    await ended;
    // It has expired, and then `due` removes its rules.
    await expect.poll(() => report().exit, SOON).toBe(1);
    await expect.poll(() => shape(dumpRules(sandbox)), SOON).toEqual(before);
  });

  test('a lock that is confirmed stays', async (context) => {
    machine.sandbox(context);
    if (product === undefined) throw new Error('not installed');
    const seconds = pacedSeconds(12);
    product.succeed('lock', '--confirm', String(seconds));
    product.succeed('confirm');
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000 + 500));
    expect(product.report()).toMatchObject({ exit: 0, state: 'blocked' });
    expect(product.run('confirm').status).toBe(1);
  });

  test('an unlock for some seconds locks again by itself, with exactly the previous rules', async (context) => {
    const sandbox = machine.sandbox(context);
    if (product === undefined) throw new Error('not installed');
    product.succeed('lock');
    const locked = shape(dumpRules(sandbox));
    product.succeed('unlock', '--for', `${pacedSeconds(6)}s`);
    const { report } = product;
    expect(report().state).toBe('unlocked');
    // Settings that are broken meanwhile must not keep it open.
    sandbox.run([
      'sh',
      '-c',
      'echo KILLSWITCH_LAN=nonsense >> /etc/ovpn-killswitch/killswitch.env',
    ]);
    await expect.poll(() => report().exit, SOON).toBe(0);
    expect(shape(dumpRules(sandbox))).toEqual(locked);
    sandbox.run(['sed', '-i', '/nonsense/d', '/etc/ovpn-killswitch/killswitch.env']);
  });

  test('an unlock for an hour ends with a reboot: the boot script loads the base, and the machine counts as locked', (context) => {
    const sandbox = machine.sandbox(context);
    if (product === undefined) throw new Error('not installed');
    product.succeed('lock');
    product.succeed('unlock', '--for', '1h');
    expect(product.report().exit).toBe(1);
    // The effect of a reboot on /run, and to the kernel's word for this boot.
    sandbox.run([
      'sh',
      '-c',
      `rm -rf /run/ovpn-killswitch; sed -i 's/"boot": "/"boot": "another-/' ${RECORD}`,
    ]);
    expect(sandbox.run(['/usr/local/lib/ovpn-killswitch/boot'], { only: {} })).toMatchObject({
      status: 0,
    });
    expect(product.report()).toMatchObject({ exit: 0, state: 'blocked' });
    product.succeed('unlock');
    expect(product.report().exit).toBe(1);
  });

  describe('changed settings on trial', () => {
    const SETTINGS = {
      KILLSWITCH_BACKEND: kind === 'nftables' ? 'nftables' : 'iptables',
      KILLSWITCH_ENDPOINTS: '203.0.113.10:1194/udp',
    } as const;
    const OTHER = {
      ...SETTINGS,
      KILLSWITCH_LAN: 'off',
      KILLSWITCH_ENDPOINTS: '203.0.113.99:443/tcp',
    } as const;

    function tried(context: TestContext, seconds: string) {
      const sandbox = machine.sandbox(context);
      if (product === undefined) throw new Error('not installed');
      product.set(SETTINGS);
      product.succeed('lock');
      const before = shape(dumpRules(sandbox));
      product.set(OTHER);
      expect(product.succeed('lock', '--confirm', seconds).stdout).toContain(
        'restores the previous lock',
      );
      expect(product.report()).toMatchObject({
        exit: 0,
        exact: true,
        until: null,
        trialUntil: expect.any(Number),
        settingsChanged: false,
      });
      const trial = shape(dumpRules(sandbox));
      expect(trial).not.toEqual(before);
      return { sandbox, product, before, trial };
    }

    test('revert by themselves to exactly the previous rules, with a tunnel that has come meanwhile', async (context) => {
      const { sandbox, product: it, before } = tried(context, String(pacedSeconds(12)));
      expect(it.hook('up').status).toBe(0);
      await expect
        .poll(() => it.report(), SOON)
        .toMatchObject({ exit: 0, state: 'connected', trialUntil: null, settingsChanged: true });
      expect(dumpRules(sandbox).nft + dumpRules(sandbox).ipv4).not.toContain('203.0.113.99');
      expect(it.hook('down').status).toBe(0);
      expect(shape(dumpRules(sandbox))).toEqual(before);
      expect(it.run('confirm').status).toBe(1);
    });

    test('are taken back by the next hook when everything that times them was killed', async (context) => {
      const seconds = pacedSeconds(10);
      const { sandbox, product: it, before } = tried(context, String(seconds));
      const timers = () =>
        sandbox
          .run(['sh', '-c', "grep -lz '^due$' /proc/[0-9]*/cmdline 2>/dev/null"])
          .stdout.match(/\d+/g) ?? [];
      // Only processes of the sandbox are seen there.
      for (const pid of timers()) sandbox.run(['kill', '-9', pid]);
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000 + 500));
      expect(it.report()).toMatchObject({ exit: 2, trialUntil: null });
      expect(it.hook('up').status).toBe(0);
      expect(it.report()).toMatchObject({ exit: 0, state: 'connected' });
      expect(it.hook('down').status).toBe(0);
      expect(shape(dumpRules(sandbox))).toEqual(before);
    });

    test('stay once they are confirmed, and are what the machine boots with', async (context) => {
      const seconds = pacedSeconds(12);
      const { sandbox, product: it, trial } = tried(context, String(seconds));
      const base = () => sandbox.run(['sh', '-c', 'cat /var/lib/ovpn-killswitch/base.*']).stdout;
      expect(base()).not.toContain('203.0.113.99');
      it.succeed('confirm');
      expect(base()).toContain('203.0.113.99');
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000 + 500));
      expect(it.report()).toMatchObject({ exit: 0, trialUntil: null, settingsChanged: false });
      expect(shape(dumpRules(sandbox))).toEqual(trial);
    });

    test('end with a reboot: the boot script loads the previous lock', (context) => {
      const { sandbox, product: it } = tried(context, '1h');
      sandbox.run([
        'sh',
        '-c',
        `rm -rf /run/ovpn-killswitch; sed -i 's/"boot": "/"boot": "another-/' ${RECORD}`,
      ]);
      expect(sandbox.run(['/usr/local/lib/ovpn-killswitch/boot'], { only: {} })).toMatchObject({
        status: 0,
      });
      expect(it.report()).toMatchObject({
        exit: 0,
        state: 'blocked',
        exact: true,
        trialUntil: null,
        settingsChanged: true,
      });
      expect(dumpRules(sandbox).nft + dumpRules(sandbox).ipv4).not.toContain('203.0.113.99');
    });

    test('leave nothing after unlock, after a plain lock, and after recover', (context) => {
      const { sandbox, product: it } = tried(context, '1h');
      const left = () =>
        sandbox.run(['sh', '-c', 'ls /run/ovpn-killswitch/trial 2>/dev/null; true']).stdout;
      expect(left()).not.toBe('');
      for (const args of [['lock'], ['unlock', '--for', '1h'], ['unlock'], ['recover']]) {
        it.set(SETTINGS);
        it.succeed('lock');
        it.set(OTHER);
        it.succeed('lock', '--confirm', '1h');
        it.succeed(...args);
        expect(left(), args.join(' ')).toBe('');
        expect(it.report(), args.join(' ')).toMatchObject({
          exit: args[0] === 'lock' ? 0 : 1,
          trialUntil: null,
        });
      }
    });

    test('of the other backend are refused, and change nothing', (context) => {
      const sandbox = machine.sandbox(context);
      if (product === undefined) throw new Error('not installed');
      product.set(SETTINGS);
      product.succeed('lock');
      const before = shape(dumpRules(sandbox));
      product.set({
        ...SETTINGS,
        KILLSWITCH_BACKEND: kind === 'nftables' ? 'iptables' : 'nftables',
      });
      expect(product.run('lock', '--confirm', '60')).toMatchObject({
        status: 64,
        stderr: expect.stringContaining('cannot revert that'),
      });
      expect(shape(dumpRules(sandbox))).toEqual(before);
      product.set(SETTINGS);
      expect(product.report()).toMatchObject({ exit: 0, trialUntil: null });
      product.succeed('unlock');
    });
  });

  test('an unlock for some time on an open machine is refused', (context) => {
    machine.sandbox(context);
    if (product === undefined) throw new Error('not installed');
    expect(product.run('unlock', '--for', '5m').stderr).toContain('not locked');
  });
});

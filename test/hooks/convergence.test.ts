import { describe, expect, test } from 'vitest';
import { tunnelCall } from './captures.ts';
import {
  BACKENDS,
  must,
  ran,
  STATE,
  TUNNELS,
  useMachine,
  withoutEnded,
} from './installed-machine.ts';

const DEVICES = Array.from({ length: 20 }, (_, index) => `tun${index}`);

const call = (device: string) => {
  const number = DEVICES.indexOf(device);
  return tunnelCall(device, {
    trusted_ip: `203.0.113.${number + 1}`,
    ifconfig_local: `10.${number}.0.2`,
    foreign_option_1: `dhcp-option DNS 10.${number}.0.1`,
  });
};

describe.each(BACKENDS)('with %s', (backend) => {
  const machine = useMachine((fresh) => fresh.relock(`KILLSWITCH_BACKEND=${backend}`));

  async function atOnce(hooks: readonly (readonly ['up' | 'down', string])[]): Promise<void> {
    const ended = await Promise.all(
      hooks.map(([hook, device]) => machine().startHook(hook, call(device))),
    );
    for (const each of ended) expect(each.status, ran(each)).toBe(0);
  }

  function expectLive(devices: readonly string[]): void {
    const { exact, tunnels, differences } = machine().status();
    expect({ exact, differences }).toEqual({ exact: true, differences: [] });
    expect(tunnels.map(({ device }) => device).sort()).toEqual([...devices].sort());
    const text = JSON.stringify(machine().rules());
    for (const device of DEVICES)
      expect(new RegExp(`(input|I)-${device}(?!\\d)`).test(text), device).toBe(
        devices.includes(device),
      );
  }

  test('twenty tunnels that come up at once are all live, and leave the base when they all end at once', async () => {
    const base = machine().rules();
    await atOnce(DEVICES.map((device) => ['up', device]));
    expectLive(DEVICES);
    await atOnce(DEVICES.map((device) => ['down', device]));
    expectLive([]);
    expect(withoutEnded(machine().rules())).toEqual(withoutEnded(base));
  });

  test('tunnels that come and go at once end in exactly those that came last', async () => {
    const some = DEVICES.slice(0, 12);
    const half = (rest: number) => some.filter((_, index) => index % 2 === rest);
    await atOnce(half(0).map((device) => ['up', device]));
    for (const round of [0, 1]) {
      await atOnce(some.map((device, index) => [index % 2 === round ? 'down' : 'up', device]));
      expectLive(half(1 - round));
    }
    await atOnce(half(0).map((device) => ['down', device]));
    expectLive([]);
  });

  test('nothing is left of the hooks but the log, and what keeps the addresses of ended tunnels shut', () => {
    expect(machine().list(TUNNELS)).toEqual([]);
    expect(machine().list('/run/ovpn-killswitch')).toEqual([
      'drops',
      'former',
      'last-transaction',
      'lock',
      'told',
      'traffic',
      'tunnels',
    ]);
    expect(
      machine()
        .list(STATE)
        .filter((name) => name.startsWith('.')),
    ).toEqual([]);
  });

  test('an unlock in the middle of ups leaves the machine open', async () => {
    const it = machine();
    const ups = DEVICES.slice(0, 6).map((device) => it.startHook('up', call(device)));
    const unlocked = it.sandbox.start(['/usr/local/sbin/ovpn-killswitch', 'unlock']);
    await Promise.all([...ups, new Promise((resolve) => unlocked.once('close', resolve))]);
    expect(unlocked.exitCode).toBe(0);
    expect(it.status()).toMatchObject({ state: 'unlocked' });
    expect(JSON.stringify(it.rules())).not.toContain('tun');
    must(it.command('lock', '--force'));
    expectLive(DEVICES.slice(0, 6));
    await atOnce(DEVICES.slice(0, 6).map((device) => ['down', device]));
  });
});

describe('on a machine that was never locked', () => {
  const machine = useMachine((fresh) => fresh.settings('KILLSWITCH_BACKEND=iptables'));

  test('twelve first ups at once lock it once, and unlock restores the state from before all of them', async () => {
    const it = machine();
    const devices = DEVICES.slice(0, 12);
    must(it.run('iptables', '-P', 'FORWARD', 'DROP'));
    for (const ended of await Promise.all(
      devices.map((device) => it.startHook('up', call(device))),
    ))
      expect(ended.status, ran(ended)).toBe(0);
    expect(it.status()).toMatchObject({ state: 'connected', exact: true });
    expect(it.status().tunnels).toHaveLength(devices.length);
    must(it.command('unlock'));
    const rules = it.rules();
    expect(['INPUT', 'FORWARD', 'OUTPUT'].map((chain) => rules[`ipv4 ${chain}`])).toEqual([
      ['policy ACCEPT'],
      ['policy DROP'],
      ['policy ACCEPT'],
    ]);
  });
});

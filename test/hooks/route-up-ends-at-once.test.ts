import { beforeEach, describe, expect, test } from 'vitest';
import { tunnelCall } from './captures.ts';
import {
  BACKENDS,
  type Call,
  hookArgv,
  LIBRARY,
  machineObstacle,
  must,
  ran,
  useMachine,
} from './installed-machine.ts';

const TOLD = '/run/ovpn-killswitch/told';
const PROGRAM = `${LIBRARY}/hooks.js`;
const UP = tunnelCall('tun0');

/** Facts that OpenVPN tells `route-up` after `up`; `more` is what it did not tell `up`. */
const routeUp = (more: Readonly<Record<string, string>> = {}): Call => ({
  argv: [],
  env: { ...UP.env, script_type: 'route-up', redirect_gateway: '1', ...more },
});

describe.each(BACKENDS)('route-up, with %s', (backend) => {
  const machine = useMachine((it) => {
    it.settings(`KILLSWITCH_BACKEND=${backend}`);
    must(it.command('lock', '--force'));
  });

  beforeEach(() => {
    if (machineObstacle() !== undefined) return;
    must(machine().hook('down', UP));
    must(machine().hook('up', UP));
  });

  /** Whether the hook's program is started: it is hidden meanwhile, and then the hook fails. */
  const starts = (run: () => { readonly status: number | null }): boolean => {
    must(machine().run('mv', PROGRAM, `${PROGRAM}.hidden`));
    const { status } = run();
    must(machine().run('mv', `${PROGRAM}.hidden`, PROGRAM));
    return status !== 0;
  };
  const startsFor = (call: Call) => starts(() => machine().hook('route-up', call));

  test('ends before it starts anything when up was told the same, and changes no rule', () => {
    const before = machine().rules();
    expect(startsFor(routeUp())).toBe(false);
    expect(machine().rules()).toEqual(before);
    expect(machine().status()).toMatchObject({ state: 'connected', exact: true });
  });

  test('does its work when it is told more or something else', () => {
    const route = { route_network_1: '10.66.0.0', route_netmask_1: '255.255.0.0' };
    expect(startsFor(routeUp(route))).toBe(true);
    expect(startsFor(routeUp({ trusted_ip: '203.0.113.11' }))).toBe(true);
    must(machine().hook('route-up', routeUp(route)));
    expect(machine().status().tunnels[0]?.networks).toContain('10.66.0.0/16');
  });

  test.each([
    ['the up of another tunnel', () => machine().hook('up', tunnelCall('tun1'))],
    ['a down', () => machine().hook('down', UP)],
    [
      'lock with other settings',
      () => {
        machine().settings(`KILLSWITCH_BACKEND=${backend}`, 'KILLSWITCH_LAN=off');
        return machine().command('lock', '--force');
      },
    ],
    ['an unlock', () => machine().command('unlock')],
    ['the boot script', () => machine().run(`${LIBRARY}/boot`)],
    ['recover', () => machine().run(`${LIBRARY}/recover`)],
  ])('does its work after %s', (_, work) => {
    const worked = work();
    expect(worked.status, ran(worked)).toBe(0);
    expect(startsFor(routeUp())).toBe(true);
    machine().hook('down', tunnelCall('tun1'));
    machine().settings(`KILLSWITCH_BACKEND=${backend}`);
    must(machine().command('lock', '--force'));
  });

  test('does its work when root alone has not written what up was told', () => {
    must(machine().run('chown', '65534', TOLD));
    expect(startsFor(routeUp())).toBe(true);
  });

  test('does its work as another account, which may not read it', () => {
    const argv = ['setpriv', '--reuid', '65534', '--clear-groups', '--'];
    expect(starts(() => machine().sandbox.run([...argv, ...hookArgv('route-up', routeUp())]))).toBe(
      true,
    );
  });

  test('calls what the profile had before, also when it was told nothing new', () => {
    const called = must(
      machine().hook('route-up', { ...routeUp(), argv: ['--then', '/bin/echo', 'called'] }),
    );
    expect(called.stdout).toContain('called');
  });
});

import { afterEach, describe, expect, test } from 'vitest';
import { parseAddress } from '../../src/net/address.ts';
import { contains, networkOf, parseNetwork } from '../../src/net/network.ts';
import { CAPTURES, type Capture, capture } from './captures.ts';
import {
  addedLines,
  BACKENDS,
  type Machine,
  must,
  type Rules,
  ran,
  useMachine,
  withoutEnded,
} from './installed-machine.ts';

/**
 * Addresses and networks in kernel listings: `-d 10.8.0.1/32`, `ip daddr { 10.0.0.0/8, 10.8.0.1 }`.
 */
function networksIn(text: string) {
  return [
    ...text.matchAll(
      /(?<![\w:.])(?:\d+\.\d+\.\d+\.\d+|[0-9a-f]*:[0-9a-f:]*:[0-9a-f:.]*)(?:\/\d+)?(?![\w:])/g,
    ),
  ].flatMap(([word]) => parseNetwork(word) ?? []);
}

/** Every address in an environment, whatever variable it stands in. */
function addressesIn({ env }: Capture) {
  return Object.values(env).flatMap((value) =>
    value.split(/[\s/,]+/).flatMap((word) => parseAddress(word) ?? []),
  );
}

/**
 * The resolvers a reader of openvpn(8) would take from an environment: on the ports of DNS, and the
 * first eight.
 */
function pushedResolvers({ env }: Capture): readonly string[] {
  const newer = Object.keys(env).some((name) => name.startsWith('dns_server_'));
  const texts = Object.entries(env)
    .sort(([one], [other]) => one.localeCompare(other, 'en', { numeric: true }))
    .flatMap(([name, value]) => {
      const port = env[name.replace('_address_', '_port_')];
      if (/^dns_server_\d+_address_\d+$/.test(name))
        return port === undefined || port === '53' || port === '853' ? [value] : [];
      return !newer && /^foreign_option_\d+$/.test(name)
        ? (/^dhcp-option DNS6? (\S+)$/.exec(value)?.[1] ?? [])
        : [];
    });
  // 0.0.0.0, loopback and multicast answer nobody's DNS.
  const hosts = texts
    .flatMap((text) => parseAddress(text)?.text ?? [])
    .filter((text) => !/^(0\.|127\.|22[4-9]\.|23\d\.|255\.|::1?$|ff)/.test(text));
  return [...new Set(hosts)].slice(0, 8).sort();
}

const SETTINGS = ['KILLSWITCH_ENDPOINTS=198.51.100.7:443/tcp'];

function checkConnected(machine: Machine, each: Capture, base: Rules, rules: Rules): void {
  const device = each.env['dev'] ?? '';
  const more = addedLines(base, rules);
  expect(addedLines(rules, base), 'rules of the base that are gone').toEqual([]);
  expect(more.length, 'rules that the tunnel brought').toBeGreaterThan(0);
  expect(more.some((line) => line.includes(device))).toBe(true);
  const known = addressesIn(each);
  // Neighbour discovery on a tap device: the link's own networks, which stand for nobody.
  const link = ['fe80::/10', 'ff02::/16'];
  for (const network of more.flatMap(networksIn).filter(({ text }) => !link.includes(text)))
    expect(
      known.some((address) => contains(network, networkOf(address))) && network.prefix >= 8,
      `${network.text} stands for no address of the environment`,
    ).toBe(true);
  const { state, exact, tunnels, differences } = machine.status();
  expect({ state, exact, differences, devices: tunnels.map((tunnel) => tunnel.device) }).toEqual({
    state: 'connected',
    exact: true,
    differences: [],
    devices: [device],
  });
  const [tunnel] = tunnels;
  expect([...(tunnel?.resolvers ?? [])].sort()).toEqual(pushedResolvers(each));
  const trusted = each.env['trusted_ip'] ?? each.env['trusted_ip6'];
  if (trusted !== undefined) {
    const host = parseAddress(trusted)?.text ?? '';
    const place = `${host.includes(':') ? `[${host}]` : host}:${each.env['trusted_port']}/`;
    expect(tunnel?.endpoints.length).toBeGreaterThan(0);
    for (const endpoint of tunnel?.endpoints ?? [])
      expect(endpoint.startsWith(place), `${endpoint} is not at ${place}`).toBe(true);
    expect(
      more
        .filter((line) => line.includes(host) && line.includes(each.env['trusted_port'] ?? ''))
        .join('\n'),
    ).toMatch(/accept/i);
  }
}

// A backend's rules for a tunnel depend on these facts alone: a second capture with the same
// facts would show nothing new.
function factsOf({ env, hook }: Capture): string {
  return JSON.stringify(
    Object.entries(env)
      .filter(([name]) =>
        /^(dev$|ifconfig_|route_|net_gateway|trusted_|remote_|proto_|foreign_option_|dns_server_)/.test(
          name,
        ),
      )
      .concat([['hook', hook === 'down' ? 'down' : 'up']])
      .sort(),
  );
}

const openings = CAPTURES.filter(({ hook }) => hook !== 'down');
const distinct = [...new Map(openings.map((each) => [factsOf(each), each])).values()];
const endings = CAPTURES.filter(({ hook }) => hook === 'down');

describe.each(BACKENDS)('with %s', (backend) => {
  const machine = useMachine((fresh) => fresh.relock(`KILLSWITCH_BACKEND=${backend}`, ...SETTINGS));

  // One tunnel that a failed test leaves behind must not fail the next test.
  afterEach(({ task }) => {
    if (task.result?.state === 'fail')
      machine().relock(`KILLSWITCH_BACKEND=${backend}`, ...SETTINGS);
  });

  test.each(distinct.map((each) => [each.file, each] as const))(
    '%s lets its tunnel pass and nothing else, and its end brings the base back',
    (_, each) => {
      const it = machine();
      const base = withoutEnded(it.rules());
      const up = it.hook(each.hook, each);
      expect(up.status, ran(up)).toBe(0);
      checkConnected(it, each, base, withoutEnded(it.rules(), each.env['dev']));
      const down = it.hook('down', {
        argv: each.hook === 'route-up' ? [] : each.argv,
        env: { dev: each.env['dev'] ?? '' },
      });
      expect(down.status, ran(down)).toBe(0);
      expect(withoutEnded(it.rules())).toEqual(base);
    },
  );

  test('every captured down ends with 0 and leaves the base, or all as it was where OpenVPN keeps the device', () => {
    const it = machine();
    const base = it.rules();
    for (const each of endings.filter((_, index) => backend === 'nftables' || index % 4 === 0)) {
      const device = each.env['dev'] ?? '';
      must(
        it.hook('up', {
          argv: [device],
          env: { dev: device, trusted_ip: '203.0.113.10', trusted_port: '1194' },
        }),
      );
      const connected = it.rules();
      expect(connected, each.file).not.toEqual(base);
      const down = it.hook('down', each);
      expect(down.status, `${each.file}\n${ran(down)}`).toBe(0);
      const kept = each.env['script_context'] === 'restart';
      expect(withoutEnded(it.rules()), each.file).toEqual(withoutEnded(kept ? connected : base));
      if (kept) must(it.hook('down', { ...each, env: { ...each.env, script_context: 'init' } }));
    }
    expect(it.status()).toMatchObject({ state: 'blocked', exact: true });
  });

  test('a first connect as OpenVPN 2.6 makes it leads from the base to the tunnel and back', () => {
    const it = machine();
    const base = it.rules();
    const [up, routeUp, down] = ['up', 'route-up', 'down'] as const;
    must(it.hook(up, capture('ovpn2.6.udp4-subnet.up.env')));
    const connected = it.rules();
    must(it.hook(routeUp, capture('ovpn2.6.udp4-subnet.route-up.env')));
    expect(it.rules()).toEqual(connected);
    must(it.hook(down, capture('ovpn2.6.udp4-subnet-sigterm.down.env')));
    expect(withoutEnded(it.rules())).toEqual(withoutEnded(base));
  });
});

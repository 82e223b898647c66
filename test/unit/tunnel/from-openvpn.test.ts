import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isUnicast, parseAddress } from '../../../src/net/address.ts';
import { endpointText } from '../../../src/net/endpoint.ts';
import { parseInterfaceName } from '../../../src/net/interface-name.ts';
import { contains, networkOf, parseNetwork } from '../../../src/net/network.ts';
import { parsePort } from '../../../src/net/port.ts';
import { type HookInput, readOpenvpnHook } from '../../../src/tunnel/from-openvpn.ts';
import { type HookEvent, type HookName, peerEndpoints } from '../../../src/tunnel/hook-event.ts';
import { CAPTURES, type Capture } from '../../support/captures.ts';
import { HOSTILE_TEXT } from '../../support/hostile-text.ts';
import { EXPECTED_TUNNELS } from './expected-tunnels.ts';

const HOOKS: readonly HookName[] = ['up', 'route-up', 'down'];
const isHook = (name: string): name is HookName => HOOKS.some((hook) => hook === name);

type TunnelUp = Extract<HookEvent, { kind: 'tunnel-up' }>;

function tunnelUp(event: HookEvent): TunnelUp {
  if (event.kind !== 'tunnel-up') throw new Error(JSON.stringify(event));
  return event;
}

const texts = (list: readonly { readonly text: string }[]) => list.map(({ text }) => text).sort();

/** Facts about a connection that a test needs only some of. */
const ENV = {
  dev: 'tun0',
  script_context: 'init',
  ifconfig_local: '10.8.0.2',
  ifconfig_netmask: '255.255.255.0',
  remote_1: '203.0.113.10',
  remote_port_1: '1194',
  proto_1: 'udp',
  trusted_ip: '203.0.113.10',
  trusted_port: '1194',
  daemon_pid: '4711',
} as const;
const up = (
  change: Readonly<Record<string, string | undefined>>,
  argv: readonly string[] = ['tun0'],
) => tunnelUp(readOpenvpnHook('up', { argv, env: { ...ENV, ...change } }));
const peerText = ({ peer }: TunnelUp) =>
  peer === undefined
    ? undefined
    : [peer.address.text, peer.port, ...[...peer.transports].sort()].join(' ');

describe('every captured up and route-up', () => {
  const captures = CAPTURES.filter(({ script }) => script === 'up' || script === 'route-up');

  test('has an expectation, and every expectation a capture', () => {
    expect(Object.keys(EXPECTED_TUNNELS).sort()).toEqual(captures.map(({ file }) => file).sort());
  });

  test.each(captures.map((capture) => [capture.file, capture.situation, capture] as const))(
    '%s: %s',
    (file, _, capture) => {
      const expected = EXPECTED_TUNNELS[file];
      const event = tunnelUp(readOpenvpnHook(capture.script === 'up' ? 'up' : 'route-up', capture));
      expect({
        device: event.tunnel.device,
        addresses: texts(event.tunnel.addresses),
        resolvers: texts(event.tunnel.resolvers),
        searchDomains: event.tunnel.searchDomains,
        networks: texts(event.tunnel.networks),
        peer:
          event.peer === undefined
            ? undefined
            : [event.peer.address.text, event.peer.port, ...event.peer.transports],
        refused: event.refused.map(({ variable }) => variable),
      }).toEqual({
        ...expected,
        addresses: [...(expected?.addresses ?? [])].sort(),
        resolvers: [...(expected?.resolvers ?? [])].sort(),
        networks: [...(expected?.networks ?? [])].sort(),
      });
      expect(event.daemon).toBe(Number(capture.env['daemon_pid']));
    },
  );
});

describe('every captured down', () => {
  const captures = CAPTURES.filter(
    ({ script }) => script === 'down' || script === 'down-root-plugin',
  );

  test.each(captures.map((capture) => [capture.file, capture.situation, capture] as const))(
    '%s: %s',
    (file, _, capture) => {
      const device = file.includes('.tap.') ? 'tap0' : 'tun0';
      const waits = capture.env['script_context'] === 'restart';
      // As the situations say: these clients went on.
      const reconnects =
        /sigusr1|sighup|pingrestart|server-exit|server-restart|tls-error|tcp4|options-changed|push-update|2\.[57]\.udp4-subnet|auth-failed|root-plugin/.test(
          file,
        );
      expect(readOpenvpnHook('down', capture)).toEqual(
        waits
          ? { kind: 'tunnel-waiting', device }
          : {
              kind: 'tunnel-down',
              device,
              reconnects,
              daemon: Number(capture.env['daemon_pid']),
            },
      );
    },
  );

  test('is known by its device alone, as when OpenVPN ends while it reconnects', () => {
    expect(readOpenvpnHook('down', { argv: ['tun0'], env: {} })).toMatchObject({
      kind: 'tunnel-down',
      device: 'tun0',
    });
    expect(readOpenvpnHook('down', { argv: [], env: { dev: 'tun0' } })).toMatchObject({
      kind: 'tunnel-down',
      device: 'tun0',
    });
  });
});

describe('the device', () => {
  test.each(HOOKS)('must be named for %s', (hook) => {
    expect(readOpenvpnHook(hook, { argv: [], env: {} })).toMatchObject({ kind: 'unreadable' });
    expect(readOpenvpnHook(hook, { argv: [], env: { dev: '' } })).toMatchObject({
      kind: 'unreadable',
    });
  });

  test.each(['up', 'down'] as const)(
    'is what the variable and the argument of %s both say',
    (hook) => {
      expect(readOpenvpnHook(hook, { argv: ['tun1'], env: { dev: 'tun0' } })).toMatchObject({
        kind: 'unreadable',
      });
      expect(readOpenvpnHook(hook, { argv: ['tun0'], env: { dev: 'tun0' } })).not.toMatchObject({
        kind: 'unreadable',
      });
    },
  );

  test('of route-up is in the variable alone: its arguments are the profile’s own', () => {
    expect(readOpenvpnHook('route-up', { argv: ['tun7'], env: ENV })).toMatchObject({
      kind: 'tunnel-up',
      tunnel: { device: 'tun0' },
    });
    expect(readOpenvpnHook('route-up', { argv: ['tun7'], env: {} })).toMatchObject({
      kind: 'unreadable',
    });
  });

  test.each(HOSTILE_TEXT.map((text) => [JSON.stringify(text).slice(0, 60), text]))(
    'is never %s',
    (_, text) => {
      for (const hook of HOOKS) {
        const event = readOpenvpnHook(hook, { argv: [text], env: { ...ENV, dev: text } });
        // A plain number is a name that the kernel takes.
        if (parseInterfaceName(text) === undefined) expect(event.kind).toBe('unreadable');
        if (event.kind === 'unreadable') expect(event.why).toMatch(/^[\x20-\x7e]*$/);
      }
    },
  );
});

describe('the peer', () => {
  test.each<readonly [string, Readonly<Record<string, string | undefined>>, string | undefined]>([
    ['is who the socket talks to', {}, '203.0.113.10 1194 udp'],
    [
      'is who the socket talks to, though the remote is a name',
      { remote_1: 'vpn.example.test' },
      '203.0.113.10 1194 udp',
    ],
    [
      'uses the transport of the remote with its address',
      { remote_2: '203.0.113.11', remote_port_2: '1194', proto_2: 'tcp-client' },
      '203.0.113.10 1194 udp',
    ],
    [
      'uses either transport when names on its port differ in theirs',
      {
        remote_1: 'a.example.test',
        remote_2: 'b.example.test',
        remote_port_2: '1194',
        proto_2: 'tcp-client',
      },
      '203.0.113.10 1194 tcp udp',
    ],
    [
      'has no known transport when no remote has its port, as behind a proxy',
      { trusted_port: '3128' },
      '203.0.113.10 3128',
    ],
    ['has no known transport when OpenVPN says none', { proto_1: undefined }, '203.0.113.10 1194'],
    [
      'has no known transport when OpenVPN says an unknown one',
      { proto_1: 'quic' },
      '203.0.113.10 1194',
    ],
    [
      'has no known transport in 2.7, whose proto_1 is that of the local side',
      { local_port_1: '1194' },
      '203.0.113.10 1194',
    ],
    [
      'is the only remote when there is no socket yet',
      { trusted_ip: undefined, trusted_port: undefined },
      '203.0.113.10 1194 udp',
    ],
    [
      'is unknown when the only remote is a name',
      { trusted_ip: undefined, trusted_port: undefined, remote_1: 'vpn.example.test' },
      undefined,
    ],
    [
      'is unknown when there is no socket and more than one remote',
      {
        trusted_ip: undefined,
        remote_2: '203.0.113.11',
        remote_port_2: '443',
        proto_2: 'tcp-client',
      },
      undefined,
    ],
    ['is unknown when its address is not one', { trusted_ip: '203.0.113.10;id' }, undefined],
    ['is unknown when its address is nobody’s', { trusted_ip: '0.0.0.0' }, undefined],
    ['is unknown when its port is not one', { trusted_port: '0' }, undefined],
    ['is unknown when its port is missing', { trusted_port: undefined }, undefined],
    [
      'is IPv6 when trusted_ip6 says so',
      {
        trusted_ip: undefined,
        trusted_ip6: '2001:db8:113::10',
        remote_1: '2001:db8:113::10',
        proto_1: 'udp6',
      },
      '2001:db8:113::10 1194 udp',
    ],
  ])('%s', (_, change, expected) => {
    expect(peerText(up(change))).toBe(expected);
  });

  test.each([
    ['udp', 'udp'],
    ['udp4', 'udp'],
    ['udp6', 'udp'],
    ['tcp', 'tcp'],
    ['tcp-client', 'tcp'],
    ['tcp4-client', 'tcp'],
    ['tcp6-client', 'tcp'],
  ])('that is reached over "%s" uses %s', (proto, transport) => {
    expect(up({ proto_1: proto }).peer?.transports).toEqual([transport]);
  });

  test('whose transport is unknown has the endpoints that are known at its address and port, else both', () => {
    const { peer } = up({ proto_1: undefined });
    const known = peerEndpoints(up({ proto_1: 'tcp-client' }).peer, []);
    const elsewhere = peerEndpoints(up({ trusted_ip: '203.0.113.99' }).peer, []);
    expect(peerEndpoints(peer, []).map(endpointText)).toEqual([
      '203.0.113.10:1194/udp',
      '203.0.113.10:1194/tcp',
    ]);
    expect(peerEndpoints(peer, known).map(endpointText)).toEqual(['203.0.113.10:1194/tcp']);
    expect(peerEndpoints(peer, elsewhere).map(endpointText)).toEqual([
      '203.0.113.10:1194/udp',
      '203.0.113.10:1194/tcp',
    ]);
    expect(peerEndpoints(undefined, known)).toEqual([]);
  });
});

describe('what the server pushed', () => {
  test('counts without gaps, as OpenVPN does', () => {
    expect(
      texts(
        up({
          foreign_option_1: 'dhcp-option DNS 10.8.0.1',
          foreign_option_3: 'dhcp-option DNS 10.8.0.3',
        }).tunnel.resolvers,
      ),
    ).toEqual(['10.8.0.1']);
  });

  test.each(HOSTILE_TEXT.map((text) => [JSON.stringify(text).slice(0, 60), text]))(
    '%s is no address, mask or network',
    (_, text) => {
      const values = {
        foreign_option_1: `dhcp-option DNS ${text}`,
        ifconfig_local: text,
        ifconfig_netmask: text,
        ifconfig_remote: text,
      };
      const routes = {
        route_network_1: text,
        route_netmask_1: text,
        route_ipv6_network_1: text,
        dns_server_1_address_1: text,
      };
      const { tunnel, refused } = up({
        ...values,
        ...routes,
        ifconfig_ipv6_local: text,
        ifconfig_ipv6_netbits: text,
        trusted_ip: text,
      });
      expect(tunnel).toMatchObject({ addresses: [], resolvers: [], networks: [] });
      for (const { value } of refused) expect(value).toMatch(/^[\x20-\x7e]{0,120}$/);
    },
  );

  test.each(['0.0.0.0', '127.0.0.1', '224.0.0.251', '255.255.255.255', '::1', 'ff02::fb'])(
    '%s is no resolver',
    (text) => {
      const { tunnel, refused } = up({ foreign_option_1: `dhcp-option DNS ${text}` });
      expect(tunnel.resolvers).toEqual([]);
      expect(refused).toMatchObject([{ variable: 'foreign_option_1' }]);
    },
  );

  test.each([
    ['dhcp-option DNS6 10.8.0.1', 'refused'],
    ['dhcp-option DNS fd00::1', 'taken'],
    ['dhcp-option dns 10.8.0.1', 'refused'],
    ['dhcp-option  DNS 10.8.0.1', 'refused'],
    ['dhcp-option DNS  10.8.0.1', 'refused'],
    ['dhcp-option DOMAIN 10.8.0.1', 'refused'],
    ['x dhcp-option DNS 10.8.0.1', 'refused'],
  ])('"%s" is %s', (value, fate) => {
    const { tunnel, refused } = up({ foreign_option_1: value });
    expect([tunnel.resolvers.length, refused.length]).toEqual(
      { taken: [1, 0], refused: [0, 1] }[fate],
    );
  });

  test.each([
    ['0.0.0.0', '128.0.0.0'],
    ['128.0.0.0', '128.0.0.0'],
    ['0.0.0.0', '0.0.0.0'],
    ['64.0.0.0', '192.0.0.0'],
  ])(
    'a route to %s %s stands for the default route and is no network of the tunnel',
    (network, mask) => {
      expect(
        texts(
          up({ route_network_1: network, route_netmask_1: mask, route_gateway_1: '10.8.0.1' })
            .tunnel.networks,
        ),
      ).toEqual(['10.8.0.0/24']);
    },
  );

  test('a route through the LAN’s gateway is not the tunnel’s, one through any other is', () => {
    const route = {
      route_net_gateway: '192.168.77.1',
      route_network_1: '198.51.100.0',
      route_netmask_1: '255.255.255.0',
    };
    expect(texts(up({ ...route, route_gateway_1: '192.168.77.1' }).tunnel.networks)).toEqual([
      '10.8.0.0/24',
    ]);
    expect(texts(up({ ...route, route_gateway_1: '10.8.0.1' }).tunnel.networks)).toEqual([
      '10.8.0.0/24',
      '198.51.100.0/24',
    ]);
    expect(texts(up(route).tunnel.networks)).toEqual(['10.8.0.0/24', '198.51.100.0/24']);
  });
});

// Everything below holds for any environment, however it came about.

const tokens = (env: HookInput['env']) =>
  Object.values(env).flatMap((value) =>
    (value ?? '').split(/[ /]/).flatMap((token) => parseAddress(token) ?? []),
  );

/** Nothing in the event is unparsed text, and every address in it stands in the environment. */
function expectOnlyParsed(event: HookEvent, env: HookInput['env']): void {
  if (event.kind === 'unreadable') {
    expect(event.why).toMatch(/^[\x20-\x7e]*$/);
    return;
  }
  if (event.kind !== 'tunnel-up') {
    expect(parseInterfaceName(event.device)).toBe(event.device);
    return;
  }
  const { tunnel, peer, daemon, refused } = event;
  const given = tokens(env);
  const isGiven = (text: string) => given.some((address) => address.text === text);
  expect(parseInterfaceName(tunnel.device)).toBe(tunnel.device);
  for (const address of [
    ...tunnel.addresses,
    ...tunnel.resolvers,
    ...(peer === undefined ? [] : [peer.address]),
  ]) {
    expect(parseAddress(address.text)?.family).toBe(address.family);
    expect(isUnicast(address)).toBe(true);
    expect(isGiven(address.text)).toBe(true);
  }
  for (const network of tunnel.networks) {
    expect(parseNetwork(network.text)).toEqual(network);
    expect(network.prefix).toBeGreaterThanOrEqual(8);
    expect(given.some((address) => contains(network, networkOf(address)))).toBe(true);
  }
  if (peer !== undefined) expect(parsePort(String(peer.port))).toBe(peer.port);
  if (daemon !== undefined) expect(Number.isSafeInteger(daemon) && daemon > 0).toBe(true);
  for (const { variable, value, why } of refused)
    expect(`${variable}${value}${why}`).toMatch(/^[\x20-\x7e]*$/);
}

const isIn = <Item>(list: readonly Item[], key: (item: Item) => string) => {
  const keys = new Set(list.map(key));
  return (item: Item) => keys.has(key(item));
};

/** With one variable less, nothing more may be reachable than before. */
function expectNoWider(
  before: TunnelUp,
  after: TunnelUp,
  removed: string,
  env: HookInput['env'],
): void {
  expect(after.tunnel.device).toBe(before.tunnel.device);
  expect(after.tunnel.addresses.every(isIn(before.tunnel.addresses, ({ text }) => text))).toBe(
    true,
  );
  // A server's port can be what refused it, and without its address those of the older options
  // count: through the tunnel, all of them.
  if (!removed.startsWith('dns_server_'))
    expect(after.tunnel.resolvers.every(isIn(before.tunnel.resolvers, ({ text }) => text))).toBe(
      true,
    );
  if (after.peer !== undefined) {
    // Without `trusted_ip` the only remote tells; nothing else may move the peer.
    const address = removed.startsWith('trusted_ip')
      ? [env['remote_1']]
      : [before.peer?.address.text];
    expect(address).toContain(after.peer.address.text);
    // No transport named means both may be: only a variable about transports may lead there.
    const { transports } = after.peer;
    const known = before.peer?.transports ?? [];
    if (known.length > 0 && !/^(proto|remote)_/.test(removed)) {
      expect(transports).not.toEqual([]);
      expect(transports.every((transport) => known.includes(transport))).toBe(true);
    }
  }
  // Networks are dropped off the tunnel: one more is stricter, and only a missing gateway may make
  // one more.
  if (!/gateway/.test(removed))
    for (const network of after.tunnel.networks)
      expect(before.tunnel.networks.some((outer) => contains(outer, network))).toBe(true);
}

describe('any capture of any script', () => {
  test('is read by every hook without an exception, and gives parsed values alone', () => {
    for (const capture of CAPTURES)
      for (const hook of HOOKS) expectOnlyParsed(readOpenvpnHook(hook, capture), capture.env);
  });

  test('read with one variable less never makes anything wider', () => {
    const hooks = CAPTURES.filter(
      (capture): capture is Capture & { readonly script: HookName } =>
        isHook(capture.script) && capture.script !== 'down',
    );
    for (const { script, argv, env } of hooks) {
      const before = tunnelUp(readOpenvpnHook(script, { argv, env }));
      for (const removed of Object.keys(env)) {
        if (/^(tls_|X509_|untrusted_|OPENVPN_|IV_|UV_)/.test(removed)) continue;
        const event = readOpenvpnHook(script, { argv, env: { ...env, [removed]: undefined } });
        if (removed === 'dev' && event.kind === 'unreadable') continue;
        expectNoWider(before, tunnelUp(event), removed, env);
      }
    }
  });
});

test('a device that was kept open is known by the context, which OpenVPN alone sets', () => {
  expect(up({}).kept).toBe(false);
  expect(up({ script_context: 'restart' }).kept).toBe(true);
  for (const [context, kind] of [
    ['init', 'tunnel-down'],
    ['restart', 'tunnel-waiting'],
    [undefined, 'tunnel-down'],
  ] as const)
    expect(
      readOpenvpnHook('down', { argv: ['tun0'], env: { ...ENV, script_context: context } }),
    ).toMatchObject({
      kind,
      device: 'tun0',
    });
});

describe('any environment', () => {
  const NAMES = [
    ...new Set(
      CAPTURES.flatMap(({ env }) => Object.keys(env)).filter(
        (name) => !/^(tls_|X509_|foreign_option_\d{2,}|OPENVPN_)/.test(name),
      ),
    ),
    'dns_server_1_address_1',
    'trusted_ip6',
  ];
  const VALUES = [
    ...new Set(
      CAPTURES.flatMap(({ env }) => Object.entries(env)).flatMap(([name, value]) =>
        NAMES.includes(name) ? [value] : [],
      ),
    ),
  ];
  const value = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...VALUES) },
    { weight: 2, arbitrary: fc.constantFrom(...HOSTILE_TEXT) },
    { weight: 1, arbitrary: fc.string() },
    {
      weight: 1,
      arbitrary: fc
        .uint8Array({ maxLength: 40 })
        .map((bytes) => Buffer.from(bytes).toString('utf8')),
    },
  );
  const changes = fc.dictionary(fc.constantFrom(...NAMES), fc.option(value, { nil: undefined }), {
    maxKeys: 12,
  });

  test('made of a capture with values swapped, removed and replaced by noise gives parsed values alone', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...CAPTURES),
        fc.constantFrom(...HOOKS),
        changes,
        (capture, hook, change) => {
          const env = { ...capture.env, ...change };
          expectOnlyParsed(readOpenvpnHook(hook, { argv: capture.argv, env }), env);
          expectOnlyParsed(readOpenvpnHook(hook, { argv: [env['dev'] ?? ''], env }), env);
        },
      ),
      { numRuns: 1500 },
    );
  });

  test('made of nothing but noise gives parsed values alone', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...HOOKS),
        changes,
        fc.array(fc.string(), { maxLength: 3 }),
        (hook, env, argv) => {
          expectOnlyParsed(readOpenvpnHook(hook, { argv, env }), env);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

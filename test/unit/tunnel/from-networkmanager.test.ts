import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isUnicast, parseAddress } from '../../../src/net/address.ts';
import { parseInterfaceName } from '../../../src/net/interface-name.ts';
import { readNetworkManagerCall } from '../../../src/tunnel/from-networkmanager.ts';
import type { HookInput } from '../../../src/tunnel/from-openvpn.ts';
import type { NetworkManagerEvent } from '../../../src/tunnel/networkmanager-event.ts';
import { DISPATCHER_CALLS, dispatcherCall } from '../../support/dispatcher-calls.ts';
import { HOSTILE_TEXT } from '../../support/hostile-text.ts';

type Up = Extract<NetworkManagerEvent, { kind: 'vpn-up' | 'device-up' }>;

const texts = (list: readonly { readonly text: string }[]) => list.map(({ text }) => text).sort();
const tunnelOf = ({ tunnel, refused }: Up) => ({
  device: tunnel.device,
  addresses: texts(tunnel.addresses),
  resolvers: texts(tunnel.resolvers),
  networks: texts(tunnel.networks),
  refused: refused.map(({ variable }) => variable),
});

/** The server of all captures pushed these, and the default route of both families. */
const TUNNEL = {
  device: 'tun0',
  addresses: ['10.8.0.2', 'fd00:8::1000'],
  resolvers: ['10.8.0.1', 'fd00:8::1'],
  networks: ['10.8.0.0/24', 'fd00:8::/64'],
  refused: [],
};

const up = dispatcherCall('nm-1.42-vpn-up-01-pre-up.d-tun0-vpn-pre-up.env');
const down = dispatcherCall('nm-1.42-openvpn-kill9-02-dispatcher.d-up0-vpn-down.env');
const deviceUp = dispatcherCall('nm-1.42-vpn-up-04-dispatcher.d-tun0-up.env');
const changed = (call: HookInput, change: Readonly<Record<string, string | undefined>>) =>
  readNetworkManagerCall({ argv: call.argv, env: { ...call.env, ...change } });
function vpnUp(event: NetworkManagerEvent): Extract<NetworkManagerEvent, { kind: 'vpn-up' }> {
  if (event.kind !== 'vpn-up') throw new Error(JSON.stringify(event));
  return event;
}

describe('every captured call', () => {
  const of = (...actions: readonly string[]) =>
    DISPATCHER_CALLS.filter(({ argv: [, action] }) => actions.includes(action)).map(
      (call) => [call.file, call] as const,
    );

  test('is one of 94, of two versions', () => {
    expect(DISPATCHER_CALLS).toHaveLength(94);
    expect(new Set(DISPATCHER_CALLS.map(({ file }) => file.slice(0, 7)))).toEqual(
      new Set(['nm-1.42', 'nm-1.52']),
    );
  });

  test.each(of('vpn-pre-up', 'vpn-up'))(
    '%s tells the whole tunnel, its connection and the keyfile',
    (_, call) => {
      const event = vpnUp(readNetworkManagerCall(call));
      expect(tunnelOf(event)).toEqual(TUNNEL);
      expect(event).toMatchObject({
        connection: call.env['CONNECTION_UUID'],
        again: call.argv[1] === 'vpn-up',
        file: '/etc/NetworkManager/system-connections/feasvpn.nmconnection',
      });
    },
  );

  test.each(of('vpn-down', 'vpn-pre-down'))(
    '%s ends the connection, whichever interface it names',
    (_, call) => {
      expect(readNetworkManagerCall(call)).toEqual({
        kind: 'vpn-down',
        connection: call.env['CONNECTION_UUID'],
      });
    },
  );

  test('of vpn-down names the uplink, and no device of the VPN, after OpenVPN has died', () => {
    const uplinks = of('vpn-down').filter(([, { argv }]) => argv[0] === 'up0');
    expect(uplinks.length).toBeGreaterThan(2);
    for (const [, { env }] of uplinks) expect(env['VPN_IP_IFACE']).toBeUndefined();
  });

  test.each(of('up').filter(([, { argv }]) => argv[0] === 'tun0'))(
    '%s tells the same tunnel, of the device alone',
    (_, call) => {
      const event = readNetworkManagerCall(call);
      if (event.kind !== 'device-up') throw new Error(JSON.stringify(event));
      expect(tunnelOf(event)).toEqual(TUNNEL);
    },
  );

  test.each(of('down').filter(([, { argv }]) => argv[0] === 'tun0'))(
    '%s tells that the device is down',
    (_, call) => {
      expect(readNetworkManagerCall(call)).toEqual({ kind: 'device-down', device: 'tun0' });
    },
  );

  test.each(
    DISPATCHER_CALLS.filter(
      ({ argv: [name, action] }) => name !== 'tun0' && action !== 'vpn-down',
    ).map((call) => [call.file, call] as const),
  )('%s is about no VPN', (_, call) => {
    const event = readNetworkManagerCall(call);
    expect(event.kind === 'other' || call.argv[0] === 'lo').toBe(true);
  });
});

describe('a call without one of its variables', () => {
  const without = (call: HookInput, name: string) => changed(call, { [name]: undefined });

  test.each(Object.keys(up.env))('%s is never read as more than it says', (name) => {
    const event = without(up, name);
    if (name === 'CONNECTION_UUID' || name === 'VPN_IP_IFACE') {
      expect(event.kind).toBe(name === 'VPN_IP_IFACE' ? 'vpn-without-device' : 'unreadable');
      return;
    }
    const found = vpnUp(event);
    const tunnel = tunnelOf(found);
    expect(found.file).toBe(
      name === 'CONNECTION_FILENAME' ? undefined : up.env['CONNECTION_FILENAME'],
    );
    expect(tunnel.addresses).toEqual(
      TUNNEL.addresses.filter((each) => !up.env[name]?.startsWith(`${each}/`)),
    );
    expect(tunnel.resolvers).toEqual(
      TUNNEL.resolvers.filter(
        (each) =>
          !name.endsWith('_NAMESERVERS') || !name.startsWith('VPN') || up.env[name] !== each,
      ),
    );
    for (const network of tunnel.networks) expect(TUNNEL.networks).toContain(network);
  });

  test.each(Object.keys(down.env))('%s still ends the connection when it has its uuid', (name) => {
    expect(without(down, name).kind).toBe(name === 'CONNECTION_UUID' ? 'unreadable' : 'vpn-down');
  });

  test('CONNECTION_EXTERNAL is about a device of NetworkManager itself, which no VPN has', () => {
    expect(without(deviceUp, 'CONNECTION_EXTERNAL')).toEqual({ kind: 'other' });
  });
});

describe('the device of a VPN', () => {
  const uplink = { VPN_IP_IFACE: 'up0' };

  test('is not the uplink, which a VPN without a device of its own names', () => {
    expect(
      readNetworkManagerCall({ argv: ['up0', 'vpn-pre-up'], env: { ...up.env, ...uplink } }).kind,
    ).toBe('vpn-without-device');
  });

  test('is what both the variable and the argument name', () => {
    expect(readNetworkManagerCall({ argv: ['tun1', 'vpn-pre-up'], env: up.env }).kind).toBe(
      'vpn-without-device',
    );
    expect(changed(up, { VPN_IP_IFACE: 'tun1' }).kind).toBe('vpn-without-device');
  });

  test.each(HOSTILE_TEXT.filter((text) => parseInterfaceName(text) === undefined))(
    'is not %j',
    (text) => {
      expect(
        readNetworkManagerCall({
          argv: [text, 'vpn-pre-up'],
          env: { ...up.env, VPN_IP_IFACE: text },
        }).kind,
      ).toBe('vpn-without-device');
      expect(
        readNetworkManagerCall({ argv: [text, 'down'], env: { CONNECTION_EXTERNAL: '1' } }),
      ).toEqual({ kind: 'other' });
    },
  );
});

describe('what the server has chosen', () => {
  test('is left out and reported where it is no address', () => {
    const event = vpnUp(
      changed(up, {
        VPN_IP4_NAMESERVERS: '10.8.0.1 $(reboot) 0.0.0.0 9.9.9.9#dns.example dns+tls://1.1.1.1',
        VPN_IP4_ADDRESS_0: '127.0.0.1/8 10.8.0.1',
        VPN_IP6_ROUTE_0: '2001:db8::/200 :: 50',
      }),
    );
    expect(tunnelOf(event)).toEqual({
      device: 'tun0',
      addresses: ['fd00:8::1000'],
      resolvers: ['10.8.0.1', '9.9.9.9', 'fd00:8::1'],
      networks: ['fd00:8::/64'],
      refused: [
        'VPN_IP4_ADDRESS_0',
        'VPN_IP4_NAMESERVERS',
        'VPN_IP4_NAMESERVERS',
        'VPN_IP4_NAMESERVERS',
        'VPN_IP6_ROUTE_0',
      ],
    });
  });

  test('gives the networks that are routed into the tunnel, without what stands for the default route', () => {
    const event = vpnUp(
      changed(up, {
        VPN_IP4_ROUTE_0: '10.20.0.0/16 10.8.0.1 50',
        VPN_IP4_ROUTE_1: '0.0.0.0/1 10.8.0.1 50',
        VPN_IP4_ROUTE_2: '192.0.2.7/32 0.0.0.0 50',
      }),
    );
    expect(tunnelOf(event).networks).toEqual([
      '10.20.0.0/16',
      '10.8.0.0/24',
      '192.0.2.7/32',
      'fd00:8::/64',
    ]);
  });

  test('does not claim the link-local addresses, which every interface has', () => {
    const event = vpnUp(
      changed(up, { VPN_IP6_ADDRESS_1: 'fe80::1/64 ::', VPN_IP6_ROUTE_4: 'fe80::/64 :: 50' }),
    );
    expect(tunnelOf(event)).toEqual(TUNNEL);
  });

  test('whatever it is, becomes addresses of hosts and nothing else', () => {
    const text = fc.oneof(fc.constantFrom(...HOSTILE_TEXT), fc.string(), fc.ipV4(), fc.ipV6());
    fc.assert(
      fc.property(text, text, text, (address, route, server) => {
        const { tunnel } = vpnUp(
          changed(up, {
            VPN_IP4_ADDRESS_0: address,
            VPN_IP4_ROUTE_0: route,
            VPN_IP4_NAMESERVERS: server,
          }),
        );
        for (const each of [...tunnel.addresses, ...tunnel.resolvers])
          expect(isUnicast(each) && parseAddress(each.text)?.text).toBe(each.text);
        for (const each of tunnel.networks) expect(each.prefix).toBeGreaterThanOrEqual(8);
      }),
    );
  });
});

test.each(HOSTILE_TEXT)('a connection called %j is the same to us as any other', (name) => {
  expect(changed(up, { CONNECTION_ID: name })).toEqual(readNetworkManagerCall(up));
});

test.each(HOSTILE_TEXT)('a connection whose uuid is %j is none', (uuid) => {
  expect(changed(down, { CONNECTION_UUID: uuid }).kind).toBe('unreadable');
});

test.each([
  '',
  'hostname',
  'pre-up',
  'pre-down',
  'connectivity-change',
  'dns-change',
  'reapply',
  'device-add',
  'dhcp4-change',
  '$(reboot)',
])('the action %j is about no tunnel', (action) => {
  expect(readNetworkManagerCall({ argv: ['tun0', action], env: up.env })).toEqual({
    kind: 'other',
  });
});

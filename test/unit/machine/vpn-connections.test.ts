import { describe, expect, test } from 'vitest';
import { KillswitchError } from '../../../src/errors.ts';
import { PATHS } from '../../../src/host/paths.ts';
import {
  guardedConnections,
  vpnConnection,
  vpnConnections,
} from '../../../src/machine/vpn-connections.ts';
import { endpointText } from '../../../src/net/endpoint.ts';
import { gaps } from '../../../src/record/gaps.ts';
import { gatherKnown, withNewConnections } from '../../../src/record/gather-known.ts';
import { profileEndpoints } from '../../../src/record/known-endpoints.ts';
import { parseConnectionUuid } from '../../../src/tunnel/networkmanager-event.ts';
import { fakeHost } from '../../support/fake-host.ts';
import { settingsOf } from '../../support/policies.ts';
import { vpnKeyfile } from '../../support/vpn-keyfile.ts';

const [A, B, C] = ['a', 'b', 'c'].map(
  (digit) => `${digit.repeat(8)}-4440-48b0-bdf8-0d3ad6826b17`,
) as [string, string, string];
const [ETC, RUN, USR] = ['/etc', '/run', '/usr/lib'].map(
  (folder) => `${folder}/NetworkManager/system-connections`,
);
const uuidOf = (text: string) => {
  const uuid = parseConnectionUuid(text);
  if (uuid === undefined) throw new Error(text);
  return uuid;
};

const files = {
  [PATHS.dispatcher]: '#!/bin/sh\n',
  [PATHS.passwd]: 'root:x:0:0::/root:/bin/sh\nnm-openvpn:x:113:119::/:/bin/false\n',
  [`${ETC}/a.nmconnection`]: vpnKeyfile({
    uuid: A,
    name: 'A',
    remote: '203.0.113.10:1194:udp, vpn.example:443:tcp',
  }),
  [`${RUN}/b.nmconnection`]: vpnKeyfile({ uuid: B, name: 'B', plugin: 'vpnc' }),
  [`${USR}/c.nmconnection`]: vpnKeyfile({ uuid: C, name: 'C', remote: '203.0.113.12' }),
  [`${ETC}/wifi.nmconnection`]: '[connection]\nid=Home\nuuid=1\ntype=wifi\n',
  [`${ETC}/broken`]: '\0[[[',
};
const names = (connections: readonly { readonly name: string }[]) =>
  connections.map(({ name }) => name);

describe('the VPN connections that NetworkManager keeps', () => {
  test('are those of people, in memory and of the distribution, and nothing else', () => {
    expect(names(vpnConnections(fakeHost({ files })))).toEqual(['A', 'B', 'C']);
  });

  test('are guarded when they are OpenVPN’s, and the dispatcher script is there to report their tunnels', () => {
    expect(names(guardedConnections(fakeHost({ files })))).toEqual(['A', 'C']);
    const { [PATHS.dispatcher]: _, ...rest } = files;
    expect(guardedConnections(fakeHost({ files: rest }))).toEqual([]);
  });

  test('are none where there is no NetworkManager', () => {
    expect(vpnConnections(fakeHost())).toEqual([]);
  });

  test('leave out a file that cannot be read, a folder say', () => {
    const host = fakeHost({ files });
    const read = (path: string) => {
      if (path.endsWith('/a.nmconnection'))
        throw new KillswitchError('FILES', 'it is a folder', '');
      return host.files.get(path);
    };
    expect(names(vpnConnections({ ...host, read }))).toEqual(['B', 'C']);
  });
});

describe('the connection of an event', () => {
  const host = fakeHost({ files });

  test.each([
    ['from the file that NetworkManager names', `${ETC}/a.nmconnection`],
    ['from wherever it is when that is another’s', `${USR}/c.nmconnection`],
    ['from wherever it is when that is gone', `${ETC}/gone`],
    ['from wherever it is when none is named', undefined],
  ])('is found by its uuid, %s', (_, file) => {
    expect(vpnConnection(host, uuidOf(A), file)?.name).toBe('A');
  });

  test('is undefined when nobody keeps it', () => {
    expect(vpnConnection(host, uuidOf('d'.repeat(32)), `${ETC}/a.nmconnection`)).toBeUndefined();
  });
});

describe('what may be reached while blocked', () => {
  const settings = settingsOf({});
  const gathered = (more: Readonly<Record<string, string>> = {}) =>
    gatherKnown(fakeHost({ files: { ...files, ...more } }), settings, undefined);

  test('is what the OpenVPN connections name, from root and from the account of the plugin', () => {
    const known = gathered();
    expect(known.endpoints.map(endpointText)).toEqual([
      '203.0.113.10:1194/udp',
      '203.0.113.12:1194/udp',
    ]);
    expect(known.uids).toEqual([0, 113]);
    expect(gaps(known)).toEqual([expect.stringMatching(/^no address is known for vpn\.example: /)]);
  });

  test('leaves the account out where it does not exist, and where the settings name another', () => {
    expect(gathered({ [PATHS.passwd]: 'root:x:0:0::/:/bin/sh\n' }).uids).toEqual([0]);
    expect(
      gatherKnown(fakeHost({ files }), settingsOf({ KILLSWITCH_ENDPOINT_OWNER: 'root' }), undefined)
        .uids,
    ).toEqual([0]);
  });

  test('grows by a connection that has come since, and forgets none', () => {
    const before = gathered();
    const { [`${USR}/c.nmconnection`]: _, ...rest } = files;
    const host = fakeHost({
      files: {
        ...rest,
        [`${ETC}/d.nmconnection`]: vpnKeyfile({ uuid: B, remote: '203.0.113.13, new.example' }),
      },
    });
    const after = withNewConnections(host, settings, before);
    expect(after.endpoints.map(endpointText)).toEqual([
      '203.0.113.10:1194/udp',
      '203.0.113.12:1194/udp',
      '203.0.113.13:1194/udp',
    ]);
    expect(after.named.map(({ name }) => name)).toEqual(['vpn.example', 'new.example']);
    expect(after.uids).toEqual([0, 113]);
  });

  test('of one connection is its addresses and those pinned for its names', () => {
    const host = fakeHost({ files });
    const known = gatherKnown(
      host,
      settings,
      undefined,
      (asked) =>
        new Map(
          asked.map((name) => [
            name,
            {
              addresses: gathered().endpoints.map(({ address }) => address),
              from: { kind: 'lock', resolvers: [] },
            },
          ]),
        ),
    );
    const [connection] = guardedConnections(host);
    if (connection === undefined) throw new Error('there is none');
    expect(profileEndpoints(connection.profile, known.pins).map(endpointText)).toEqual([
      '203.0.113.10:1194/udp',
      '203.0.113.10:443/tcp',
      '203.0.113.12:443/tcp',
    ]);
  });
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { distinctEndpoints, endpointText, parseEndpoint } from '../../../src/net/endpoint.ts';
import { anyEndpoint } from '../../support/arbitraries.ts';
import { HOSTILE_TEXT } from '../../support/hostile-text.ts';

describe('an endpoint', () => {
  test.each([
    ['203.0.113.10:1194/udp', { address: '203.0.113.10', port: 1194, transport: 'udp' }],
    ['203.0.113.10:65535/tcp', { address: '203.0.113.10', port: 65535, transport: 'tcp' }],
    ['[2001:DB8::1]:443/tcp', { address: '2001:db8::1', port: 443, transport: 'tcp' }],
  ])('"%s" is read', (text, { address, port, transport }) => {
    const endpoint = parseEndpoint(text);
    expect(endpoint?.address.text).toBe(address);
    expect(endpoint?.port).toBe(port);
    expect(endpoint?.transport).toBe(transport);
  });

  test.each([
    '203.0.113.10',
    '203.0.113.10:1194',
    '203.0.113.10/udp',
    '203.0.113.10:1194/sctp',
    '203.0.113.10:1194/UDP',
    '203.0.113.10:0/udp',
    '203.0.113.10:65536/udp',
    '203.0.113.10:01194/udp',
    '203.0.113.10:1194-1195/udp',
    '203.0.113.10:1194/udp\n',
    ' 203.0.113.10:1194/udp',
    '203.0.113.10:1194/udp ',
    '[203.0.113.10]:1194/udp',
    '2001:db8::1:443/tcp',
    '[2001:db8::1:443/tcp',
    '[fe80::1%eth0]:443/tcp',
    '[::ffff:203.0.113.10]:443/tcp',
    'vpn.example.test:1194/udp',
    '0.0.0.0:1194/udp',
    '127.0.0.1:1194/udp',
    '224.0.0.1:1194/udp',
    '255.255.255.255:1194/udp',
    '[::]:1194/udp',
    '[::1]:1194/udp',
    '[ff02::1]:1194/udp',
  ])('is not %j', (text) => {
    expect(parseEndpoint(text)).toBeUndefined();
  });

  test.each(HOSTILE_TEXT.map((text) => [JSON.stringify(text).slice(0, 60), text]))(
    'has no part %s',
    (_, text) => {
      expect(parseEndpoint(text)).toBeUndefined();
      expect(parseEndpoint(`${text}:1194/udp`)).toBeUndefined();
      expect(parseEndpoint(`[${text}]:1194/udp`)).toBeUndefined();
      expect(parseEndpoint(`203.0.113.10:${text}/udp`)).toBeUndefined();
      expect(parseEndpoint(`203.0.113.10:1194/${text}`)).toBeUndefined();
    },
  );

  test('is the same after it was written and read', () => {
    fc.assert(
      fc.property(anyEndpoint, (endpoint) => {
        expect(parseEndpoint(endpointText(endpoint))).toEqual(endpoint);
      }),
    );
  });

  test('stands once in a list of distinct ones, in an order that does not depend on how they came', () => {
    fc.assert(
      fc.property(fc.array(anyEndpoint, { maxLength: 6 }), (endpoints) => {
        const distinct = distinctEndpoints([...endpoints, ...endpoints]).map(endpointText);
        expect(new Set(distinct).size).toBe(distinct.length);
        expect(new Set(distinct)).toEqual(new Set(endpoints.map(endpointText)));
        expect(distinctEndpoints([...endpoints].reverse()).map(endpointText)).toEqual(distinct);
      }),
    );
  });
});

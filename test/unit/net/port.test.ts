import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { onlyPort, parsePort, parseService } from '../../../src/net/port.ts';
import { anyService } from '../../support/arbitraries.ts';
import { HOSTILE_TEXT } from '../../support/hostile-text.ts';

describe('a port', () => {
  test('is every number from 1 to 65535 in plain decimal', () => {
    for (let port = 1; port <= 65535; port++)
      if (parsePort(String(port)) !== port) expect.fail(String(port));
  });

  test.each([
    ...HOSTILE_TEXT.map((text) => [JSON.stringify(text).slice(0, 60), text]),
    ['"01194"', '01194'],
    ['"1194 "', '1194 '],
    ['"1194\\n"', '1194\n'],
    ['"1194/udp"', '1194/udp'],
    ['"https"', 'https'],
  ])('is not %s', (_, text = '') => {
    expect(parsePort(text)).toBeUndefined();
  });
});

describe('a service', () => {
  test.each([
    ['443/tcp', 443, 443, 'tcp'],
    ['6881-6889/udp', 6881, 6889, 'udp'],
    ['1-65535/tcp', 1, 65535, 'tcp'],
    ['22-22/tcp', 22, 22, 'tcp'],
  ])('"%s" is read', (text, first, last, transport) => {
    expect(parseService(text)).toEqual({ ports: { first, last }, transport });
  });

  test.each([
    '443',
    '/tcp',
    '443/',
    '443/icmp',
    '443/TCP',
    '0/tcp',
    '65536/tcp',
    '0-10/tcp',
    '10-1/tcp',
    '1-/tcp',
    '-1/tcp',
    '1-2-3/tcp',
    '443/tcp,80/tcp',
    '443/tcp\n',
    ' 443/tcp',
    '443 /tcp',
  ])('is not %j', (text) => {
    expect(parseService(text)).toBeUndefined();
  });

  test.each(HOSTILE_TEXT.map((text) => [JSON.stringify(text).slice(0, 60), text]))(
    'has no part %s',
    (_, text) => {
      expect(parseService(text)).toBeUndefined();
      expect(parseService(`${text}/tcp`)).toBeUndefined();
      expect(parseService(`443/${text}`)).toBeUndefined();
      expect(parseService(`22-${text}/tcp`)).toBeUndefined();
    },
  );

  test('is the same after it was written and read', () => {
    fc.assert(
      fc.property(anyService, (service) => {
        const { first, last } = service.ports;
        expect(parseService(`${first}-${last}/${service.transport}`)).toEqual(service);
        expect(parseService(`${first}/${service.transport}`)?.ports).toEqual(onlyPort(first));
      }),
    );
  });
});

import { expect, test } from 'vitest';
import { countedPart } from '../../../src/record/counted-part.ts';

const part = (path: string, text: string) => {
  const counted = countedPart(path, Buffer.from(text));
  return counted === undefined ? undefined : Buffer.from(counted).toString();
};

test('the log, the last transaction and code caches do not count', () => {
  for (const path of [
    '/var/log/ovpn-killswitch.log',
    '/run/ovpn-killswitch/last-transaction',
    '/usr/local/lib/ovpn-killswitch/hooks-nftables.cache',
  ])
    expect(part(path, 'x')).toBeUndefined();
});

test('of the known servers, all but the times counts', () => {
  const known = (seen: number, address: string) =>
    part(
      '/var/lib/ovpn-killswitch/endpoints.json',
      JSON.stringify({
        version: 1,
        pins: { 'vpn.example': { [address]: { seen, from: 'lock' } } },
      }),
    );
  expect(known(1, '192.0.2.1')).toBe(known(2, '192.0.2.1'));
  expect(known(1, '192.0.2.1')).not.toBe(known(1, '192.0.2.2'));
});

test('of the record, all but its time counts', () => {
  const record = (locked: boolean, since: number) =>
    part('/var/lib/ovpn-killswitch/lock.json', JSON.stringify({ locked, since, until: null }));
  expect(record(true, 1)).toBe(record(true, 2));
  expect(record(true, 1)).not.toBe(record(false, 1));
});

test('a damaged file counts byte by byte', () => {
  expect(part('/var/lib/ovpn-killswitch/lock.json', '{"since"')).toBe('{"since"');
});

test('any other file counts byte by byte', () => {
  expect(part('/etc/hosts', '{"seen":1}')).toBe('{"seen":1}');
});

import { expect, test } from 'vitest';
import { quota } from '../../../src/watch/quota.ts';
import { fakeHost } from '../../support/fake-host.ts';

test('two programs that undo each other’s work do not fill the disk: ten entries of an event a minute, and then how many were left out', () => {
  let now = 1_000;
  const host = { ...fakeHost(), now: () => now };
  const say = quota(host);
  for (let turn = 0; turn < 25; turn++)
    say({ level: 'warn', event: 'restored', message: `turn ${turn}` });
  expect(host.logged.map(({ message }) => message)).toEqual(
    Array.from({ length: 10 }, (_, turn) => `turn ${turn}`),
  );
  now += 60;
  say({ level: 'warn', event: 'restored', message: 'later' });
  expect(host.logged.slice(10).map(({ message }) => message)).toEqual([
    '15 more of "restored" were left out of the log',
    'later',
  ]);
});

test('what one event has used up is not taken from another', () => {
  const host = fakeHost();
  const say = quota(host);
  for (let turn = 0; turn < 25; turn++)
    say({ level: 'warn', event: 'restored', message: `turn ${turn}` });
  say({ level: 'warn', event: 'tunnel-stale', message: 'tun0' });
  expect(host.logged.map(({ event }) => event)).toEqual([
    ...Array.from({ length: 10 }, () => 'restored'),
    'tunnel-stale',
  ]);
});

test('a clock that is set back silences nothing', () => {
  let now = 1_000_000;
  const host = { ...fakeHost(), now: () => now };
  const say = quota(host);
  for (let turn = 0; turn < 25; turn++)
    say({ level: 'warn', event: 'restored', message: `turn ${turn}` });
  now = 1_000;
  say({ level: 'warn', event: 'restored', message: 'after' });
  expect(host.logged.at(-1)?.message).toBe('after');
});

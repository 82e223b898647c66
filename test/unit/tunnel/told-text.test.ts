import { expect, test } from 'vitest';
import { readOpenvpnHook } from '../../../src/tunnel/from-openvpn.ts';
import { TOLD, toldText } from '../../../src/tunnel/told-text.ts';
import { CAPTURES } from '../../support/captures.ts';

const PAIRS = CAPTURES.filter(({ script }) => script === 'route-up').flatMap((routeUp) => {
  const up = CAPTURES.find(({ file }) => file === routeUp.file.replace('.route-up.', '.up.'));
  return up === undefined ? [] : [{ file: routeUp.file, routeUp, up }];
});

test('there are captures of OpenVPN 2.5, 2.6 and 2.7 to compare', () => {
  expect(new Set(PAIRS.map(({ file }) => file.slice(0, 'ovpn2.x'.length)))).toEqual(
    new Set(['ovpn2.5', 'ovpn2.6', 'ovpn2.7']),
  );
});

test.each(PAIRS)('$file: route-up was told what up was told, in the same order', (pair) => {
  expect(toldText(pair.routeUp.env)).toBe(toldText(pair.up.env));
});

test('one more route, another server and another value are something else', () => {
  const env = { dev: 'tun0', trusted_ip: '203.0.113.10', script_type: 'up' };
  const told = toldText(env);
  expect(toldText({ ...env, script_type: 'route-up', redirect_gateway: '1' })).toBe(told);
  for (const other of [
    { ...env, route_network_1: '10.66.0.0' },
    { ...env, trusted_ip: '203.0.113.11' },
    { dev: 'tun0' },
  ])
    expect(toldText(other)).not.toBe(told);
});

test('every variable that a hook reads of a connection is told', () => {
  const read = new Set<string>();
  for (const { env, script, argv } of CAPTURES.filter(({ script }) =>
    /^(up|route-up)$/.test(script),
  ))
    readOpenvpnHook(script === 'up' ? 'up' : 'route-up', {
      argv,
      env: new Proxy(env, {
        get: (target, name) => {
          if (typeof name === 'string') read.add(name);
          return Reflect.get(target, name);
        },
      }),
    });
  expect([...read]).toEqual(expect.arrayContaining(['dev', 'trusted_ip', 'foreign_option_1']));
  expect([...read].filter((name) => !new RegExp(TOLD).test(name))).toEqual([]);
});

test('what may be a secret is not kept', () => {
  const env = { dev: 'tun0', password: 'p', auth_token: 'a', http_proxy: 'h', session_id: 's' };
  expect(toldText(env)).toBe('dev=tun0\0');
});

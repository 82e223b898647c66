import { beforeEach, describe, expect, test } from 'vitest';
import {
  addDevice,
  CONNECT,
  DISPATCHER_FOLDER,
  deleteDevice,
  dispatch,
  installForNetworkManager,
  keepConnection,
  liveDevices,
  startOver,
  UUID,
} from '../hooks/dispatch.ts';
import { must, type Rules, ran, useMachine, withoutEnded } from '../hooks/installed-machine.ts';
import { DISPATCHER_CALLS, type DispatcherCall } from '../support/dispatcher-calls.ts';

/** The calls of one situation that was captured, in order. */
const SITUATIONS = new Map<string, DispatcherCall[]>();
for (const call of DISPATCHER_CALLS) {
  const [, situation = ''] =
    /^(nm-[\d.]+-.*)-\d\d-(?:dispatcher|pre-up|pre-down)\.d-/.exec(call.file) ?? [];
  SITUATIONS.set(situation, [...(SITUATIONS.get(situation) ?? []), call]);
}
const shape = (calls: readonly DispatcherCall[]) =>
  calls.map(({ argv }) => argv.join(' ')).join(', ');
/** Those that differ in their calls. */
const DISTINCT = [
  ...new Map(
    [...SITUATIONS].map(([name, calls]) => [shape(calls), [name, calls] as const]),
  ).values(),
];

const machine = useMachine((fresh) => {
  installForNetworkManager(fresh);
  for (const uuid of new Set(DISPATCHER_CALLS.map(({ env }) => env['CONNECTION_UUID'] ?? '')))
    keepConnection(fresh, uuid);
});

beforeEach(() => startOver(machine()));

const withoutNetworks = (rules: Rules): Rules =>
  Object.fromEntries(Object.entries(rules).filter(([chain]) => !/-networks$/i.test(chain)));

describe('the calls of a whole situation', () => {
  test.each(
    DISTINCT.filter(([, calls]) => calls.some(({ argv: [, action] }) => action === 'vpn-up')),
  )(
    '%s: the tunnel passes when NetworkManager goes on after vpn-pre-up, and ever after',
    (_, calls) => {
      const it = machine();
      addDevice(it);
      for (const call of calls) {
        const folder = call.file.includes('-pre-up.d-')
          ? `${DISPATCHER_FOLDER}/pre-up.d`
          : DISPATCHER_FOLDER;
        const ended = dispatch(it, call, folder);
        expect(ended.status, ran(ended)).toBe(0);
        if (call.argv[1] === 'vpn-pre-up') expect(liveDevices(it)).toEqual(['tun0']);
      }
      expect(it.status()).toMatchObject({
        state: 'connected',
        exact: true,
        tunnels: [
          {
            device: 'tun0',
            resolvers: ['10.8.0.1', 'fd00:8::1'],
            networks: ['10.8.0.0/24', 'fd00:8::/64'],
            stale: false,
          },
        ],
      });
    },
  );

  test.each(
    DISTINCT.filter(
      ([name, calls]) =>
        /-(tun-deleted|nm-stop|nm-restart|nm-kill9)$/.test(name) ||
        calls.some(({ argv: [, action] }) => action === 'vpn-down'),
    ),
  )('%s: the base is back', (_, calls) => {
    const it = machine();
    const base = it.rules();
    addDevice(it);
    const uuid =
      calls.find(({ argv: [, action] }) => action === 'vpn-down')?.env['CONNECTION_UUID'] ?? UUID;
    must(dispatch(it, { ...CONNECT, env: { ...CONNECT.env, CONNECTION_UUID: uuid } }));
    expect(it.rules()).not.toEqual(base);
    // A tunnel that survives the service that made it ends with vpn-down alone.
    if (!calls.some(({ file }) => file.includes('nm-openvpn-service-kill9'))) deleteDevice(it);
    for (const call of calls) {
      const ended = dispatch(it, call);
      expect(ended.status, ran(ended)).toBe(0);
    }
    // After a kill its networks stay shut until it is back, or until lock.
    expect(withoutNetworks(withoutEnded(it.rules()))).toEqual(withoutNetworks(withoutEnded(base)));
    expect(it.status()).toMatchObject({ state: 'blocked', exact: true });
  });
});

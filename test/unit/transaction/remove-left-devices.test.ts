import { expect, test } from 'vitest';
import type { Output } from '../../../src/host/command.ts';
import { parseInterfaceName } from '../../../src/net/interface-name.ts';
import { writeLiveTunnel } from '../../../src/record/live-tunnels.ts';
import { ownerlessDevices } from '../../../src/record/offloaded.ts';
import { removeLeftDevices } from '../../../src/transaction/remove-left-devices.ts';
import { fakeHost } from '../../support/fake-host.ts';

const DEVICE = parseInterfaceName('tun0') ?? expect.unreachable();
const PID = 4711;

interface Left {
  readonly uevent?: string;
  readonly operstate?: string;
  /** Whether the OpenVPN that made it still runs. */
  readonly runs?: boolean;
  readonly offloaded?: boolean;
  readonly answer?: Partial<Output>;
}

/** A machine with a tunnel whose OpenVPN was killed, and whose device stayed. */
function machine({
  uevent = 'DEVTYPE=ovpn',
  operstate = 'down',
  runs = false,
  offloaded = true,
  answer = {},
}: Left = {}) {
  const host = fakeHost({
    files: {
      '/proc/net/dev': 'Inter-|\n face |\n  eth0: 0 0\n  tun0: 0 0\n',
      '/sys/class/net/eth0/type': '1\n',
      '/sys/class/net/tun0/type': '65534\n',
      '/sys/class/net/tun0/uevent': `${uevent}\nINTERFACE=tun0\n`,
      '/sys/class/net/tun0/operstate': `${operstate}\n`,
      ...(runs && { [`/proc/${PID}/stat`]: `${PID} (openvpn) S ${'0 '.repeat(18)}99 0` }),
    },
    answer: () => answer,
  });
  writeLiveTunnel(host, {
    tunnel: {
      device: DEVICE,
      endpoints: [],
      addresses: [],
      resolvers: [],
      networks: [],
      ...(offloaded && { offloaded: true }),
    },
    since: 0,
    daemon: { pid: PID, start: '99' },
    deviceSeen: true,
  });
  return host;
}
const argv = (host: ReturnType<typeof machine>) =>
  host.commands.map(({ program, args }) => [program, ...args].join(' '));

test('the device that a killed OpenVPN left behind is removed, and named by doctor until then', () => {
  const host = machine();
  expect(ownerlessDevices(host)).toEqual(['tun0']);
  removeLeftDevices(host);
  expect(argv(host)).toEqual(['ip link delete dev tun0']);
  expect(host.logged.map(({ message }) => message)).toEqual([
    'tun0: removed the device that its OpenVPN left behind',
  ]);
});

test('one that cannot be removed is named with the command', () => {
  const host = machine({
    answer: { status: 2, stderr: 'RTNETLINK answers: Operation not permitted\n' },
  });
  removeLeftDevices(host);
  expect(host.logged[0]?.message).toMatch(/not permitted\): sudo ip link delete dev tun0$/);
});

test.each<readonly [string, Left, readonly string[]]>([
  ['whose OpenVPN runs', { runs: true }, []],
  ['that has a peer', { operstate: 'unknown' }, []],
  ['that another driver made', { uevent: 'DEVTYPE=bridge' }, []],
  ['of which nothing says that it was made for that tunnel', { offloaded: false }, ['tun0']],
])('a device %s stays', (_, left, named) => {
  const host = machine(left);
  removeLeftDevices(host);
  expect(argv(host)).toEqual([]);
  expect(ownerlessDevices(host)).toEqual(named);
});

test('the device that a hook is about stays', () => {
  const host = machine();
  removeLeftDevices(host, DEVICE);
  expect(argv(host)).toEqual([]);
});

import type { HookName } from '../../src/tunnel/hook-event.ts';
import { type Capture as Captured, CAPTURES as EVERY } from '../support/captures.ts';
import type { Call } from './installed-machine.ts';

/** A call of a hook by a real OpenVPN: see the folder's index.json. */
export interface Capture extends Call, Pick<Captured, 'file' | 'situation' | 'bytes'> {
  readonly hook: HookName;
}

const isHook = (name: string): name is HookName =>
  name === 'up' || name === 'down' || name === 'route-up';

/** Every captured up, route-up and down of OpenVPN itself. */
export const CAPTURES: readonly Capture[] = EVERY.flatMap(({ script, ...capture }) =>
  isHook(script) ? [{ ...capture, hook: script }] : [],
);

/** @throws Error when there is no such capture. */
export function capture(file: string): Capture {
  const found = CAPTURES.find((each) => each.file === file);
  if (found === undefined) throw new Error(`no capture ${file}`);
  return found;
}

/** A call of a plain tunnel, for tests in which only the device or one value matters. */
export function tunnelCall(device: string, more: Readonly<Record<string, string>> = {}): Call {
  return {
    argv: [device, '1500', '0', '10.8.0.2', '255.255.255.0', 'init'],
    env: {
      script_type: 'up',
      script_context: 'init',
      dev: device,
      dev_type: 'tun',
      ifconfig_local: '10.8.0.2',
      ifconfig_netmask: '255.255.255.0',
      trusted_ip: '203.0.113.10',
      trusted_port: '1194',
      remote_1: '203.0.113.10',
      remote_port_1: '1194',
      proto_1: 'udp',
      foreign_option_1: 'dhcp-option DNS 10.8.0.1',
      ...more,
    },
  };
}

import { readFileSync } from 'node:fs';
import type { HookName } from '../../src/tunnel/hook-event.ts';
import type { Call } from './installed-machine.ts';

const FOLDER = new URL('../fixtures/openvpn/', import.meta.url);

/** What a real OpenVPN gave a hook: see the folder's index.json. */
export interface Capture extends Call {
  readonly file: string;
  readonly hook: HookName;
  readonly situation: string;
  /** The environment's bytes: `NAME=value` and a newline, which no value can hold. */
  readonly bytes: Uint8Array;
}

interface IndexEntry {
  readonly file: string;
  readonly program: string;
  readonly hook: string;
  readonly situation: string;
  readonly argv: readonly string[];
}

function environment(bytes: Uint8Array): Readonly<Record<string, string>> {
  const entries = Buffer.from(bytes)
    .toString('utf8')
    .split('\n')
    .filter((entry) => entry !== '')
    .map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)] as const);
  return Object.fromEntries(entries);
}

const isHook = (name: string): name is HookName => name === 'up' || name === 'down' || name === 'route-up';

function readCaptures(): readonly Capture[] {
  const index = JSON.parse(readFileSync(new URL('index.json', FOLDER), 'utf8')) as readonly IndexEntry[];
  return index.flatMap(({ file, program, hook, situation, argv }) => {
    if (!program.startsWith('OpenVPN') || !isHook(hook)) return [];
    const bytes = readFileSync(new URL(file, FOLDER));
    return [{ file, hook, situation, argv: argv.slice(1), env: environment(bytes), bytes }];
  });
}

/** Every captured up, route-up and down of OpenVPN itself. */
export const CAPTURES = readCaptures();

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

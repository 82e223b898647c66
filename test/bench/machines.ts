import { readFileSync } from 'node:fs';
import { openSandbox, type Sandbox } from '../../src/host/sandbox.ts';
import type { Transport } from '../../src/net/port.ts';
import type { BackendName } from '../../src/policy/settings.ts';
import { installProduct } from '../../src/proof/product.ts';
import type { HookName } from '../../src/tunnel/hook-event.ts';
import { type Stopwatch, startStopwatch } from './measure.ts';
import type { Run } from './stopwatch.ts';

export const LIBRARY = '/usr/local/lib/ovpn-killswitch';
/** Of this very clone: the bench is started in its root. */
export const DIST: string = `${process.cwd()}/dist`;
export const COMMAND = '/usr/local/sbin/ovpn-killswitch';

/** A sandbox with the product, locked. */
export interface BenchMachine {
  readonly sandbox: Sandbox;
  readonly stopwatch: Stopwatch;
}

export interface Shape {
  readonly backend: BackendName;
  readonly endpoints?: number;
  readonly profiles?: number;
  /** Tunnels that are up already. */
  readonly tunnels?: number;
  /** The Node that the product is installed with; this one without it. */
  readonly node?: string;
  /** Of each endpoint; UDP alone without this. */
  readonly transports?: readonly Transport[];
}

/** An address for each number, of the benchmarking network (RFC 2544). */
export function serverAddress(number: number): string {
  return `198.${18 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`;
}

const ARGUMENTS = (device: string) => [device, '1500', '0', '10.8.0.2', '255.255.255.0', 'init'];

/**
 * A hook as OpenVPN starts it, for a profile with so many `remote` lines; it is connected to the
 * first, whose number is `server`.
 */
export function hookRun(
  hook: HookName,
  {
    device = 'tun0',
    remotes = 4,
    server = 1,
    routes = 0,
    program = [`${LIBRARY}/hooks/${hook}`],
  } = {},
): Run {
  const env: Record<string, string> = {
    script_type: hook,
    script_context: 'init',
    dev: device,
    ifconfig_local: '10.8.0.2',
    ifconfig_netmask: '255.255.255.0',
    trusted_ip: serverAddress(server),
    trusted_port: '1194',
    foreign_option_1: 'dhcp-option DNS 10.8.0.1',
  };
  for (let number = 1; number <= remotes; number++) {
    env[`remote_${number}`] = serverAddress(number === 1 ? server : number);
    env[`remote_port_${number}`] = '1194';
    env[`proto_${number}`] = 'udp';
  }
  for (let number = 1; number <= routes; number++) {
    env[`route_network_${number}`] = `10.${number}.0.0`;
    env[`route_netmask_${number}`] = '255.255.0.0';
  }
  return { argv: [...program, ...(hook === 'route-up' ? [] : ARGUMENTS(device))], env };
}

/** Numbers from 1. */
export function count(most: number): readonly number[] {
  return Array.from({ length: most }, (_, index) => index + 1);
}

export async function openMachine(stopwatch: string, shape: Shape): Promise<BenchMachine> {
  const { backend, endpoints = 4, profiles = 0, tunnels = 0, transports = ['udp'], node } = shape;
  const sandbox = await openSandbox();
  // The settings take a list; thousands are in profiles, as they would be.
  const listed = count(Math.min(endpoints, 100)).flatMap((number) =>
    transports.map((transport) => `${serverAddress(number)}:1194/${transport}`),
  );
  const settings = [
    `KILLSWITCH_BACKEND=${backend}`,
    `KILLSWITCH_ENDPOINTS=${listed.join(',')}`,
    'KILLSWITCH_RESOLVER=off',
    '',
  ];
  const product = await installProduct(sandbox, DIST, settings.join('\n'), node);
  const remotes = count(endpoints).flatMap((number) =>
    transports.map((transport) => `remote ${serverAddress(number)} 1194 ${transport}`),
  );
  const files = [
    ...(endpoints > 100 ? [['many', ['client', 'dev tun', ...remotes]] as const] : []),
    ...count(profiles).map(
      (number) =>
        [`p${number}`, ['client', 'dev tun', `remote ${serverAddress(number)} 1194 udp`]] as const,
    ),
  ];
  const script = files
    .map(
      ([name, lines]) =>
        `cat >/etc/openvpn/client/${name}.conf <<'END'\n${lines.join('\n')}\nEND\n`,
    )
    .join('');
  const { status, stderr } = sandbox.run(['sh', '-e'], {
    stdin: `mkdir -p /etc/openvpn/client\n${script}`,
  });
  if (status !== 0) throw new Error(stderr);
  await product.must('lock', '--force');
  const machine = { sandbox, stopwatch: startStopwatch(sandbox, stopwatch) };
  for (const number of count(tunnels)) {
    const ran = await machine.stopwatch(hookRun('up', { device: `old${number}` }));
    if (ran.status !== 0) throw new Error(ran.stderr);
  }
  return machine;
}

/** Writes a program into a sandbox. */
export function place(sandbox: Sandbox, path: string, text: string): void {
  const { status, stderr } = sandbox.run(['sh', '-c', `cat >${path}; chmod 755 ${path}`], {
    stdin: text,
  });
  if (status !== 0) throw new Error(stderr);
}

export function cpuModel(): string {
  return /^model name\s*: (.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? 'unknown';
}

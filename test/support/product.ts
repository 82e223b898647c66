import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { PATHS } from '../../src/host/paths.ts';
import type { Ran, Sandbox } from '../../src/host/sandbox.ts';
import type { SettingsKey } from '../../src/policy/settings.ts';
import type { HookName } from '../../src/tunnel/hook-event.ts';
import { OPENVPN_ENVIRONMENT } from './openvpn-environment.ts';
import { sandboxHost } from './sandbox-host.ts';

const BUILT = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));

/** The parts of `status --json` that tests ask for. */
export interface Report {
  readonly exit: number | null;
  readonly state: string;
  readonly exact: boolean;
  readonly backend: string;
  readonly differences: readonly {
    readonly family: string | null;
    readonly chain: string;
    readonly rule: string | null;
    readonly what: string;
  }[];
}

/** The product as a user has it: built, installed in a sandbox, and run from there. */
export interface Product {
  /** Runs `ovpn-killswitch` with these words. */
  run(...args: readonly string[]): Ran;
  /** The same, and it must end with status 0. @throws Error with everything it said. */
  succeed(...args: readonly string[]): Ran;
  /** Runs an installed hook as OpenVPN does: with its variables and no others. */
  hook(name: HookName, variables?: Readonly<Record<string, string>>): Ran;
  /** Writes the settings file anew. */
  set(values: Partial<Record<SettingsKey, string>>): void;
  /** The output of `status --json`, and its exit status. */
  report(): Report;
}

function failed(what: string, { status, stdout, stderr }: Ran): Error {
  return new Error(`${what} ended with ${status}:\n${stdout}${stderr}`);
}

/** Installs `dist` in a sandbox. @throws Error when it was not built or cannot be installed. */
export function installProduct(sandbox: Sandbox): Product {
  if (!existsSync(BUILT)) throw new Error(`${BUILT} is missing: npm run build`);
  const installed = sandbox.run([process.execPath, BUILT, 'install'], { only: {} });
  if (installed.status !== 0) throw failed('install', installed);
  const run = (...args: readonly string[]) => sandbox.run([PATHS.command, ...args], { only: {} });
  const succeed = (...args: readonly string[]) => {
    const ran = run(...args);
    if (ran.status !== 0) throw failed(args.join(' '), ran);
    return ran;
  };
  return {
    run,
    succeed,
    hook: (name, variables = OPENVPN_ENVIRONMENT) => {
      const device = variables['dev'] ?? '';
      const args =
        name === 'route-up'
          ? []
          : [device, '1500', '0', variables['ifconfig_local'] ?? '', '255.255.255.0', 'init'];
      return sandbox.run([`${PATHS.library}/hooks/${name}`, ...args], {
        only: {
          ...(name === 'down' && { signal: 'sigterm' }),
          ...variables,
          script_type: name,
          script_context: 'init',
        },
      });
    },
    set: (values) => {
      const lines = Object.entries(values).map(([key, value]) => `${key}=${value}\n`);
      sandboxHost(sandbox).write(PATHS.settings, lines.join(''));
    },
    report: () => {
      const ran = run('status', '--json');
      if (ran.stdout === '') throw failed('status', ran);
      return { ...(JSON.parse(ran.stdout) as Omit<Report, 'exit'>), exit: ran.status };
    },
  };
}

import { dirname } from 'node:path';
import { PATHS } from '../host/paths.ts';
import type { Ran, Sandbox } from '../host/sandbox.ts';
import { NODE } from './addresses.ts';
import { patiently } from './wait-until.ts';

/**
 * Folders of the product and of OpenVPN. The sandbox covers them, so that it never shows those of a
 * machine that has them already.
 */
export const PRODUCT_FOLDERS: readonly string[] = [
  PATHS.state,
  PATHS.library,
  '/etc/ovpn-killswitch',
  '/etc/openvpn',
];

/** The installed product inside a sandbox. */
export interface Product {
  /** Runs `ovpn-killswitch …`, like a user at a root shell. */
  command(...args: readonly string[]): Promise<Ran>;
  /** Does the same. @throws Error with the command's output when its exit status is not 0. */
  must(...args: readonly string[]): Promise<string>;
}

/** Replaces the settings file; `lock` reads it. */
export async function writeSettings(sandbox: Sandbox, settings: string): Promise<void> {
  const { status, stderr } = await sandbox.ask(
    ['sh', '-euc', `mkdir -p ${dirname(PATHS.settings)}; cat >${PATHS.settings}`],
    {
      stdin: settings,
    },
  );
  if (status !== 0) throw new Error(`${PATHS.settings}: ${stderr}`);
}

/**
 * Installs the programs in `dist`, with these settings, for a Node.
 * @throws Error with the command's output.
 */
export async function installProduct(
  sandbox: Sandbox,
  dist: string,
  settings: string,
  node = NODE,
): Promise<Product> {
  await writeSettings(sandbox, settings);
  const { status, stdout, stderr } = await sandbox.ask([node, `${dist}/cli.js`, 'install'], {
    milliseconds: patiently(30_000),
  });
  if (status !== 0) throw new Error(`ovpn-killswitch install: ${stdout}${stderr}`);
  const command = (...args: readonly string[]) =>
    sandbox.ask([PATHS.command, ...args], { milliseconds: patiently(60_000) });
  return {
    command,
    must: async (...args) => {
      const ran = await command(...args);
      if (ran.status !== 0)
        throw new Error(
          `ovpn-killswitch ${args.join(' ')}: exit status ${ran.status}\n${ran.stdout}${ran.stderr}`,
        );
      return ran.stdout;
    },
  };
}

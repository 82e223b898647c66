import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { MachinePlan } from './machine.ts';

/** OpenVPN's versions with a Debian that ships each: bullseye, bookworm, trixie with backports. */
export const OPENVPNS = ['2.5', '2.6', '2.7'] as const;
export type OpenvpnVersion = (typeof OPENVPNS)[number];

const CACHE = process.env['OVPN_KILLSWITCH_LAB'] ?? '/var/cache/ovpn-killswitch-lab';

/**
 * A machine with the files of this root, a name in the table of `.ci/rootfs`, which builds it. This
 * repository and Node are shown in it.
 */
export function builtRoot(name: string): MachinePlan {
  const root = `${CACHE}/${name}`;
  if (!existsSync(`${root}.ready`))
    return { obstacle: `${root} is not built: run .ci/rootfs ${name} as root` };
  if (process.getuid?.() !== 0) return { obstacle: 'another Debian needs root' };
  return { root, show: [resolve(import.meta.dirname, '../..'), process.execPath] };
}

/** A machine that runs the Debian which ships this OpenVPN. */
export function debianRoot(version: OpenvpnVersion): MachinePlan {
  return builtRoot(`openvpn-${version}`);
}

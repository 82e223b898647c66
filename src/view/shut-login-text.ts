import { PATHS } from '../host/paths.ts';
import { UNNAMED } from '../policy/settings-for-login.ts';
import type { ShutLogin } from './next-login.ts';

/** Says, in one line, that a lock drops a new login. */
export function shutLoginText({ port, from }: ShutLogin): string {
  const whose = from === undefined ? '' : ` from ${from.text}`;
  return `a locked machine drops every new SSH login${whose} (port ${port})`;
}

/** Returns the lines of the settings file that let the login in, below the instruction. */
export function shutLoginLines({ lines }: ShutLogin): readonly string[] {
  if (lines.length === 0)
    return ['No setting lets it in: the address belongs to a network of the VPN.'];
  const where = lines.some((line) => line.includes(UNNAMED))
    ? `, with the address that you come from for ${UNNAMED}`
    : '';
  return [
    `To let it in, write into ${PATHS.settings}${where}:`,
    ...lines.map((line) => `  ${line}`),
  ];
}

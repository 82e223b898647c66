import { PATHS } from '../host/paths.ts';
import { UNNAMED } from '../policy/settings-for-login.ts';
import type { ShutLogin } from './next-login.ts';

/** That a lock drops a new login, in one line. */
export function shutLoginText({ port, from }: ShutLogin): string {
  const whose = from === undefined ? '' : ` from ${from.text}`;
  return `a locked machine drops every new SSH login${whose} (port ${port})`;
}

/** What lets the login in: the lines of the settings file, below what to do with them. */
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

import { PATHS } from '../host/paths.ts';
import type { CliCommand } from './command.ts';
import { EXIT_MEANINGS } from './exit-meanings.ts';
import { VERSION } from './version.ts';

/** Text as roff takes it: a backslash, a hyphen that stays one, and a control character at the start of a line (groff_char(7)). */
function roff(text: string): string {
  return text
    .replaceAll('`', '')
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^(?=[.'])/gm, '\\&');
}

const FILES: readonly (readonly [path: string, what: string])[] = [
  [PATHS.settings, 'the settings'],
  [PATHS.library, 'hooks, programs, and the plain scripts recover and boot'],
  [PATHS.state, 'what survives a reboot: base rules, endpoints, what was said last'],
  [PATHS.runtime, 'what does not: live tunnels'],
  [PATHS.log, 'one line of JSON for each event'],
];

function commandLines({ usage, summary, examples }: CliCommand): readonly string[] {
  return [
    '.TP',
    `.B ${roff(usage)}`,
    roff(summary),
    ...examples.flatMap(([call, what]) => ['.RS', '.TP', `.B ovpn\\-killswitch ${roff(call)}`, roff(what), '.RE']),
  ];
}

/** The manual page of section 8, from the same table as the help. */
export function manPage(commands: readonly CliCommand[]): string {
  return `${[
    `.TH OVPN\\-KILLSWITCH 8 "" "ovpn\\-killswitch ${VERSION}"`,
    '.SH NAME',
    'ovpn\\-killswitch \\- let nothing leave this machine but the VPN',
    '.SH SYNOPSIS',
    '.B ovpn\\-killswitch',
    'COMMAND [OPTION]...',
    '.SH DESCRIPTION',
    roff(
      'From lock until unlock nothing leaves this machine except the encrypted packets of the OpenVPN client, what the settings allow on the LAN, and what goes through the tunnel: whether OpenVPN runs, reconnects, crashes or is stopped.',
    ),
    '.SH COMMANDS',
    ...commands.flatMap(commandLines),
    '.SH EXIT STATUS',
    ...EXIT_MEANINGS.flatMap(([status, meaning]) => ['.TP', `.B ${status}`, roff(meaning)]),
    '.SH ENVIRONMENT',
    '.TP',
    '.B NO_COLOR',
    roff('When it is set and not empty, nothing is shown in colour.'),
    '.TP',
    '.B SUDO_UID',
    roff('Whom portal is for, unless --user says so. No other variable counts.'),
    '.SH FILES',
    ...FILES.flatMap(([path, what]) => ['.TP', `.I ${roff(path)}`, roff(what)]),
    '.SH SEE ALSO',
    '.BR openvpn (8),',
    '.BR nft (8),',
    '.BR iptables (8)',
  ].join('\n')}\n`;
}

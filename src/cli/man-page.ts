import { PATHS } from '../host/paths.ts';
import { KEYS, type SettingsKey } from '../policy/settings.ts';
import { type CliCommand, GROUPS, type Group } from './command.ts';
import { EXIT_MEANINGS } from './exit-meanings.ts';
import { flagText } from './help.ts';
import { MEANING } from './settings-template.ts';
import { VERSION } from './version.ts';

/**
 * Escapes text for roff: backslashes, hyphens, quotes, and a control character at the start of a
 * line (groff_char(7)).
 */
function roff(text: string): string {
  return text
    .replaceAll('`', '')
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('"', '\\(dq')
    .replaceAll("'", '\\(aq')
    .replace(/^(?=[.])/gm, '\\&');
}

const FILES: readonly (readonly [path: string, what: string])[] = [
  [PATHS.settings, 'the settings'],
  [PATHS.library, 'hooks, programs, and the plain scripts recover and boot'],
  [PATHS.state, 'state that survives a reboot: base rules, endpoints, the last decision'],
  [PATHS.runtime, 'state that does not: live tunnels'],
  [PATHS.log, 'one line of JSON for each event'],
];

function entry(head: string, what: string): readonly string[] {
  return ['.TP', `.B ${roff(head)}`, roff(what)];
}

function commandLines({
  usage,
  summary,
  words,
  flags,
  exits = [],
  examples,
}: CliCommand): readonly string[] {
  const inner = [
    ...words.flatMap(({ name, what, choices }) => entry(choices?.join('|') ?? name, what)),
    ...Object.entries(flags).flatMap(([name, flag]) => entry(flagText(name, flag), flag.what)),
    ...exits.flatMap(([status, meaning]) => entry(`exit status ${status}`, meaning)),
    ...examples.flatMap(([call, what]) => entry(`ovpn-killswitch ${call}`, what)),
  ];
  return [...entry(usage, summary), '.RS', ...inner, '.RE'];
}

/** Renders the manual page of section 8, from the same table as the help. */
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
    ...(Object.entries(GROUPS) as [Group, string][]).flatMap(([group, title]) => [
      `.SH ${title.toUpperCase()}`,
      ...commands.filter((each) => each.group === group).flatMap(commandLines),
    ]),
    '.SH EXIT STATUS',
    ...EXIT_MEANINGS.flatMap(([status, meaning]) => ['.TP', `.B ${status}`, roff(meaning)]),
    '.SH ENVIRONMENT',
    '.TP',
    '.B NO_COLOR',
    roff('When it is set and not empty, nothing is shown in colour.'),
    '.TP',
    '.B SUDO_UID',
    roff('The user that portal is for, unless --user names one. No other variable counts.'),
    '.SH FILES',
    ...FILES.flatMap(([path, what]) => ['.TP', `.I ${roff(path)}`, roff(what)]),
    '.SH SEE ALSO',
    '.BR killswitch.env (5),',
    '.BR openvpn (8),',
    '.BR nft (8),',
    '.BR iptables (8)',
  ].join('\n')}\n`;
}

/**
 * Renders the manual page of section 5: the settings, from the table that the settings file is made
 * from.
 */
export function settingsPage(): string {
  return `${[
    `.TH KILLSWITCH.ENV 5 "" "ovpn\\-killswitch ${VERSION}"`,
    '.SH NAME',
    'killswitch.env \\- settings of ovpn\\-killswitch(8)',
    '.SH SYNOPSIS',
    `.I ${roff(PATHS.settings)}`,
    '.SH DESCRIPTION',
    roff(
      'Lines of KEY=value. Every key is optional, and an empty value means the default. The settings take effect with ovpn-killswitch lock. A mistake opens nothing: the rules that are loaded stay, and every wrong line is named at once.',
    ),
    '.SH KEYS',
    ...(Object.entries(KEYS) as [SettingsKey, (typeof KEYS)[SettingsKey]][]).flatMap(
      ([key, { initial, allowed }]) =>
        entry(
          key,
          `${MEANING[key]} Allowed: ${allowed}. Default: ${initial === '' ? 'empty' : initial}.`,
        ),
    ),
    '.SH SEE ALSO',
    '.BR ovpn\\-killswitch (8)',
  ].join('\n')}\n`;
}

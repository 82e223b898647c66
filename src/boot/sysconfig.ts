import { KillswitchError } from '../errors.ts';
import type { BaseFile } from '../record/base-texts.ts';
import type { BootFile, BootMachine, BootStrategy } from './boot-strategy.ts';
import { withoutRules } from './saved-rules.ts';

export const SYSCONFIG = '/etc/sysconfig';

const RULES: readonly { readonly name: string; readonly base: BaseFile }[] = [
  { name: 'ip6tables', base: 'base.v6' },
  { name: 'iptables', base: 'base.v4' },
];

/**
 * The files of the service that are written: rules, and the settings that keep it from saving
 * others.
 */
export const SYSCONFIG_FILES: readonly string[] = RULES.flatMap(({ name }) => [
  name,
  `${name}-config`,
]);

const BUILTIN_POLICY = /^:(INPUT|FORWARD|OUTPUT) \S+/;

/** Merges one table. `section` holds its lines from its heading to the one before its COMMIT. */
function withSection(saved: string, section: string): string {
  const [heading = '', ...ours] = section.split('\n');
  const chains = ours.filter((line) => line.startsWith(':'));
  const rules = ours.filter((line) => !line.startsWith(':'));
  const lines = saved.split('\n');
  const head = lines.indexOf(heading);
  const commit = lines.indexOf('COMMIT', head);
  if (head < 0 || commit < 0)
    return `${saved}${[heading, ...chains, ...rules, 'COMMIT', ''].join('\n')}`;
  const replaced = chains.some((line) => BUILTIN_POLICY.test(line));
  const theirs = lines
    .slice(head + 1, commit)
    .filter((line) => !(replaced && BUILTIN_POLICY.test(line)));
  return [...lines.slice(0, head + 1), ...chains, ...theirs, ...rules, ...lines.slice(commit)].join(
    '\n',
  );
}

/**
 * Adds the base rules to a saved rule file. `iptables-restore` empties a table at its heading, so
 * the rules go into the tables that are there, with their jumps at the top. Keeps its other tables;
 * drops lines of this product's that a save caught.
 */
export function withRules(saved: string | undefined, base: string): string {
  return base
    .split('\nCOMMIT\n')
    .filter((section) => section !== '')
    .reduce(withSection, withoutRules(saved ?? ''));
}

/** Returns the service's settings with both of its saves switched off. */
export function withoutSaves(config: string): string {
  return config.replace(/^(IP6?TABLES_SAVE_ON_(?:STOP|RESTART))=.*$/gm, '$1="no"');
}

function ruleFiles({ read, base }: BootMachine): readonly BootFile[] {
  if (base['base.nft'] !== undefined)
    throw new KillswitchError(
      'NO_BOOT',
      `this machine is locked with nftables, and ${SYSCONFIG}/iptables holds rules of iptables`,
      'Use "boot enable --with systemd", or set KILLSWITCH_BACKEND=iptables and run "ovpn-killswitch lock".',
    );
  return RULES.flatMap(({ name, base: file }) => {
    const text = base[file];
    if (text === undefined) return [];
    if (text === 'damaged')
      throw new KillswitchError(
        'NO_BOOT',
        `${file} is damaged`,
        'Run "ovpn-killswitch lock", which writes it anew, and try again.',
      );
    const path = `${SYSCONFIG}/${name}`;
    return [{ path, text: withRules(read(path), text), mode: 0o600, shared: true }];
  });
}

function configFiles({ read }: BootMachine): readonly BootFile[] {
  return RULES.flatMap(({ name }) => {
    const path = `${SYSCONFIG}/${name}-config`;
    const config = read(path);
    if (config === undefined) return [];
    return [{ path, text: withoutSaves(config), mode: 0o600, shared: true }];
  });
}

/** Red Hat's iptables service, which restores two files. */
export const sysconfig: BootStrategy = {
  name: 'sysconfig',
  loader: `the iptables service, from ${SYSCONFIG}/iptables`,
  plan: (machine) => ({
    files: machine.locked ? [...ruleFiles(machine), ...configFiles(machine)] : [],
    commands: [],
    links: [],
    notes: [
      'It is on only while the services iptables and ip6tables are started at boot. "lock" and "unlock" keep the files in step.',
      'IPTABLES_SAVE_ON_STOP and IPTABLES_SAVE_ON_RESTART are "no": a save while a tunnel is up would bring its rules back at the next boot.',
      'Stopping the iptables service flushes every rule and opens the machine: that is its way.',
    ],
  }),
};

import { PATHS } from '../host/paths.ts';
import { BOOT_SCRIPT } from './boot-script.ts';
import type { BootMachine } from './boot-strategy.ts';
import { DROP_IN } from './drop-in.ts';

const UNIT = 'nftables.service';

/**
 * Drop-ins that make the service load the base with its own rules: for each boot, and until the
 * next one. Of two files of one name systemd reads the first.
 */
export const NFTABLES_DROP_IN = `/etc/systemd/system/${UNIT}.d/${DROP_IN}`;
export const NFTABLES_DROP_IN_NOW = `${PATHS.systemd}/${UNIT}.d/${DROP_IN}`;

/** The facts to look at: files alone. */
type Files = Pick<BootMachine, 'read' | 'list'>;

/** The folders where systemd looks for units, in order of precedence (systemd.unit(5)). */
const FOLDERS = [
  '/etc/systemd/system',
  '/run/systemd/system',
  '/usr/local/lib/systemd/system',
  '/usr/lib/systemd/system',
  '/lib/systemd/system',
];

/**
 * Includes the base of this moment: of nftables, or the hold that stands for that of iptables. An
 * unlocked machine has neither, unless `unlock --for` waits, and a pattern may match nothing.
 */
const BASE = ['*.nft', '*.hold'].map((files) => `include "${PATHS.state}/${files}";`).join(' ');

/**
 * Returns the commands of an nft command line as a script; undefined for a command line that is not
 * known.
 */
function scriptOf(words: string): string | undefined {
  const [, file] = /^-f ([\w./-]+)$/.exec(words) ?? [];
  if (file !== undefined) return `include "${file}"`;
  const [, quoted] = /^'([^'\\]+)'$/.exec(words) ?? [];
  const script = quoted ?? (/^[\w ]+$/.test(words) ? words : undefined);
  return script?.replace(/;\s*$/, '');
}

/**
 * Rewrites one command of the unit so that it loads the base too, in the same transaction;
 * undefined for a command that is not known. Of two semicolons the first ends the include, and the
 * second the last line of a file that ends without a newline.
 */
function besides(key: string, command: string): readonly string[] | undefined {
  const [, nft, words = ''] = /^(\/\S*\/nft) (.+)$/.exec(command.trim()) ?? [];
  const script = scriptOf(words);
  return nft === undefined || script === undefined
    ? undefined
    : [`${key}=`, `${key}=${nft} '${script};; ${BASE}'`, `${key}=-${BOOT_SCRIPT} --flushed`];
}

function unitText({ read }: Files): string | undefined {
  return FOLDERS.map((folder) => read(`${folder}/${UNIT}`)).find((text) => text !== undefined);
}

/** Tells whether a person has given the unit other commands. */
function isOverridden({ read, list }: Files): boolean {
  return FOLDERS.map((folder) => `${folder}/${UNIT}.d`).some((folder) =>
    list(folder).some((name) => name !== DROP_IN && /^Exec/m.test(read(`${folder}/${name}`) ?? '')),
  );
}

/**
 * Returns a drop-in that keeps nftables.service from opening the machine: the service flushes every
 * ruleset, of iptables-nft too. Returns `none` without the service, or with a masked one. Returns
 * `unknown` when its commands are not those that packages give it.
 */
export function besideNftables(machine: Files): { readonly text: string } | 'none' | 'unknown' {
  const unit = unitText(machine);
  if (unit === undefined || unit === '') return 'none';
  const given = [...unit.matchAll(/^(Exec\w+)=(.*)$/gm)].map(([, key = '', command = '']) => ({
    key,
    command,
  }));
  const commands = given.map(({ key, command }) => besides(key, command));
  const lines = commands.flatMap((each) => each ?? []);
  const single = given.length > 0 && new Set(given.map(({ key }) => key)).size === given.length;
  const known =
    single && commands.every((each) => each !== undefined) && /^Type=oneshot$/m.test(unit);
  if (!known || isOverridden(machine)) return 'unknown';
  return {
    text: `# What the service does, with the base rules of the VPN kill switch in the same transaction.\n[Service]\n${lines.join('\n')}\n`,
  };
}

/**
 * Tells whether the service can start here and flush every rule without loading the base; `unknown`
 * when its commands are not known.
 */
export function nftablesOpens(machine: Files): boolean | 'unknown' {
  const beside = besideNftables(machine);
  if (beside === 'none') return false;
  if (beside === 'unknown') return beside;
  return (machine.read(NFTABLES_DROP_IN) ?? machine.read(NFTABLES_DROP_IN_NOW)) !== beside.text;
}

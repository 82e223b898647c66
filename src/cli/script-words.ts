import { dirname } from 'node:path';
import { BUILTINS, CHAIN_PREFIX, KNOWN_TABLES } from '../backend/iptables-tables.ts';
import { TABLE } from '../backend/nftables-survey.ts';
import { BOOT_DONE, BOOT_PROBLEM } from '../boot/boot-script.ts';
import { DROP_IN } from '../boot/drop-in.ts';
import { BOOT_FOLDER, SYSCONFIG_KEPT, SYSCTL_BEFORE } from '../boot/enabled-strategy-name.ts';
import { PLUGIN_FILE } from '../boot/netfilter-persistent.ts';
import { NFTABLES_DROP_IN, NFTABLES_DROP_IN_NOW } from '../boot/nftables-service.ts';
import { SERVICE } from '../boot/openrc.ts';
import { OUR_LINE, OUR_POLICY } from '../boot/saved-rules.ts';
import { SYSCONFIG, SYSCONFIG_FILES } from '../boot/sysconfig.ts';
import { SYSCTL_FILE } from '../boot/sysctl.ts';
import { EARLY_UNIT, UNIT, UNITS } from '../boot/systemd.ts';
import { pathOf } from '../dns/note.ts';
import { FOLDERS } from '../dns/resolv-conf-before.ts';
import { OURS } from '../dns/resolv-conf-text.ts';
import { RECORD } from '../dns/resolvconf.ts';
import { EXIT } from '../errors.ts';
import { PATHS, PROGRAM_FOLDERS } from '../host/paths.ts';
import { CLASS } from '../machine/tunnel-device.ts';
import { BLOCK_CLOSES, BLOCK_OPENS, MARKER_RULE } from '../net/marked-block.ts';
import { BASE_FILES } from '../record/base-texts.ts';
import { OPENS_JOINED } from '../record/hosts-file.ts';
import { CHAINS_MADE, LOCK_RECORD, PLAIN_FILE, POLICIES_BEFORE } from '../record/lock-record.ts';
import { SSH_SESSIONS } from '../record/ssh-sessions.ts';
import { KEPT } from '../record/trial.ts';
import { TOLD } from '../tunnel/told-text.ts';
import { WATCH_SERVICE } from '../watch/service.ts';
import { NO_CODE_CACHE } from './no-code-cache.ts';
import { NOT_MOVED } from './not-moved.ts';
import { NOT_RENEWED } from './not-renewed.ts';

/** The marker rule as lines of awk: `rule["outside opens"] = "inside"`. */
const RULE = Object.entries(MARKER_RULE)
  .flatMap(([place, next]) =>
    Object.entries(next).map(([marker, to]) => `rule["${place} ${marker}"] = "${to}"`),
  )
  .join('; ');

/**
 * Values that the plain scripts share with this code. The build puts each in place of `@NAME@`, and
 * refuses a name that is missing here.
 */
export const SCRIPT_WORDS: Readonly<Record<string, string>> = {
  PROGRAMS: PROGRAM_FOLDERS.join(':'),
  STATE: PATHS.state,
  RUN: PATHS.runtime,
  LIBRARY: PATHS.library,
  COMMAND: PATHS.command,
  REMOVED: 'removed',
  NO_CODE_CACHE,
  NOT_MOVED,
  NOT_RENEWED,
  HOSTS: PATHS.hosts,
  LOCK: PATHS.lock,
  LAST: PATHS.last,
  TOLD: PATHS.told,
  TOLD_NAMES: TOLD,
  TRIAL: PATHS.trial,
  TUNNELS: PATHS.tunnels,
  CONNECTIONS: PATHS.connections,
  CLASS,
  SSH_SESSIONS,
  LOCK_RECORD,
  PLAIN_RECORD: PLAIN_FILE,
  POLICIES_BEFORE,
  CHAINS_MADE,
  BASE_FILES: BASE_FILES.join(' '),
  // Includes the texts of the base, which are named above.
  KEPT_FILES: Object.keys(KEPT).join(' '),
  BOOT_DONE,
  BOOT_PROBLEM,
  BOOT_FOLDER,
  SYSCTL_FILE,
  SYSCTL_BEFORE,
  SYSTEMD: PATHS.systemd,
  UNITS,
  UNIT,
  EARLY_UNIT,
  DROP_IN,
  NFTABLES_DROP_IN,
  NFTABLES_DROP_IN_NOW,
  PLUGIN_FILE,
  SERVICE,
  WATCH_SERVICE,
  SYSCONFIG,
  SYSCONFIG_FILES: SYSCONFIG_FILES.join(' '),
  SYSCONFIG_KEPT,
  OUR_LINE,
  OUR_POLICY,
  NFT_TABLE: TABLE,
  CHAIN_PREFIX,
  // An older version had its second wall in another table.
  TABLES: KNOWN_TABLES.join(' '),
  BUILTINS: [
    ...new Set(KNOWN_TABLES.flatMap((table) => BUILTINS[table].map(({ chain }) => chain))),
  ].join(' '),
  RESOLVERS_KEPT: FOLDERS.join(' '),
  RESOLVERS_NOTED: dirname(pathOf('resolved')),
  RESOLVCONF_RECORD: RECORD,
  RESOLV_CONF_OURS: OURS,
  BLOCK_OPENS,
  BLOCK_OPENS_JOINED: OPENS_JOINED,
  BLOCK_CLOSES,
  MARKER_RULE: RULE,
  EXIT_FAILED: String(EXIT.failed),
  EXIT_USAGE: String(EXIT.usage),
  EXIT_KERNEL: String(EXIT.kernel),
  EXIT_FILES: String(EXIT.files),
  EXIT_PERMISSION: String(EXIT.permission),
};

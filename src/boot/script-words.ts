import { KNOWN_TABLES } from '../backend/iptables-tables.ts';
import { TABLE } from '../backend/nftables-survey.ts';
import { PATHS } from '../host/paths.ts';
import { BASE_FILES } from '../machine/base-texts.ts';
import { OPENS_JOINED } from '../machine/hosts-file.ts';
import { LOCK_RECORD } from '../machine/lock-record.ts';
import { SSH_SESSIONS } from '../machine/ssh-sessions.ts';
import { BLOCK_CLOSES, BLOCK_OPENS, MARKER_RULE } from '../net/marked-block.ts';
import { BOOT_DONE } from './boot-script.ts';
import { DROP_IN } from './drop-in.ts';
import { BOOT_FOLDER } from './enabled-strategy-name.ts';
import { NFTABLES_DROP_IN, NFTABLES_DROP_IN_NOW } from './nftables-service.ts';
import { SYSCTL_FILE } from './sysctl.ts';

/** The rule for markers as lines of awk: `rule["outside opens"] = "inside"`. */
const RULE = Object.entries(MARKER_RULE)
  .flatMap(([place, next]) => Object.entries(next).map(([marker, to]) => `rule["${place} ${marker}"] = "${to}"`))
  .join('; ');

/** What the plain scripts share with this code. The build puts each in place of `@NAME@`, and refuses a name that is not here. */
export const SCRIPT_WORDS: Readonly<Record<string, string>> = {
  STATE: PATHS.state,
  RUN: PATHS.runtime,
  LIBRARY: PATHS.library,
  HOSTS: PATHS.hosts,
  LOCK: PATHS.lock,
  TRIAL: PATHS.trial,
  SSH_SESSIONS,
  LOCK_RECORD,
  BOOT_DONE,
  BOOT_FOLDER,
  SYSCTL_FILE,
  DROP_IN,
  NFTABLES_DROP_IN,
  NFTABLES_DROP_IN_NOW,
  NFT_TABLE: TABLE,
  // An older version had its second wall in another table.
  TABLES: KNOWN_TABLES.join(' '),
  BASE_FILES: BASE_FILES.join(' '),
  BLOCK_OPENS,
  BLOCK_OPENS_JOINED: OPENS_JOINED,
  BLOCK_CLOSES,
  MARKER_RULE: RULE,
};

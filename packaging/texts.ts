import type { CliCommand } from '../src/cli/command.ts';
import { completionText } from '../src/cli/completions.ts';
import { PROGRAMS, SCRIPTS } from '../src/cli/install.ts';
import { COMMANDS } from '../src/cli/main.ts';
import { manPage, settingsPage } from '../src/cli/man-page.ts';
import { SCRIPT_WORDS } from '../src/cli/script-words.ts';
import { settingsTemplate } from '../src/cli/settings-template.ts';
import { PATHS } from '../src/host/paths.ts';
import { splitFirstLine } from '../src/launch/interpreter.ts';

/** Where the package's dependency has its interpreter. */
const NODE = '/usr/bin/node';

const commands: readonly CliCommand[] = COMMANDS;

/** The parts of packages that the code knows: for packaging/package.mjs, which bundles this. */
export const TEXTS = {
  library: PATHS.library,
  command: PATHS.command,
  settings: { path: PATHS.settings, text: settingsTemplate() },
  programs: PROGRAMS,
  scripts: SCRIPTS,
  firstLine: splitFirstLine(NODE),
  words: SCRIPT_WORDS,
  manuals: { 'man8/ovpn-killswitch.8': manPage(commands), 'man5/killswitch.env.5': settingsPage() },
  completions: {
    bash: completionText('bash', commands),
    zsh: completionText('zsh', commands),
    fish: completionText('fish', commands),
  },
} as const;

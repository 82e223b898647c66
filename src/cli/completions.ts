import { singleQuoted } from '../net/shell-word.ts';
import type { CliCommand } from './command.ts';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** Where each shell looks for completions that a machine's owner has installed. */
export const COMPLETION_PATHS: Readonly<Record<Shell, string>> = {
  bash: '/usr/local/share/bash-completion/completions/ovpn-killswitch',
  zsh: '/usr/local/share/zsh/site-functions/_ovpn-killswitch',
  fish: '/usr/local/share/fish/vendor_completions.d/ovpn-killswitch.fish',
};

/** The words that may follow a command: the flags and the literal words of its usage. */
export function wordsOf({ name, usage }: CliCommand): readonly string[] {
  const words = usage.split(/[\s[\]|…]+/).filter((word) => /^(--)?[a-z][a-z-]+$/.test(word) && word !== name);
  return [...new Set([...words, '--help'])];
}

function bash(commands: readonly CliCommand[]): string {
  const cases = commands.map((command) => `    ${command.name}) words=${singleQuoted(wordsOf(command).join(' '))} ;;`);
  return `_ovpn_killswitch() {
  local words
  case \${COMP_CWORD}:\${COMP_WORDS[1]} in
    1:*) words=${singleQuoted(commands.map(({ name }) => name).join(' '))} ;;
  esac
  [ "$COMP_CWORD" = 1 ] || case \${COMP_WORDS[1]} in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _ovpn_killswitch ovpn-killswitch
`;
}

function zsh(commands: readonly CliCommand[]): string {
  const described = commands.map(({ name, summary }) => `    ${singleQuoted(`${name}:${summary.replaceAll(':', '\\:')}`)}`);
  const cases = commands.map((command) => `    ${command.name}) compadd -- ${wordsOf(command).join(' ')} ;;`);
  return `#compdef ovpn-killswitch
local -a commands
if (( CURRENT == 2 )); then
  commands=(
${described.join('\n')}
  )
  _describe command commands
else
  case $words[2] in
${cases.join('\n')}
  esac
  case $words[2] in
    attach|detach) _files ;;
  esac
fi
`;
}

function fish(commands: readonly CliCommand[]): string {
  return `${commands
    .flatMap((command) => [
      `complete -c ovpn-killswitch -n __fish_use_subcommand -f -a ${command.name} -d ${singleQuoted(command.summary)}`,
      ...wordsOf(command).map((word) => {
        const what = word.startsWith('--') ? `-l ${word.slice(2)}` : `-a ${word}`;
        return `complete -c ovpn-killswitch -n '__fish_seen_subcommand_from ${command.name}' ${what}`;
      }),
    ])
    .join('\n')}\n`;
}

/** The text of a shell's completion, from the same table as the help. */
export function completionText(shell: Shell, commands: readonly CliCommand[]): string {
  switch (shell) {
    case 'bash':
      return bash(commands);
    case 'zsh':
      return zsh(commands);
    case 'fish':
      return fish(commands);
    default:
      return shell satisfies never;
  }
}

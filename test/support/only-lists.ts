import type { Command } from '../../src/host/command.ts';

/** Whether a command's script changes nothing: it lists chains of iptables, or only names tables. */
export function onlyLists({ stdin = 'nothing' }: Command): boolean {
  return stdin
    .split('\n')
    .every((line) => /^(\*\w+|COMMIT|-v -S KILLSWITCH-\S+|-v -S [A-Z]+|)$/.test(line));
}

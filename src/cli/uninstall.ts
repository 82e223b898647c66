import { dirname, join } from 'node:path';
import { EXIT, KillswitchError } from '../errors.ts';
import { PATHS } from '../host/paths.ts';
import { unlockMachine } from '../transaction/lock.ts';
import type { CliCommand } from './command.ts';
import { parseArguments } from './parse-arguments.ts';

export const uninstall: CliCommand = {
  name: 'uninstall',
  usage: 'uninstall',
  summary: 'Open the machine and remove every file of ours, settings included.',
  examples: [['uninstall', 'take the lines out of your profiles too: OpenVPN does not start without its hooks']],
  needsRoot: true,
  run: ({ host, args, print }) => {
    parseArguments(uninstall, args, {});
    const recover = join(PATHS.library, 'recover');
    if (host.exists(recover)) {
      const { status, stderr } = host.run({ program: 'sh', args: [recover] });
      const next = `Run ${recover} and mend what it says.`;
      if (status !== 0)
        throw new KillswitchError('REFUSED', 'the rules could not be removed, so no file was either', next, stderr.trim().split('\n'));
    } else unlockMachine(host);
    for (const path of [PATHS.command, PATHS.library, dirname(PATHS.settings), PATHS.state, PATHS.runtime, PATHS.log]) host.remove(path);
    print('Removed: the rules, the hooks, the command, the settings and everything kept. Nothing is guarded.');
    print('Take the up, down and route-up lines out of your profiles: OpenVPN does not start while they name missing files.');
    return EXIT.ok;
  },
};

import { EXIT, KillswitchError } from '../errors.ts';
import { PATHS } from '../host/paths.ts';
import type { CliCommand } from './command.ts';
import { parseArguments } from './parse-arguments.ts';

export const recover: CliCommand = {
  name: 'recover',
  usage: 'recover',
  summary: `Open the machine whatever happened. The same as the plain script ${PATHS.library}/recover, which needs no Node.`,
  examples: [['recover', 'takes away every rule of ours, in every backend']],
  needsRoot: true,
  run: ({ host, args, print, progress }) => {
    parseArguments(recover, args, {});
    progress('taking the rules away');
    const path = `${PATHS.library}/recover`;
    if (!host.exists(path))
      throw new KillswitchError('FILES', `${path} is not installed`, 'Use "ovpn-killswitch unlock", or install first.');
    const { status, stdout, stderr } = host.run({ program: 'sh', args: [path] });
    print(`${stdout}${stderr}`.trimEnd());
    return status === 0 ? EXIT.ok : EXIT.kernel;
  },
};

import { readBoot } from '../boot/boot-report.ts';
import { STRATEGY_NAMES, type StrategyName } from '../boot/boot-strategy.ts';
import { disableBoot, enableBoot, enableSysctls } from '../boot/enable.ts';
import { EXIT, KillswitchError } from '../errors.ts';
import { refuseChroot } from '../machine/chroot.ts';
import { readKernelState } from '../machine/kernel-state.ts';
import { loadSettings } from '../machine/load-settings.ts';
import { readLockRecord } from '../record/lock-record.ts';
import { settingsInForce } from '../record/settings-in-force.ts';
import { type ShutLogin, shutLogin } from '../view/next-login.ts';
import { shutLoginLines, shutLoginText } from '../view/shut-login-text.ts';
import type { CliCommand, Context, Flags } from './command.ts';
import { runInImage } from './in-image.ts';
import { JSON_FLAG } from './json-flag.ts';
import { misused, parseArguments, wrongWord } from './parse-arguments.ts';

function strategyName(text: string): 'auto' | StrategyName {
  const known = (['auto', ...STRATEGY_NAMES] as const).find((each) => each === text);
  if (known === undefined) throw misused(boot, `nothing called "${text}" loads rules at boot`);
  return known;
}

/**
 * Ignores settings that cannot be read: another check reports them, and they keep nothing from
 * being loaded at boot.
 */
function shutLoginOrNothing(host: Context['host']): ShutLogin | undefined {
  try {
    return shutLogin(host, settingsInForce(host, readLockRecord(host)));
  } catch (thrown) {
    if (thrown instanceof KillswitchError) return undefined;
    throw thrown;
  }
}

/** Warns because a machine that boots locked may have no one at its console. */
function warnOfLogin({ host, print }: Context): void {
  const shut = shutLoginOrNothing(host);
  if (shut === undefined) return;
  print(`WARNING: ${shutLoginText(shut)}, also after a boot.`);
  for (const line of shutLoginLines(shut)) print(`  ${line}`);
  print('  Then run: ovpn-killswitch lock');
}

function enable(context: Context, wanted: 'auto' | StrategyName, sysctl: boolean): void {
  const { host, print } = context;
  // Kernel settings belong to the kernel that runs, not to the chroot.
  if (sysctl) refuseChroot(host);
  warnOfLogin(context);
  // Read the settings first: report a mistake before any file is written.
  const settings = sysctl ? loadSettings(host) : undefined;
  const { strategy, trace, plan } = enableBoot(host, wanted);
  print(`The base rules are loaded at boot by ${strategy.loader}.`);
  for (const line of [...trace, ...plan.notes]) print(`  ${line}`);
  if (settings !== undefined)
    for (const { key, value } of enableSysctls(host, settings))
      print(`  /proc/sys/${key} is ${value}`);
  for (const problem of readBoot(host).problems) print(`  problem: ${problem}`);
  if (readLockRecord(host)?.locked !== true)
    print(
      readKernelState(host).ours.length > 0
        ? 'Rules are loaded now, but nothing says that this machine is locked: it boots open until you run "ovpn-killswitch lock".'
        : 'This machine is not locked now: it boots open until you run "ovpn-killswitch lock".',
    );
}

const FLAGS = {
  with: {
    type: 'string',
    value: 'STRATEGY',
    choices: ['auto', ...STRATEGY_NAMES],
    what: 'the program that loads them; auto picks one that fits this machine',
  },
  root: {
    type: 'string',
    value: 'DIR',
    what: 'in the image at this folder, where "install --root" was run; nothing here is changed',
  },
  sysctl: { type: 'boolean', what: 'set also kernel settings that fit the settings' },
  json: JSON_FLAG,
} as const satisfies Flags;

export const boot: CliCommand = {
  name: 'boot',
  usage: `boot enable [--with auto|${STRATEGY_NAMES.join('|')}] [--root DIR] [--sysctl] [--json] | boot disable [--json]`,
  group: 'setup',
  brief: 'load the rules at boot, before the network',
  summary:
    'Load the base rules of a locked machine at boot, before the network; or stop doing so. Changes no rule now.',
  flags: FLAGS,
  words: [
    {
      name: 'enable|disable',
      what: 'whether the rules are loaded at boot',
      choices: ['enable', 'disable'],
    },
  ],
  examples: [
    ['boot enable', 'picks the way that fits this machine, and prints why'],
    [
      'boot enable --sysctl',
      'also sets kernel settings that fit the settings, now and at each boot',
    ],
    ['boot enable --root /var/lib/machines/new', 'prepares an image: once locked, it boots locked'],
    ['boot disable', 'undoes all of that, and restores the kernel settings'],
  ],
  needsRoot: true,
  run: (context) => {
    const { values, positionals } = parseArguments(boot, context.args, FLAGS, {
      least: 1,
      most: 1,
    });
    if (values.root !== undefined) {
      if (positionals[0] !== 'enable' || values.sysctl === true)
        throw misused(
          boot,
          '--root is for "boot enable" alone, without --sysctl, which sets the kernel now',
        );
      const how = values.with === undefined ? [] : ['--with', strategyName(values.with)];
      return runInImage(context, boot.usage, values.root, ['boot', 'enable', ...how]);
    }
    switch (positionals[0]) {
      case 'enable':
        enable(context, strategyName(values.with ?? 'auto'), values.sysctl === true);
        return EXIT.ok;
      case 'disable': {
        if (values.with !== undefined || values.sysctl === true)
          throw misused(
            { usage: 'boot disable' },
            'boot disable takes everything back: it has no flags',
          );
        const before = disableBoot(context.host);
        context.print(
          before === undefined
            ? 'Nothing of ours was loaded at boot.'
            : 'Nothing of ours is loaded at boot any more: after a reboot nothing is guarded.',
        );
        return EXIT.ok;
      }
      default:
        throw wrongWord(boot, positionals[0] ?? '', ['enable', 'disable']);
    }
  },
};

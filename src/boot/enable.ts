import { basename } from 'node:path';
import { asKillswitchError, KillswitchError } from '../errors.ts';
import type { Files } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { devices } from '../machine/tunnel-device.ts';
import type { Settings } from '../policy/settings.ts';
import { readLiveTunnels } from '../record/live-tunnels.ts';
import {
  bootsLocked,
  hasPlainRecord,
  readLockRecord,
  writePlainRecord,
} from '../record/lock-record.ts';
import { readBootFacts, readBootMachine } from './boot-facts.ts';
import { BOOT_PROBLEM, BOOT_SCRIPT } from './boot-script.ts';
import {
  type BootFile,
  type BootPlan,
  type BootStrategy,
  STRATEGY_NAMES,
  type StrategyName,
} from './boot-strategy.ts';
import { type BootChoice, chooseBoot } from './choose-boot.ts';
import { enabledStrategy } from './enabled-strategy.ts';
import {
  BOOT_FOLDER,
  keepStrategyName,
  SYSCONFIG_KEPT,
  SYSCTL_BEFORE,
} from './enabled-strategy-name.ts';
import { followNftables } from './follow-nftables.ts';
import { PLUGIN_FILE } from './netfilter-persistent.ts';
import { planBoot } from './plan-boot.ts';
import { recoverStrategies, runScript } from './recover-script.ts';
import { withoutRules } from './saved-rules.ts';
import { keepValues, keptText, SYSCTL_FILE, type Sysctl, sysctlsOf, sysctlText } from './sysctl.ts';

/**
 * Keeps a shared file as its owner last left it, without lines of this product's that a save
 * caught.
 */
function keepShared(files: Files, { path, text }: BootFile): void {
  const ours = `${SYSCONFIG_KEPT}/${basename(path)}.ours`;
  const now = files.read(path);
  if (now !== undefined && now !== files.read(ours))
    files.write(`${ours}.before`, withoutRules(now), 0o600);
  files.write(ours, text, 0o600);
}

function writeFiles(files: Files, plan: BootPlan): void {
  for (const file of plan.files) {
    if (file.shared === true) keepShared(files, file);
    if (file.shared === true && files.exists(file.path)) files.rewrite(file.path, file.text);
    else files.write(file.path, file.text, file.mode);
  }
}

/** Writes the files of a plan and runs its commands. @throws KillswitchError NO_BOOT or FILES */
export function carryOut(host: Host, plan: BootPlan): void {
  writeFiles(host, plan);
  for (const command of plan.commands) {
    const { status, stderr } = host.run(command);
    if (status !== 0)
      throw new KillswitchError(
        'NO_BOOT',
        `${[command.program, ...command.args].join(' ')} failed`,
        'Fix the problem that the lines above name, then run the command again.',
        [stderr.trim()],
      );
  }
}

/**
 * Lists the strategies whose files are no part of a plan: systemd's includes netfilter-persistent's
 * plugin.
 */
function othersThan({ files }: BootPlan, chosen: StrategyName): readonly StrategyName[] {
  const hasPlugin = files.some(({ path }) => path === PLUGIN_FILE);
  return STRATEGY_NAMES.filter(
    (name) =>
      name !== chosen && name !== 'plain' && !(name === 'netfilter-persistent' && hasPlugin),
  );
}

interface Chosen {
  readonly name: StrategyName;
  readonly plan: BootPlan;
}

/**
 * Removes the files of a failed `boot enable`, and restores the previous name.
 * @throws KillswitchError NO_BOOT, with the new name still kept
 */
function takeBack(host: Host, { name, plan }: Chosen, before: StrategyName | undefined): void {
  const others = othersThan(plan, name);
  recoverStrategies(
    host,
    STRATEGY_NAMES.filter((each) => each !== 'plain' && each !== before && !others.includes(each)),
  );
  if (before === undefined) host.remove(BOOT_FOLDER);
  else keepStrategyName(host, before);
}

/**
 * Carries a plan out, or restores the previous state. Keeps the name first: after an interruption,
 * `status` says what is missing and `boot disable` takes it back.
 * @throws KillswitchError NO_BOOT or FILES, saying which of the two happened
 */
function carryOutWhole(host: Host, chosen: Chosen): void {
  const { name, plan } = chosen;
  const before = enabledStrategy(host)?.name;
  keepStrategyName(host, name);
  try {
    carryOut(host, plan);
  } catch (thrown) {
    const error = asKillswitchError(thrown);
    // Its files were there before and still are.
    if (before === name) throw error;
    try {
      takeBack(host, chosen, before);
    } catch (second) {
      const { message, detail } = asKillswitchError(second);
      const left = `Its files could not be removed again (${message}): run "ovpn-killswitch boot disable".`;
      throw new KillswitchError(
        error.code,
        error.message,
        error.next,
        [...error.detail, left, ...detail],
        { cause: thrown },
      );
    }
    const now =
      before === undefined
        ? 'Nothing is loaded at boot: every file was removed again.'
        : `The rules are still loaded at boot by ${before}.`;
    throw new KillswitchError(error.code, error.message, error.next, [...error.detail, now], {
      cause: thrown,
    });
  }
}

/**
 * Makes the machine load the base rules at each boot from now on. Changes no rule now.
 * @throws KillswitchError NO_BOOT or FILES
 */
export function enableBoot(
  host: Host,
  wanted: 'auto' | StrategyName,
): BootChoice & { readonly plan: BootPlan } {
  if (!host.exists(BOOT_SCRIPT))
    throw new KillswitchError('FILES', `${BOOT_SCRIPT} is missing`, 'Install first: see README.md');
  const choice = chooseBoot(readBootFacts(host), wanted);
  const machine = readBootMachine(host);
  const plan = planBoot(choice.strategy, machine);
  // Without the plain record, the script would take an open machine for one whose record is lost,
  // and shut it.
  if (!hasPlainRecord(host)) writePlainRecord(host, machine.locked);
  carryOutWhole(host, { name: choice.strategy.name, plan });
  recoverStrategies(host, othersThan(plan, choice.strategy.name));
  followNftables(host);
  return { ...choice, plan };
}

/** Writes the kernel settings for each boot, and sets them now. */
export function enableSysctls(host: Host, settings: Settings): readonly Sysctl[] {
  const live = new Set<string>(readLiveTunnels(host).map(({ tunnel }) => tunnel.device));
  const cards = [...devices(host)].filter((device) => !live.has(device)).sort();
  const sysctls = sysctlsOf(settings, cards).filter(({ key }) => host.exists(`/proc/sys/${key}`));
  const text = sysctlText(sysctls);
  const isSet = ({ key, value }: Sysctl) => host.read(`/proc/sys/${key}`)?.trim() === value;
  if (host.read(SYSCTL_FILE) === text && sysctls.every(isSet)) return sysctls;
  // First restore kernel settings of an earlier run that no longer fit.
  recoverStrategies(host, ['sysctl']);
  const kept = keepValues(sysctls, host.read(SYSCTL_BEFORE) ?? '', (key) =>
    host.read(`/proc/sys/${key}`)?.trim(),
  );
  host.write(SYSCTL_BEFORE, keptText(kept));
  host.write(SYSCTL_FILE, text);
  runScript(host, BOOT_SCRIPT, ['--sysctl']);
  return sysctls;
}

/**
 * Removes everything that this product does at boot, and restores the kernel settings. Keeps the
 * rules loaded now. Returns the strategy that was enabled.
 */
export function disableBoot(host: Host): BootStrategy | undefined {
  const strategy = enabledStrategy(host);
  // Call before the lasting drop-in goes: a locked machine must always have one.
  followNftables(host);
  recoverStrategies(host, [
    ...STRATEGY_NAMES.filter((name) => name !== 'plain'),
    'nftables',
    'sysctl',
  ]);
  host.remove(BOOT_FOLDER);
  return strategy;
}

/**
 * Updates the loader of the base after `lock` and `unlock`, where it is not the kept text itself.
 * Opens the machine again where the boot script shut it.
 */
export function followBoot(host: Host): void {
  followNftables(host);
  const strategy = enabledStrategy(host);
  if (strategy?.name === 'sysconfig') {
    if (bootsLocked(readLockRecord(host))) carryOut(host, strategy.plan(readBootMachine(host)));
    else recoverStrategies(host, ['sysconfig']);
  }
  if (host.exists(BOOT_PROBLEM)) runScript(host, BOOT_SCRIPT, ['--reopen']);
}

import { KillswitchError } from '../errors.ts';
import type { Files } from '../host/files.ts';
import { PATHS } from '../host/paths.ts';
import { readBootMachine } from './boot-facts.ts';
import { BOOT_PROBLEM, BOOT_SCRIPT } from './boot-script.ts';
import type { BootPlan, BootStrategy } from './boot-strategy.ts';
import { enabledStrategy } from './enabled-strategy.ts';
import { planBoot } from './plan-boot.ts';
import { parseSysctls, SYSCTL_FILE } from './sysctl.ts';

/** Which strategy loads the base rules at boot, and its problems. */
export interface BootReport {
  /** undefined: nothing. */
  readonly strategy: BootStrategy | undefined;
  readonly sysctl: boolean;
  /** One line each. */
  readonly problems: readonly string[];
}

export function readBoot(files: Files): BootReport {
  const strategy = enabledStrategy(files);
  const last = files.read(BOOT_PROBLEM)?.trim();
  const sysctls = files.read(SYSCTL_FILE);
  return {
    strategy,
    sysctl: sysctls !== undefined,
    problems: [
      ...(last === undefined ? [] : [last]),
      ...(strategy === undefined ? [] : problemsOf(files, strategy)),
      ...changedSysctls(files, sysctls ?? ''),
    ],
  };
}

/**
 * Lists kernel settings whose value changed: a network manager told to use IPv6 on a card switches
 * it on there.
 */
function changedSysctls(files: Files, text: string): readonly string[] {
  return parseSysctls(text).flatMap(({ key, value }) => {
    const now = files.read(`/proc/sys/${key}`)?.trim();
    return now === undefined || now === value
      ? []
      : [
          `/proc/sys/${key} is ${now} instead of ${value}: another program has changed it ("ovpn-killswitch boot enable --sysctl" sets it again)`,
        ];
  });
}

function problemsOf(files: Files, strategy: BootStrategy): readonly string[] {
  const machine = readBootMachine(files);
  const damaged = Object.entries(machine.base).flatMap(([file, text]) =>
    text === 'damaged' ? [`${PATHS.state}/${file} is damaged`] : [],
  );
  const missing =
    machine.locked && Object.keys(machine.base).length === 0
      ? [`${PATHS.state} holds no base rules`]
      : [];
  const script = files.exists(BOOT_SCRIPT) ? [] : [`${BOOT_SCRIPT} is missing`];
  return [
    ...damaged,
    ...missing,
    ...script,
    ...planProblems(files, () => planBoot(strategy, machine)),
  ];
}

function planProblems(files: Files, plan: () => BootPlan): readonly string[] {
  try {
    const { files: planned, links } = plan();
    return [
      ...planned
        .filter(({ path, text }) => files.read(path) !== text)
        .map(({ path }) => `${path} is not what it should be`),
      ...links.filter((path) => !files.exists(path)).map((path) => `${path} is missing`),
    ];
  } catch (thrown) {
    if (thrown instanceof KillswitchError) return [thrown.message];
    throw thrown;
  }
}

import { readBootMachine } from '../boot/boot-facts.ts';
import { STRATEGY_NAMES } from '../boot/boot-strategy.ts';
import { strategyOf } from '../boot/choose-boot.ts';
import { DROP_IN } from '../boot/drop-in.ts';
import { SYSCTL_BEFORE } from '../boot/enabled-strategy-name.ts';
import { NFTABLES_DROP_IN, NFTABLES_DROP_IN_NOW } from '../boot/nftables-service.ts';
import { SYSCONFIG, SYSCONFIG_FILES } from '../boot/sysconfig.ts';
import { parseSysctls, SYSCTL_FILE } from '../boot/sysctl.ts';
import { UNITS } from '../boot/systemd.ts';
import { orElse } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { watchService } from '../watch/service.ts';

/** Returns the files and links of every strategy that could be enabled here. */
function bootPaths(host: Host): readonly string[] {
  const machine = readBootMachine(host);
  return STRATEGY_NAMES.flatMap((name) =>
    orElse(
      () => {
        const { files, links } = strategyOf(name).plan(machine);
        return [...files.map(({ path }) => path), ...links];
      },
      () => [],
      'NO_BOOT',
    ),
  );
}

/** Returns the kernel settings that the plain scripts set or restore. */
function settingPaths(host: Host): readonly string[] {
  const ours = parseSysctls(host.read(SYSCTL_FILE) ?? '').map(({ key }) => key);
  const kept = (host.read(SYSCTL_BEFORE) ?? '')
    .split('\n')
    .flatMap((line) => line.split(' ')[0] ?? []);
  return [...ours, ...kept].filter((key) => key !== '').map((key) => `/proc/sys/${key}`);
}

/**
 * Lists every path that the plain scripts `boot` and `recover` may write or remove on this machine,
 * as it is now. A script reports no changes itself: a recording compares these before and after.
 */
export function scriptedPaths(host: Host): readonly string[] {
  const dropIns = host
    .list(UNITS)
    .filter((name) => name.endsWith('.d'))
    .map((name) => `${UNITS}/${name}/${DROP_IN}`);
  const watching = (['systemd', 'openrc'] as const).flatMap((init) => {
    const { files, links } = watchService(init);
    return [...files.map(({ path }) => path), ...links];
  });
  return [
    ...new Set([
      PATHS.state,
      PATHS.runtime,
      PATHS.hosts,
      PATHS.resolvConf,
      SYSCTL_FILE,
      NFTABLES_DROP_IN,
      NFTABLES_DROP_IN_NOW,
      ...SYSCONFIG_FILES.map((name) => `${SYSCONFIG}/${name}`),
      ...dropIns,
      ...watching,
      ...bootPaths(host),
      ...settingPaths(host),
    ]),
  ];
}

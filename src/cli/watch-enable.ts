import { readBootFacts } from '../boot/boot-facts.ts';
import { carryOut } from '../boot/enable.ts';
import { KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { installedProgram } from '../watch/installed-program.ts';
import { watchIsActive, watchRestart, watchService } from '../watch/service.ts';
import { readWatch, readWatcher } from '../watch/watch-report.ts';

/**
 * Makes `watch` a service, from now on and after each boot, unless it runs as one. Returns the init
 * system that runs it.
 * @throws KillswitchError NO_BOOT
 */
export function enableWatch(host: Host): 'systemd' | 'openrc' {
  const { init } = readBootFacts(host);
  if (init === undefined)
    throw new KillswitchError(
      'NO_BOOT',
      'neither systemd nor OpenRC runs this machine',
      `Have your own supervisor keep this running: ${PATHS.command} watch`,
    );
  const service = watchService(init);
  const isThere =
    service.files.every(({ path, text }) => host.read(path) === text) &&
    service.links.every((path) => host.exists(path));
  // A restart would leave nobody watching for a moment. A service that starts just now has no
  // watcher yet.
  const runs = isThere && host.run(watchIsActive(init)).status === 0;
  if (!runs || replacedWatcher(host) !== undefined) carryOut(host, service);
  return init;
}

/** Returns the watcher whose program or Node has been replaced since it started. */
function replacedWatcher(host: Host): ReturnType<typeof readWatcher> {
  const watcher = readWatcher(host);
  if (watcher === undefined) return undefined;
  return watcher.program === installedProgram(host) ? undefined : watcher;
}

/**
 * Has a watcher that runs a replaced program start anew with the installed one, as a service. The
 * rules stay loaded meanwhile. Returns whether there was one.
 * @throws KillswitchError NO_BOOT where its service manager fails, or where no service of ours
 * runs it
 */
export function renewWatcher(host: Host): boolean {
  const watcher = replacedWatcher(host);
  if (watcher === undefined) return false;
  const { init } = readBootFacts(host);
  if (init === undefined || !readWatch(host).enabled || host.run(watchIsActive(init)).status !== 0)
    throw new KillswitchError(
      'NO_BOOT',
      `process ${watcher.pid} runs the previous program, and is no service of ours`,
      'Restart it with your own supervisor.',
    );
  carryOut(host, { files: [], links: [], notes: [], commands: [watchRestart(init)] });
  return true;
}

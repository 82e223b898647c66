import { readBootFacts } from '../boot/boot-facts.ts';
import { carryOut } from '../boot/enable.ts';
import { KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { watchService } from '../watch/service.ts';
import { readWatch } from '../watch/watch-report.ts';

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
  // A restart would leave nobody watching for a moment.
  if (!isThere || !readWatch(host).running) carryOut(host, service);
  return init;
}

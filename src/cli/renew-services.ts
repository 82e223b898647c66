import { readBootFacts, readBootMachine } from '../boot/boot-facts.ts';
import type { BootFile } from '../boot/boot-strategy.ts';
import { enableBoot } from '../boot/enable.ts';
import { enabledStrategy } from '../boot/enabled-strategy.ts';
import { planBoot } from '../boot/plan-boot.ts';
import { KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { watchService } from '../watch/service.ts';
import { readWatch } from '../watch/watch-report.ts';
import { enableWatch, renewWatcher } from './watch-enable.ts';

/** Returns the files that differ from what this version writes. The owner's own are left out. */
function outdated(host: Host, files: readonly BootFile[]): readonly BootFile[] {
  return files.filter(({ path, text, shared }) => shared !== true && host.read(path) !== text);
}

/**
 * Writes the files of `boot enable` and `watch enable` again where another version wrote them, and
 * restarts a `watch` of another version. Changes no rule, and enables nothing. Returns a line for
 * each that failed: it stays as it was.
 */
export function renewServices(host: Host, print: (line: string) => void): readonly string[] {
  const failed: string[] = [];
  const attempt = (what: string, work: () => void) => {
    try {
      work();
    } catch (thrown) {
      if (!(thrown instanceof KillswitchError)) throw thrown;
      failed.push(`${what}: ${[thrown.message, ...thrown.detail].join(': ')}`);
    }
  };
  const renew = (what: string, isOutdated: () => boolean, write: () => void) =>
    attempt(what, () => {
      if (!isOutdated()) return;
      write();
      print(`The files of "${what}" are those of this version now.`);
    });
  // Each fact is read where a file that cannot be believed is named, and stops nothing else.
  renew(
    'boot enable',
    () => {
      const strategy = enabledStrategy(host);
      if (strategy === undefined) return false;
      return outdated(host, planBoot(strategy, readBootMachine(host)).files).length > 0;
    },
    () => void enableBoot(host, enabledStrategy(host)?.name ?? 'auto'),
  );
  renew(
    'watch enable',
    () => {
      const { init } = readBootFacts(host);
      if (init === undefined || !readWatch(host).enabled) return false;
      return outdated(host, watchService(init).files).length > 0;
    },
    () => void enableWatch(host),
  );
  attempt('watch', () => {
    if (renewWatcher(host)) print('The service ovpn-killswitch-watch runs this version now.');
  });
  return failed;
}

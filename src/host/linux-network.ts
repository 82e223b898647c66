import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { execaSync } from 'execa';
import type { Network } from './network.ts';
import { ownFolder } from './program-files.ts';
import { readAnswers } from './resolver-answers.ts';

/** Names and addresses as Linux has them. `timeLeft` says how long an answer may take. */
export function linuxNetwork(timeLeft: () => number): Network {
  return {
    resolve: (names, servers, seconds, sources = []) => {
      if (names.length === 0) return new Map();
      // A process of its own: only Node's asynchronous resolver ignores /etc/hosts, which holds our
      // pins.
      const program = join(ownFolder(), 'resolver.js');
      const { stdout } = execaSync(process.execPath, ['--v8-pool-size=0', program], {
        cwd: '/',
        env: {},
        extendEnv: false,
        reject: false,
        timeout: Math.min(timeLeft(), (seconds + 2) * 1000),
        killSignal: 'SIGKILL',
        input: JSON.stringify({ names, servers: servers ?? null, seconds, sources }),
      });
      return readAnswers(String(stdout ?? ''));
    },
    ownAddresses: (devices) =>
      devices.flatMap((device) =>
        (networkInterfaces()[device] ?? [])
          .map(({ address }) => address)
          .filter((each) => !each.startsWith('fe80:')),
      ),
  };
}

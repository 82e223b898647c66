import { readFileSync } from 'node:fs';
import type { HookInput } from '../../src/tunnel/from-openvpn.ts';

const FOLDER = new URL('../fixtures/openvpn/', import.meta.url);

/** A call of a script by a real OpenVPN: see the folder's index.json. */
export interface Capture extends HookInput {
  readonly file: string;
  /** The script: `up`, `route-up`, `down`, and others that are no hooks of ours. */
  readonly script: string;
  readonly situation: string;
  readonly env: Readonly<Record<string, string>>;
  /** The environment's bytes: `NAME=value` and a newline, which no value can hold. */
  readonly bytes: Uint8Array;
}

interface IndexEntry {
  readonly file: string;
  readonly program: string;
  readonly hook: string;
  readonly situation: string;
  readonly argv: readonly string[];
  readonly env_count: number;
}

function readCaptures(): readonly Capture[] {
  const index = JSON.parse(
    readFileSync(new URL('index.json', FOLDER), 'utf8'),
  ) as readonly IndexEntry[];
  return index
    .filter(({ program }) => program.startsWith('OpenVPN'))
    .map(({ file, hook, situation, argv, env_count: count }) => {
      // UTF-8 with replacement characters, as Node reads its own environment.
      const bytes = readFileSync(new URL(file, FOLDER));
      const entries = bytes.toString('utf8').split('\n').filter(Boolean);
      if (entries.length !== count)
        throw new Error(`${file} has ${entries.length} variables, the index says ${count}`);
      const env = Object.fromEntries(
        entries.map((entry) => [
          entry.slice(0, entry.indexOf('=')),
          entry.slice(entry.indexOf('=') + 1),
        ]),
      );
      return { file, script: hook, situation, argv: argv.slice(1), env, bytes };
    });
}

/** Every capture of OpenVPN 2.5, 2.6 and 2.7, of hooks of ours and of other scripts. */
export const CAPTURES: readonly Capture[] = readCaptures();

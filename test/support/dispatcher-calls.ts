import { readdirSync, readFileSync } from 'node:fs';
import type { HookInput } from '../../src/tunnel/from-openvpn.ts';

const FOLDER = new URL('../fixtures/networkmanager/', import.meta.url);

/** A call of a dispatcher's script by a real NetworkManager. */
export interface DispatcherCall extends HookInput {
  /** `nm-VERSION-SITUATION-ORDER-FOLDER-INTERFACE-ACTION.env` */
  readonly file: string;
  readonly argv: readonly [name: string, action: string];
  readonly env: Readonly<Record<string, string>>;
}

/** Variables of the shell that wrote the files down. */
const SHELL = new Set(['PWD', 'SHLVL', '_']);

function readCall(file: string): DispatcherCall {
  const [first = '', , ...lines] = readFileSync(new URL(file, FOLDER), 'utf8')
    .trimEnd()
    .split('\n');
  const [, name, action] = /^# argv: \S+ '([^']*)' '([^']*)' {2}\(argc=2\)$/.exec(first) ?? [];
  if (name === undefined || action === undefined)
    throw new Error(`${file} does not say how it was called`);
  const entries = lines.map(
    (line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)] as const,
  );
  return {
    file,
    argv: [name, action],
    env: Object.fromEntries(entries.filter(([key]) => !SHELL.has(key))),
  };
}

/** Every captured call, of NetworkManager 1.42 and 1.52. */
export const DISPATCHER_CALLS: readonly DispatcherCall[] = readdirSync(FOLDER).sort().map(readCall);

/** @throws Error when there is no such call. */
export function dispatcherCall(file: string): DispatcherCall {
  const found = DISPATCHER_CALLS.find((each) => each.file === file);
  if (found === undefined) throw new Error(`no captured call ${file}`);
  return found;
}

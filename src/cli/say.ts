import { visibleLine } from '../net/visible.ts';
import { fitted, screenOf } from './screen.ts';

/** Prints one line for people on stderr, fitted to the screen. */
export function say(line: string): void {
  const start = /^ovpn-killswitch: */.exec(line)?.[0] ?? '';
  for (const each of fitted(visibleLine(line), screenOf(process.stderr, undefined), start.length))
    process.stderr.write(`${each}\n`);
}

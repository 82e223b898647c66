import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** A file of a package with what it includes, and with the words of the code. */
export function filledScript(path, words) {
  return readFileSync(path, 'utf8')
    .replace(/^#include (\S+)$/gm, (_, file) =>
      readFileSync(join(dirname(path), file), 'utf8').replace(/^# shellcheck shell=.*\n/, ''),
    )
    .replace(/@([A-Z_]+)@/g, (_, word) => {
      if (words[word] === undefined) throw new Error(`${path}: there is no ${word}`);
      return words[word];
    });
}

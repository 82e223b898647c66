import { readNote, removeNote } from './note.ts';
import { generated } from './resolv-conf-before.ts';
import { giveBack } from './resolv-conf-file.ts';
import { resolvConfLines } from './resolv-conf-text.ts';
import { addRecord, RECORD, recordDifferences } from './resolvconf.ts';
import type { Strategy } from './strategy.ts';

/** openresolv: the record is exclusive (`-x`) and stands before all others (`-m 0`). */
export const openresolv: Strategy = {
  title: 'openresolv',
  inUse: (host) => readNote(host, 'openresolv') !== undefined,
  differences: (host, demands, asks) => {
    const noted = recordDifferences(host, 'openresolv', demands);
    if (noted.length > 0 || !asks) return noted;
    const { stdout } = host.run({ program: 'resolvconf', args: ['-l', RECORD] });
    return stdout.includes(resolvConfLines(demands).trimEnd())
      ? []
      : ['openresolv does not hold our record any more'];
  },
  set: (host, demands) =>
    generated(host, () => addRecord(host, 'openresolv', ['-m', '0', '-x'], demands)),
  restore: (host) => {
    // If resolvconf does not work any more, the file stays as resolvconf left it.
    host.run({ program: 'resolvconf', args: ['-d', RECORD], changes: 'resolvers' });
    removeNote(host, 'openresolv');
    giveBack(host);
  },
};

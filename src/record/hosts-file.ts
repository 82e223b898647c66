import { KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { Journal } from '../host/log-entry.ts';
import { PATHS } from '../host/paths.ts';
import { type Address, parseAddress } from '../net/address.ts';
import { parseHostName } from '../net/host-name.ts';
import {
  BLOCK_CLOSES,
  BLOCK_OPENS,
  bareLine,
  markerDamage,
  markerOf,
} from '../net/marked-block.ts';
import type { Pin } from './pins.ts';

const OPENS = `${BLOCK_OPENS}: VPN servers, so that their names resolve while DNS is shut`;
/** Marks that the file's last line had no line break before our block was added. */
export const OPENS_JOINED = `${OPENS} (and the line break above)`;

/**
 * Returns a hosts(5) file without our blocks, every other byte unchanged. Returns a file with
 * damaged markers as it is.
 */
export function unpinned(text: string): string {
  if (markerDamage(text) !== undefined) return text;
  const kept: string[] = [];
  let [inside, joined] = [false, false];
  for (const line of text.split(/(?<=\n)/)) {
    const marker = markerOf(line);
    if (marker === 'opens') [inside, joined] = [true, bareLine(line) === OPENS_JOINED];
    if (!inside) {
      kept.push(line);
      joined = false;
    }
    if (marker === 'closes') inside = false;
  }
  // The owner's last line had no line break, and nobody added a line since.
  if (joined) kept.push((kept.pop() ?? '').replace(/\n$/, ''));
  return kept.join('');
}

/**
 * Returns a hosts(5) file with exactly these pins in a block at its end, and no block without pins.
 * Returns a file with damaged markers as it is.
 */
export function pinned(text: string, pins: readonly Pin[]): string {
  if (markerDamage(text) !== undefined) return text;
  const before = unpinned(text);
  const entries = pins.flatMap(({ name, addresses }) =>
    addresses.map(({ address }) => `${address.text} ${name}`),
  );
  if (entries.length === 0) return before;
  const joined = before !== '' && !before.endsWith('\n');
  return `${before}${joined ? '\n' : ''}${[joined ? OPENS_JOINED : OPENS, ...entries, BLOCK_CLOSES].join('\n')}\n`;
}

/**
 * Reads the machine owner's own lines of hosts(5), without our block: each name with its addresses.
 */
export function ownEntries(text: string): ReadonlyMap<string, readonly Address[]> {
  const entries = new Map<string, Address[]>();
  for (const line of unpinned(text).split('\n')) {
    const [first = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    const address = parseAddress(first);
    if (address === undefined) continue;
    for (const each of names) {
      const name = parseHostName(each);
      if (name !== undefined) entries.set(name, [...(entries.get(name) ?? []), address]);
    }
  }
  return entries;
}

/**
 * Writes the file, or logs why not. It may be immutable, read-only or a container's mount, and the
 * rules matter more.
 */
function writeOrSay(journal: Journal, pins: readonly Pin[], write: () => void): void {
  try {
    write();
  } catch (thrown) {
    if (!(thrown instanceof KillswitchError) || thrown.code !== 'FILES') throw thrown;
    const names = pins.map(({ name }) => name);
    const without =
      names.length === 0
        ? 'the names of VPN servers stay pinned there. Remove the lines of ovpn-killswitch by hand'
        : `${names.slice(0, 5).join(', ')}${names.length > 5 ? ` and ${names.length - 5} more` : ''} will not resolve while DNS is shut. Put addresses into the remote lines of the profiles, or make the file writable and run "ovpn-killswitch lock"`;
    const message = `${PATHS.hosts} could not be written (${thrown.detail.join('; ')}): ${without}`;
    journal.log({ level: 'warn', event: 'left-alone', message });
  }
}

/**
 * Pins names in the machine's hosts file, or removes our block when there are no pins. Writes only
 * a changed file, and logs a failure.
 */
export function pinHosts(host: Host, pins: readonly Pin[]): void {
  const bytes = host.readBytes(PATHS.hosts);
  if (bytes === undefined) {
    if (pins.length > 0) writeOrSay(host, pins, () => host.write(PATHS.hosts, pinned('', pins)));
    return;
  }
  // latin1 maps each byte to one character, so the owner's bytes survive. Our block is ASCII.
  const text = Buffer.from(bytes).toString('latin1');
  const damage = markerDamage(text);
  if (damage !== undefined) {
    const message = `${PATHS.hosts} stays as it is, without new pins: ${damage}. Remove that line by hand, then run "ovpn-killswitch lock"`;
    host.log({ level: 'warn', event: 'left-alone', message });
    return;
  }
  const wanted = pinned(text, pins);
  if (wanted !== text)
    writeOrSay(host, pins, () => host.rewrite(PATHS.hosts, Buffer.from(wanted, 'latin1')));
}

import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { type Address, parseAddress } from '../net/address.ts';
import { parseHostName } from '../net/host-name.ts';
import type { Pin } from './pins.ts';

const OPENS = '# >>> ovpn-killswitch: VPN servers, so that their names resolve while DNS is shut';
/** The file's last line had no line break before ours came. */
const OPENS_JOINED = `${OPENS} (and the line break above)`;
const CLOSES = '# <<< ovpn-killswitch';

/** A hosts(5) file without our block: every other byte as it was. */
export function unpinned(text: string): string {
  const lines = text.split('\n');
  const first = lines.findIndex((line) => line === OPENS || line === OPENS_JOINED);
  const last = lines.indexOf(CLOSES, first + 1);
  if (first < 0 || last < 0) return text;
  const before = lines.slice(0, first).join('\n');
  const after = lines.slice(last + 1).join('\n');
  if (first === 0) return after;
  return lines[first] === OPENS_JOINED ? before + after : `${before}\n${after}`;
}

/** A hosts(5) file with exactly these pins in our block, at its end; without pins there is no block. */
export function pinned(text: string, pins: readonly Pin[]): string {
  const before = unpinned(text);
  const entries = pins.flatMap(({ name, addresses }) => addresses.map(({ address }) => `${address.text} ${name}`));
  if (entries.length === 0) return before;
  const joined = before !== '' && !before.endsWith('\n');
  return `${before}${joined ? '\n' : ''}${[joined ? OPENS_JOINED : OPENS, ...entries, CLOSES].join('\n')}\n`;
}

/** What the machine's owner wrote into hosts(5): names to addresses, our block left out. */
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

/** Puts pins into the machine's hosts file, or takes them out when there are none; writes only when that changes it. */
export function pinHosts(host: Host, pins: readonly Pin[]): void {
  const text = host.read(PATHS.hosts);
  if (text === undefined) {
    if (pins.length > 0) host.write(PATHS.hosts, pinned('', pins));
    return;
  }
  const wanted = pinned(text, pins);
  if (wanted !== text) host.rewrite(PATHS.hosts, wanted);
}

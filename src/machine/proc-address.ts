import { type Address, parseAddress } from '../net/address.ts';

const MAPPED = '0000000000000000FFFF0000';

/**
 * Returns the bytes of a word of proc(5), which prints it in memory order: reversed on every known
 * machine.
 */
function bytesOf(word: string): readonly number[] {
  return (word.match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16)).reverse();
}

/** Parses an address of the tables below /proc/net (proc(5)). */
export function procAddress(hex: string): Address | undefined {
  const own = hex.startsWith(MAPPED) ? hex.slice(MAPPED.length) : hex;
  const bytes = (own.match(/.{8}/g) ?? []).flatMap(bytesOf);
  if (bytes.length === 4) return parseAddress(bytes.join('.'));
  const pair = (index: number) =>
    ((bytes[index] ?? 0) * 256 + (bytes[index + 1] ?? 0)).toString(16);
  return parseAddress([0, 2, 4, 6, 8, 10, 12, 14].map(pair).join(':'));
}

/**
 * One socket of a table below /proc/net: its ends as `ADDRESS PORT`, the kernel's word for its
 * state, and its owner's uid.
 */
export interface ProcSocket {
  readonly here: string;
  readonly there: string;
  readonly state: string;
  readonly uid: number;
  /** The number in links of /proc/PID/fd (proc(5)). */
  readonly inode: number;
}

export function procSockets(table: string): readonly ProcSocket[] {
  const end = (text: string) => {
    const [hex = '', port = ''] = text.split(':');
    return `${procAddress(hex)?.text} ${Number.parseInt(port, 16)}`;
  };
  return table
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [, here, there, state, , , , uid, , inode] = line.trim().split(/\s+/);
      return here === undefined || there === undefined || state === undefined
        ? []
        : [{ here: end(here), there: end(there), state, uid: Number(uid), inode: Number(inode) }];
    });
}

import type { Branded } from './brand.ts';

/** The name of a network interface as a rule may match it. */
export type InterfaceName = Branded<string, 'InterfaceName'>;

/**
 * Accepts at most 15 bytes (IFNAMSIZ, linux/if.h). Stricter than the kernel: `+` and `*` are
 * wildcards in iptables and nft, and a leading sign would read as an option.
 */
export function parseInterfaceName(text: string): InterfaceName | undefined {
  return /^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$/.test(text) ? (text as InterfaceName) : undefined;
}

import type { Branded } from './brand.ts';
import { type InterfaceName, parseInterfaceName } from './interface-name.ts';
import { LOOPBACK } from './well-known.ts';

/** The beginning of interface names, followed by a star. */
export type InterfacePattern = Branded<string, 'InterfacePattern'>;

/** Which interfaces a rule means: one by its name, or all whose names begin alike. */
export type Interfaces = InterfaceName | InterfacePattern;

/** How OpenVPN names its devices (openvpn(8), --dev). */
const TUNNELS = ['tun', 'tap'];

/** Tells whether a text is a pattern, not a name: no name holds a star. */
export function isPattern(interfaces: Interfaces): interfaces is InterfacePattern {
  return interfaces.endsWith('*');
}

/** Tells whether the name or pattern covers an interface. */
export function means(interfaces: Interfaces, name: string): boolean {
  return isPattern(interfaces) ? name.startsWith(interfaces.slice(0, -1)) : name === interfaces;
}

/**
 * Parses the name of an interface, or a pattern such as `br-*`: at least two characters and one
 * star, the last. Returns undefined for a pattern that may cover loopback or a tunnel of OpenVPN.
 */
export function parseInterfaces(text: string): Interfaces | undefined {
  if (!text.endsWith('*')) return parseInterfaceName(text);
  const head = parseInterfaceName(text.slice(0, -1));
  if (head === undefined || head.length < 2 || head.length > 14) return undefined;
  const isNever =
    LOOPBACK.startsWith(head) ||
    TUNNELS.some((name) => name.startsWith(head) || head.startsWith(name));
  return isNever ? undefined : (text as InterfacePattern);
}

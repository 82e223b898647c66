import type { Branded } from './brand.ts';
import { type InterfaceName, parseInterfaceName } from './interface-name.ts';
import { LOOPBACK } from './well-known.ts';

/** The beginning of interface names, with a star behind it. */
export type InterfacePattern = Branded<string, 'InterfacePattern'>;

/** Which interfaces a rule means: one by its name, or all whose names begin alike. */
export type Interfaces = InterfaceName | InterfacePattern;

/** What OpenVPN calls its devices (openvpn(8), --dev). */
const TUNNELS = ['tun', 'tap'];

/** Whether a text is a pattern, not a name: no name holds a star. */
export function isPattern(interfaces: Interfaces): interfaces is InterfacePattern {
  return interfaces.endsWith('*');
}

/** Whether an interface is meant. */
export function means(interfaces: Interfaces, name: string): boolean {
  return isPattern(interfaces) ? name.startsWith(interfaces.slice(0, -1)) : name === interfaces;
}

/**
 * The name of an interface, or a pattern such as `br-*`: two characters or more and one star, the
 * last. A pattern that may mean loopback or a tunnel of OpenVPN is none.
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

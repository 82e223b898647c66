import { expect } from 'vitest';
import { INTERNET, PORTS } from '../../src/proof/addresses.ts';
import { WEB_VISITS } from '../../src/proof/services.ts';
import { statusOf } from './facts.ts';
import type { Lab } from './open-lab.ts';

/** The families that a tunnel carries; both by default. */
export interface Carried {
  readonly ipv4?: boolean;
  readonly ipv6?: boolean;
}

/**
 * Whether pages, echoes, names and pings pass the tunnel as far as it carries them, seen from the
 * far end as from our own address.
 */
export async function works(
  { world, product }: Lab,
  { ipv4 = true, ipv6 = true }: Carried = {},
): Promise<void> {
  const [tunnel] = (await statusOf(product)).tunnels;
  const [own4, own6] = [
    tunnel?.addresses.find((text) => !text.includes(':')),
    tunnel?.addresses.find((text) => text.includes(':')),
  ];
  const resolvers =
    tunnel?.resolvers.filter((address) => (address.includes(':') ? ipv6 : ipv4)) ?? [];
  expect(resolvers.length).toBeGreaterThan(0);
  const visits = [
    ...WEB_VISITS.filter(({ service }) => service !== 'dns'),
    ...resolvers.map(
      (address) =>
        ({ name: address, service: 'dns', address, port: PORTS.dns, type: 'A' }) as const,
    ),
  ];
  const visited = await world.visit(visits);
  expect(visited).toEqual({
    page4: ipv4 ? own4 : null,
    page6: ipv6 ? own6 : null,
    echo4: ipv4 ? 'echo' : null,
    echo6: ipv6 ? 'echo' : null,
    ...Object.fromEntries(resolvers.map((address) => [address, 'web host'])),
  });
  expect(
    await Promise.all([INTERNET.web4, INTERNET.web6].map((address) => world.ping(address))),
  ).toEqual([ipv4, ipv6]);
}

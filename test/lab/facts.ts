import { expect } from 'vitest';
import type { Sandbox } from '../../src/host/sandbox.ts';
import { disjoint, parseNetwork } from '../../src/net/network.ts';
import { DEVICE } from '../../src/proof/addresses.ts';
import type { Product } from '../../src/proof/product.ts';
import type { Lab } from './open-lab.ts';

/** The facts about a connection, as texts in order. */
export interface Facts {
  readonly device: string;
  readonly endpoints: readonly string[];
  readonly addresses: readonly string[];
  readonly resolvers: readonly string[];
  readonly networks: readonly string[];
}

/** Routes shorter than this stand for the default route. */
const SHORTEST_NETWORK = 8;
/** Every device with IPv6 has it, and no server routed it. */
const LINK_LOCAL = 'fe80::/64';

async function ask<Answer>(
  sandbox: Sandbox,
  ...args: readonly string[]
): Promise<readonly Answer[]> {
  const { status, stdout, stderr } = await sandbox.ask(['ip', '-j', ...args]);
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`);
  return JSON.parse(stdout || '[]') as readonly Answer[];
}

/** The last thing that a client's log says in this form. */
function last(log: string, form: RegExp): RegExpMatchArray | undefined {
  return [...log.matchAll(form)].at(-1);
}

/** Where a client sends its packets, as it says itself: `203.0.113.10:1194/udp`. */
export function endpointIn(log: string): string {
  const [, transport = '', version = '', address = '', port = ''] =
    last(log, /(UDP|TCP)v([46])(?:_CLIENT)? link remote: \[AF_INET6?\](\S+):(\d+)/g) ?? [];
  return `${version === '6' ? `[${address}]` : address}:${port}/${transport.toLowerCase()}`;
}

/** The resolvers of the last answer of the server in a client's log, in order. */
export function resolversIn(log: string): readonly string[] {
  const [, options = ''] = last(log, /'PUSH_REPLY,([^']*)'/g) ?? [];
  return [...options.matchAll(/dhcp-option DNS6? ([^,]+)/g)]
    .map(([, address = '']) => address)
    .sort();
}

/** Our own addresses and the networks routed into a device, as the kernel has them. */
export async function kernelFacts(
  sandbox: Sandbox,
  device: string,
): Promise<Pick<Facts, 'device' | 'addresses' | 'networks'>> {
  const [link] = await ask<{
    readonly addr_info: readonly { readonly local: string; readonly scope: string }[];
  }>(sandbox, 'address', 'show', 'dev', device);
  const routes = await Promise.all(
    ['-4', '-6'].map((family) =>
      ask<{ readonly dst: string }>(sandbox, family, 'route', 'show', 'dev', device),
    ),
  );
  const networks = routes
    .flat()
    .flatMap(({ dst }) => (dst === LINK_LOCAL ? [] : (parseNetwork(dst) ?? [])));
  return {
    device,
    addresses: (link?.addr_info ?? [])
      .flatMap(({ local, scope }) => (scope === 'link' ? [] : [local]))
      .sort(),
    networks: disjoint(networks.filter(({ prefix }) => prefix >= SHORTEST_NETWORK)).map(
      ({ text }) => text,
    ),
  };
}

export interface Status {
  readonly exit: number | null;
  readonly state: string;
  readonly endpoints: readonly string[];
  readonly tunnels: readonly (Facts & { readonly stale: boolean })[];
}

/** The output of `status --json`, and its exit status. */
export async function statusOf(product: Product): Promise<Status> {
  const { status, stdout, stderr } = await product.command('status', '--json');
  if (stdout === '') throw new Error(`status: ${stderr}`);
  // Traffic changes from one look to the next.
  const told = (key: string, value: unknown): unknown => (key === 'traffic' ? undefined : value);
  const { state, endpoints, tunnels } = JSON.parse(stdout, told) as Omit<Status, 'exit'>;
  return { exit: status, state, endpoints, tunnels };
}

/** A tunnel of `status` as facts, in order. */
export function factsOf({ device, endpoints, addresses, resolvers, networks }: Facts): Facts {
  return {
    device,
    endpoints,
    addresses: [...addresses].sort(),
    resolvers: [...resolvers].sort(),
    networks: [...networks].sort(),
  };
}

/**
 * Whether `status` says of the one tunnel what OpenVPN's log and the kernel say, and the rules are
 * exactly those.
 */
export async function factsAreTrue(
  { world: { sandbox }, product, client }: Pick<Lab, 'world' | 'product' | 'client'>,
  {
    device = DEVICE,
    resolvers = resolversIn(client().said()),
  }: { readonly device?: string; readonly resolvers?: readonly string[] } = {},
): Promise<void> {
  const [status, kernel] = await Promise.all([statusOf(product), kernelFacts(sandbox, device)]);
  expect(status).toMatchObject({ exit: 0, state: 'connected', tunnels: [{ stale: false }] });
  expect(status.tunnels.map(factsOf)).toEqual([
    { ...kernel, endpoints: [endpointIn(client().said())], resolvers },
  ]);
}

import type { Files } from '../host/files.ts';
import type { Address } from '../net/address.ts';
import { type InterfaceName, parseInterfaceName } from '../net/interface-name.ts';
import { contains, type Network, networkOf, parseNetmask } from '../net/network.ts';
import { procAddress } from './proc-address.ts';

/** The IPv4 routes of the main table, one per line (proc(5)). */
const FILE = '/proc/net/route';
/** RTF_UP and RTF_GATEWAY (linux/route.h). */
const [UP, GATEWAY] = [1, 2];

interface Route {
  readonly device: InterfaceName;
  readonly network: Network;
  /** Undefined: the network is connected. */
  readonly gateway: Address | undefined;
  readonly metric: number;
}

/** Parses the routes of that file. */
export function routes(text: string): readonly Route[] {
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [name = '', destination = '', via = '', flagText = '', , , metric, maskText = ''] = line
        .trim()
        .split(/\s+/);
      const [device, to, mask, gateway] = [
        parseInterfaceName(name),
        procAddress(destination),
        procAddress(maskText),
        procAddress(via),
      ];
      const flags = Number.parseInt(flagText, 16);
      const prefix = mask && parseNetmask(mask.text);
      if (device === undefined || to === undefined || prefix === undefined || (flags & UP) === 0)
        return [];
      return [
        {
          device,
          network: networkOf(to, prefix),
          gateway: (flags & GATEWAY) === 0 ? undefined : gateway,
          metric: Number(metric),
        },
      ];
    });
}

/** The interface and gateway by which this machine's IPv4 packets to the internet leave. */
export interface Uplink {
  readonly device: InterfaceName;
  readonly gateway: Address;
  /** The gateway's network, connected at this interface; undefined when the kernel knows none. */
  readonly network: Network | undefined;
}

/** Returns the default route that the kernel uses, if it has a gateway; undefined otherwise. */
export function readUplink(files: Files): Uplink | undefined {
  const all = routes(files.read(FILE) ?? '');
  const [first] = all
    .filter(({ network }) => network.prefix === 0)
    .sort((a, b) => a.metric - b.metric);
  if (first?.gateway === undefined) return undefined;
  const { device, gateway } = first;
  const [connected] = all
    .filter(
      (route) => route.gateway === undefined && route.device === device && route.network.prefix > 0,
    )
    .filter(({ network }) => contains(network, networkOf(gateway)))
    .sort((a, b) => b.network.prefix - a.network.prefix);
  return { device, gateway, network: connected?.network };
}

/** Returns every interface with an IPv4 default route, a second uplink among them. */
export function defaultDevices(files: Files): readonly InterfaceName[] {
  return routes(files.read(FILE) ?? '').flatMap(({ network, device }) =>
    network.prefix === 0 ? [device] : [],
  );
}

import { KillswitchError } from '../../errors.ts';
import type { Host } from '../../host/host.ts';
import { devices } from '../../machine/tunnel-device.ts';
import { parseAddress } from '../../net/address.ts';
import type { Report } from '../report.ts';

/** An address of an interface that a former tunnel had too: the rules keep it for that tunnel. */
export interface TakenAddress {
  readonly interface: string;
  readonly address: string;
  /** The device of the former tunnel. */
  readonly tunnel: string;
}

/** Lists the interfaces that have an address of a tunnel that reconnects or has ended. */
export function readTakenAddresses(
  host: Host,
  report: Report | KillswitchError,
): readonly TakenAddress[] {
  if (report instanceof KillswitchError) return [];
  const { live, kept } = report.intended;
  const ofTunnels = live.flatMap(({ tunnel }) => tunnel.addresses.map(({ text }) => text));
  const former = kept.former.flatMap(({ device, addresses }) =>
    device === undefined ? [] : addresses.map(({ text }) => ({ device, text })),
  );
  if (former.length === 0) return [];
  return [...devices(host)].flatMap((name) => {
    const own = new Set(host.ownAddresses([name]).map((text) => parseAddress(text)?.text));
    return former
      .filter(({ device, text }) => device !== name && own.has(text) && !ofTunnels.includes(text))
      .map(({ device, text }) => ({ interface: name, address: text, tunnel: device }));
  });
}

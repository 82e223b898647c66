import type { Host } from '../host/host.ts';
import type { FormerTunnel } from '../tunnel/former-tunnel.ts';
import { type FormerRecord, formerTunnel, readFormerRecords, standing } from './former-tunnels.ts';
import type { LiveTunnel } from './live-tunnels.ts';
import { makerText, type Remembered, readRemembered } from './remembered-networks.ts';

/** What is not a live tunnel, and keeps something shut beside those that are. */
export interface KeptShut {
  /** Tunnels that reconnect or have ended. */
  readonly records: readonly FormerRecord[];
  /** Last connections of profiles that have no tunnel now, live or reconnecting. */
  readonly remembered: readonly Remembered[];
  /** All of it, as rules are made of it. */
  readonly former: readonly FormerTunnel[];
}

export function readKeptShut(host: Host, live: readonly LiveTunnel[]): KeptShut {
  return keptShut(live, readFormerRecords(host), readRemembered(host));
}

/** The same as it is once everything that reconnects or has ended is forgotten. */
export function readAfterLock(host: Host, live: readonly LiveTunnel[]): KeptShut {
  return keptShut(live, [], readRemembered(host));
}

function keptShut(
  live: readonly LiveTunnel[],
  formerRecords: readonly FormerRecord[],
  everyRemembered: readonly Remembered[],
): KeptShut {
  const records = standing(formerRecords, live);
  // What a profile has now takes the place of what it had: the same rules are not made twice.
  const present = [...live, ...records.filter(({ kind }) => kind === 'reconnecting')].map(
    makerText,
  );
  const remembered = everyRemembered.filter(({ maker }) => !present.includes(makerText(maker)));
  return {
    records,
    remembered,
    former: [...records.map(formerTunnel), ...remembered.map(rememberedTunnel)],
  };
}

function rememberedTunnel({ networks }: Remembered): FormerTunnel {
  return { kind: 'remembered', device: undefined, addresses: [], networks };
}

import type { Files } from '../host/files.ts';
import type { FormerTunnel } from '../tunnel/former-tunnel.ts';
import { type FormerRecord, formerTunnel, readFormerRecords, standing } from './former-tunnels.ts';
import type { LiveTunnel } from './live-tunnels.ts';
import { makerText, type Remembered, readRemembered } from './remembered-networks.ts';

/** The networks that stay shut besides those of live tunnels, and their sources. */
export interface KeptShut {
  /** Tunnels that reconnect or have ended. */
  readonly records: readonly FormerRecord[];
  /** Last connections of profiles that have no tunnel now, live or reconnecting. */
  readonly remembered: readonly Remembered[];
  /** Both of these, in the form that `compile` takes. */
  readonly former: readonly FormerTunnel[];
}

export function readKeptShut(files: Files, live: readonly LiveTunnel[]): KeptShut {
  return keptShut(live, readFormerRecords(files), readRemembered(files));
}

/**
 * Reads the networks that stay shut once every tunnel that reconnects or has ended is forgotten.
 */
export function readAfterLock(files: Files, live: readonly LiveTunnel[]): KeptShut {
  return keptShut(live, [], readRemembered(files));
}

function keptShut(
  live: readonly LiveTunnel[],
  formerRecords: readonly FormerRecord[],
  everyRemembered: readonly Remembered[],
): KeptShut {
  const records = standing(formerRecords, live);
  // A profile's present tunnel replaces its last connection: no rule is made twice.
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

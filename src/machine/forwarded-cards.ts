import type { Files } from '../host/files.ts';
import { type InterfacePattern, isPattern, means } from '../net/interface-pattern.ts';
import type { Settings } from '../policy/settings.ts';
import { defaultDevices } from './uplink.ts';

const CLASS = '/sys/class/net';

/**
 * A pattern of `KILLSWITCH_FORWARD`, an interface that it matches, and the kind of that interface.
 */
export interface ForwardedCard {
  readonly pattern: InterfacePattern;
  readonly device: string;
  readonly what: string;
}

/** Says why an interface is no guest's; undefined when nothing rules it out. */
function whatItIs(
  files: Files,
  device: string,
  uplinks: readonly string[],
  tunnels: readonly string[],
): string | undefined {
  if (uplinks.includes(device)) return 'an uplink';
  if (tunnels.includes(device)) return 'a tunnel';
  if (files.exists(`${CLASS}/${device}/device`)) return 'a network card';
  const card = files
    .list(`${CLASS}/${device}/brif`)
    .find((port) => files.exists(`${CLASS}/${port}/device`));
  return card === undefined ? undefined : `a bridge with the network card ${card}`;
}

/**
 * Returns the interfaces that a pattern matches by accident: no guest is behind one. A full name
 * counts as a choice, as on a gateway with one card. `tunnels` are the devices of live tunnels.
 */
export function forwardedCards(
  files: Files,
  { forward }: Pick<Settings, 'forward'>,
  tunnels: readonly string[],
): readonly ForwardedCard[] {
  const patterns = forward.filter(isPattern);
  if (patterns.length === 0) return [];
  const uplinks = defaultDevices(files);
  return patterns.flatMap((pattern) =>
    files
      .list(CLASS)
      .filter((device) => means(pattern, device))
      .flatMap((device) => {
        const what = whatItIs(files, device, uplinks, tunnels);
        return what === undefined ? [] : [{ pattern, device, what }];
      }),
  );
}

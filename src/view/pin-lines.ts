import { originText, type Pin } from '../record/pins.ts';

/** How many names, and addresses of each, fit a screen. */
const [MOST_NAMES, MOST_ADDRESSES] = [5, 3];

function pinLine({ name, addresses }: Pin): string {
  const shown = addresses.slice(0, MOST_ADDRESSES).map(({ address, from, used }) => {
    const connected = used === undefined ? '' : ', connected before';
    return `${address.text} from ${originText(from)}${connected}`;
  });
  const more = addresses.length - shown.length;
  return `${name}: ${[...shown, ...(more > 0 ? [`and ${more} more`] : [])].join('; ')}`;
}

/** Writes a line for each of the first names: its addresses, and their source. */
export function pinLines(pins: readonly Pin[]): readonly string[] {
  const more = pins.length - MOST_NAMES;
  const rest =
    more > 0 ? [`and ${more} more names: "ovpn-killswitch status --json" lists them`] : [];
  return [...pins.slice(0, MOST_NAMES).map(pinLine), ...rest];
}

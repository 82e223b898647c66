/** One captured frame. */
export interface Frame {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** The captured part, from the Ethernet header on. */
  readonly bytes: Buffer;
}

const HEADER = 24;
const RECORD = 16;
/** LINKTYPE_ETHERNET */
const ETHERNET = 1;
/**
 * The magic number in the file, and how to read the rest: times in micro- or nanoseconds, either
 * byte order.
 */
const FORMATS = [
  { magic: 'd4c3b2a1', little: true, unit: 1e3 },
  { magic: 'a1b2c3d4', little: false, unit: 1e3 },
  { magic: '4d3cb2a1', little: true, unit: 1e6 },
  { magic: 'a1b23c4d', little: false, unit: 1e6 },
] as const;

/**
 * Reads a capture as it grows (draft-ietf-opsawg-pcap): pass it the bytes as they come.
 * @throws Error when they are no capture of an Ethernet interface.
 */
export function pcapReader(onFrame: (frame: Frame) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  let format: (typeof FORMATS)[number] | undefined;
  const number = (at: number) =>
    format?.little === false ? rest.readUInt32BE(at) : rest.readUInt32LE(at);
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    if (format === undefined) {
      if (rest.length < HEADER) return;
      const magic = rest.toString('hex', 0, 4);
      format = FORMATS.find((each) => each.magic === magic);
      if (format === undefined || (number(20) & 0xffff) !== ETHERNET)
        throw new Error('this is no capture of an Ethernet interface');
      rest = rest.subarray(HEADER);
    }
    while (rest.length >= RECORD) {
      const length = number(8);
      if (rest.length < RECORD + length) return;
      onFrame({
        at: number(0) * 1000 + number(4) / format.unit,
        bytes: rest.subarray(RECORD, RECORD + length),
      });
      rest = rest.subarray(RECORD + length);
    }
  };
}

/** The parts of DNS messages that the proof needs (RFC 1035 4.1): one question, one answer. */

const TYPES = { A: 1, AAAA: 28 } as const;
export type QuestionType = keyof typeof TYPES;

/** Builds a query for a name whose first label is `label`. */
export function query(label: string, type: QuestionType = 'A', id = 1): Buffer {
  const header = Buffer.from([id >> 8, id & 0xff, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  const labels = [label, 'test'].map((each) =>
    Buffer.concat([Buffer.from([each.length]), Buffer.from(each, 'latin1')]),
  );
  return Buffer.concat([header, ...labels, Buffer.from([0, 0, TYPES[type], 0, 1])]);
}

/** Returns the offset where the question of a message ends; undefined without a whole question. */
function endOfQuestion(message: Buffer): number | undefined {
  let at = 12;
  while (at < message.length) {
    const length = message[at] ?? 0;
    if (length === 0) return at + 5 <= message.length ? at + 5 : undefined;
    at += length + 1;
  }
  return undefined;
}

/** Returns the name that a message asks for, in lower case; undefined without a whole question. */
export function questionName(message: Buffer): string | undefined {
  const end = endOfQuestion(message);
  if (end === undefined) return undefined;
  const labels: string[] = [];
  for (let at = 12; at < end - 5; at += (message[at] ?? 0) + 1)
    labels.push(message.toString('latin1', at + 1, at + 1 + (message[at] ?? 0)));
  return labels.join('.').toLowerCase();
}

/**
 * Builds the answer to a query: the address of its type, 4 or 16 bytes, or none of that type.
 * Returns undefined for a message that is no query of the proof's.
 */
export function answer(
  message: Buffer,
  addresses: Readonly<Partial<Record<QuestionType, Buffer>>>,
): Buffer | undefined {
  const end = endOfQuestion(message);
  if (end === undefined) return undefined;
  const type = message.readUInt16BE(end - 4);
  if (type !== TYPES.A && type !== TYPES.AAAA) return undefined;
  const address = type === TYPES.A ? addresses.A : addresses.AAAA;
  const header = Buffer.concat([
    message.subarray(0, 2),
    Buffer.from([0x81, 0x80, 0, 1, 0, address === undefined ? 0 : 1, 0, 0, 0, 0]),
  ]);
  if (address === undefined) return Buffer.concat([header, message.subarray(12, end)]);
  const record = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, 0, address.length]);
  return Buffer.concat([header, message.subarray(12, end), record, address]);
}

/** Returns the address bytes of an answer made by `answer`. */
export function answeredAddress(message: Buffer): Buffer | undefined {
  const end = endOfQuestion(message);
  return end === undefined || message.length < end + 16 ? undefined : message.subarray(end + 12);
}

import type { Backend } from '../backend/backend.ts';
import type { Image } from '../backend/image.ts';
import type { Host } from '../host/host.ts';
import { installedBackends } from '../machine/backend-facts.ts';
import type { Portal } from '../policy/portal.ts';
import { readWrittenRecord, writeLockRecord } from '../record/lock-record.ts';
import { throughPortal } from '../ruleset/sections.ts';
import { lookIfItWorks } from './apply.ts';

/** The traffic that one rule of a portal let through. */
export interface Passed {
  /** The account's user id. */
  readonly uid: number;
  /** An address or a network. */
  readonly to: string;
  readonly transport: 'tcp' | 'udp';
  readonly port: number;
  readonly packets: number;
  readonly bytes: number;
}

/** Reads a portal's traffic from the counters of its rules. Skips rules that no packet matched. */
export function passedOf(backend: Backend, found: Image, portal: Portal): readonly Passed[] {
  const ours = (image: Image) =>
    image.flatMap(({ rules }) => rules.filter(({ id }) => id === 'portal'));
  const rules = throughPortal(portal);
  const texts = ours(backend.image([{ name: 'postrouting', rules }])).map(({ text }) => text);
  const counted = new Map(ours(found).map((rule) => [rule.text, rule]));
  return rules.flatMap(({ match: { owner, to, transports, toPorts } }, index) => {
    const { packets = 0, bytes = 0 } = counted.get(texts[index] ?? '') ?? {};
    const [network, transport, range] = [to?.[0], transports?.[0], toPorts?.[0]];
    if (packets === 0 || owner?.kind !== 'uid' || !network || !transport || !range) return [];
    return [
      {
        uid: owner.uid,
        to: network.text.replace(/\/32$/, ''),
        transport,
        port: range.first,
        packets,
        bytes,
      },
    ];
  });
}

export function passedText({ uid, to, transport, port, packets, bytes }: Passed): string {
  return `uid ${uid} to ${to} ${transport} ${port}: ${packets} packet${packets === 1 ? '' : 's'}, ${bytes} bytes`;
}

/** A portal that is about to end. */
export interface EndingPortal {
  readonly uid: number;
  readonly passed: readonly Passed[];
}

/**
 * Reads the traffic of the record's portal; undefined without a portal. Call before the rules go:
 * the counters go with them.
 */
export function endingPortal(host: Host): EndingPortal | undefined {
  const portal = readWrittenRecord(host)?.portal?.portal;
  if (portal === undefined) return undefined;
  const passed = installedBackends(host).flatMap((backend) =>
    passedOf(backend, lookIfItWorks(host, backend)?.image ?? [], portal),
  );
  return { uid: portal.uid, passed };
}

/** Removes the portal from the record and logs its traffic. Call once its rules are gone. */
export function forgetPortal(host: Host, ended: EndingPortal | undefined): void {
  if (ended === undefined) return;
  const record = readWrittenRecord(host);
  if (record?.portal !== undefined) {
    const { portal: _, ...rest } = record;
    writeLockRecord(host, rest);
  }
  const { uid, passed } = ended;
  const message = `the portal of uid ${uid} is closed; through it went: ${passed.map(passedText).join('; ') || 'nothing'}`;
  host.log({ level: 'info', event: 'portal-closed', message, fields: { passed } });
}

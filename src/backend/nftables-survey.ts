import { KillswitchError } from '../errors.ts';
import { FAMILIES } from '../net/address.ts';
import { mergedIntervals } from '../net/interval.ts';
import { isOrdered } from '../ruleset/ruleset.ts';
import { icmpNumber } from './icmp-number.ts';
import { type Image, type ImageRule, ruleId } from './image.ts';
import { askedSet, ONE_BRIDGE } from './nftables-rule.ts';

/** Our table, of the inet family: IPv4 and IPv6 together. */
export const TABLE = 'ovpn_killswitch';

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
type JsonObject = { readonly [key: string]: Json };

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Sets that packets fill, as a match names them. */
const FILLED: readonly string[] = [ONE_BRIDGE, ...FAMILIES.map(askedSet)].map((name) => `@${name}`);

/** Returns the left side of a match (libnftables-json(5), EXPRESSIONS) in nft's words. */
function selector(left: Json | undefined): string {
  if (!isObject(left)) return JSON.stringify(left ?? null);
  const { meta, payload, ct, concat, fib } = left;
  if (isObject(payload) && payload['base'] !== undefined)
    return `@${String(payload['base'])},${String(payload['offset'])},${String(payload['len'])}`;
  if (isObject(meta) && typeof meta['key'] === 'string')
    return /^[io]ifname$/.test(meta['key']) ? meta['key'] : `meta ${meta['key']}`;
  if (isObject(payload)) return `${String(payload['protocol'])} ${String(payload['field'])}`;
  if (isObject(fib))
    return `fib ${(Array.isArray(fib['flags']) ? fib['flags'] : [fib['flags']]).join(' . ')} ${String(fib['result'])}`;
  if (isObject(ct)) return `ct ${String(ct['key'])}`;
  // Where the end of the rule matches one transport, nft lists the port in a concatenation by that
  // transport's name.
  if (Array.isArray(concat))
    return concat
      .map((each: Json) => selector(each).replace(/^(tcp|udp) (?=[sd]port$)/, 'th '))
      .join(' . ');
  return JSON.stringify(left);
}

/**
 * Returns a set of addresses in one spelling: some kernels and nft versions list neighbouring
 * prefixes as a range.
 */
export function addressSet(values: readonly string[]): string {
  return (mergedIntervals(values) ?? values).join(', ');
}

/** The elements of the table's named sets, by name. */
type Sets = ReadonlyMap<string, readonly Json[]>;

/**
 * Returns the right side of a match in nft's words: a set, named or not, as its elements in a
 * stable order.
 */
function operand(name: string, right: Json | undefined, sets: Sets): string {
  // Elements that packets add are not part of the rules.
  if (typeof right === 'string' && FILLED.includes(right)) return right;
  if (typeof right === 'string' && right.startsWith('@'))
    return operand(name, { set: sets.get(right.slice(1)) ?? [] }, sets);
  if (typeof right === 'string') {
    if (/^(?:[io]ifname|meta [io]ifkind)$/.test(name)) return `"${right}"`;
    // nft prints its own time zone, which the host's door sets to UTC.
    if (name === 'meta time') return String(Date.parse(`${right.replace(' ', 'T')}Z`) / 1000);
    return icmpNumber(name, right) ?? right;
  }
  if (typeof right === 'number')
    return name === 'meta mark' ? `0x${right.toString(16).padStart(8, '0')}` : String(right);
  if (Array.isArray(right))
    return right
      .map((each: Json) => operand(name, each, sets))
      .sort()
      .join(',');
  if (!isObject(right)) return JSON.stringify(right ?? null);
  const { set, prefix, range, concat, elem } = right;
  if (Array.isArray(set)) {
    const values = set.map((each: Json) => operand(name, each, sets)).sort();
    // Neighbouring prefixes that merge into one are listed as a set of one.
    if (/^ip6? [sd]addr$/.test(name)) return addressSet(values);
    return values.length === 1 ? (values[0] ?? '') : `{ ${values.join(', ')} }`;
  }
  if (isObject(prefix)) return `${String(prefix['addr'])}/${String(prefix['len'])}`;
  if (Array.isArray(range)) return range.map((each: Json) => operand(name, each, sets)).join('-');
  if (Array.isArray(concat)) return concat.map((each: Json) => operand('', each, sets)).join(' . ');
  if (isObject(elem)) return operand(name, elem['val'], sets);
  return JSON.stringify(right);
}

function expression(item: Json, sets: Sets): string {
  if (!isObject(item)) return JSON.stringify(item);
  const { match, set, counter, limit, log, jump, reject } = item;
  if (isObject(match)) {
    const name = selector(match['left']);
    const not = match['op'] === '!=' ? '!= ' : '';
    return `${name} ${not}${operand(name, match['right'], sets)}`;
  }
  if (isObject(set)) {
    const { elem } = set;
    const timed = isObject(elem) && isObject(elem['elem']) ? elem['elem'] : undefined;
    const what =
      timed === undefined
        ? selector(elem)
        : `${selector(timed['val'])} timeout ${String(timed['timeout'])}s`;
    return `${String(set['op'])} ${String(set['set'])} ${what}`;
  }
  if (counter !== undefined) return 'counter';
  if (limit !== undefined) return 'limit rate';
  if (isObject(log)) return `log prefix "${String(log['prefix'])}"`;
  if (isObject(jump)) return `jump ${String(jump['target'])}`;
  if (isObject(reject) && reject['type'] === 'tcp reset') return 'reject with tcp reset';
  if (reject === null) return 'reject with icmpx type port-unreachable';
  if (isObject(reject))
    return `reject with ${String(reject['type'])} type ${String(reject['expr'] ?? 'port-unreachable')}`;
  if ('accept' in item) return 'accept';
  if ('drop' in item) return 'drop';
  return JSON.stringify(item);
}

function ruleOf(rule: JsonObject, sets: Sets): ImageRule {
  const items = Array.isArray(rule['expr']) ? (rule['expr'] as readonly Json[]) : [];
  const counter = items
    .map((item) => (isObject(item) ? item['counter'] : undefined))
    .find((each) => isObject(each));
  const counted = (what: 'packets' | 'bytes') =>
    isObject(counter) && typeof counter[what] === 'number' ? counter[what] : 0;
  const comment = rule['comment'];
  return {
    id: ruleId(typeof comment === 'string' ? comment : undefined),
    // nft 0.9 also lists the family that an address of a concatenation implies.
    text: items
      .map((item) => expression(item, sets))
      .join(' ')
      .replace(/^meta nfproto ipv4 (?=ip daddr \.)|^meta nfproto ipv6 (?=ip6 daddr \.)/, ''),
    packets: counted('packets'),
    bytes: counted('bytes'),
  };
}

/**
 * Parses the output of `nft -j list table` as an Image. Keeps unknown words as JSON, which then
 * differ from the expected rules.
 * @throws KillswitchError COMMAND when it is not nft's JSON.
 */
export function readNftJson(text: string): Image {
  let parsed: Json;
  try {
    parsed = JSON.parse(text) as Json;
  } catch (cause) {
    throw new KillswitchError(
      'COMMAND',
      'the output of "nft -j" is not JSON',
      'Check that nft was built with JSON support: nft -j list tables',
      [],
      {
        cause,
      },
    );
  }
  const list =
    isObject(parsed) && Array.isArray(parsed['nftables'])
      ? (parsed['nftables'] as readonly Json[])
      : [];
  const objects = list.filter(isObject);
  // Our table has no flags. nft 1.0.6 prints stray memory in place of their names, so only their
  // presence can be known.
  const dormant = objects.some(({ table }) => isObject(table) && table['flags'] !== undefined);
  const rules = objects.flatMap(({ rule }) => (isObject(rule) ? [rule] : []));
  const sets: Sets = new Map(
    objects.flatMap(({ set }) =>
      isObject(set)
        ? [
            [
              String(set['name']),
              Array.isArray(set['elem']) ? (set['elem'] as readonly Json[]) : [],
            ],
          ]
        : [],
    ),
  );
  return objects.flatMap(({ chain }) => {
    if (!isObject(chain) || typeof chain['name'] !== 'string') return [];
    const { name } = chain;
    const priority = chain['prio'] === 0 ? '' : ` at priority ${String(chain['prio'])}`;
    const policy =
      chain['hook'] === undefined
        ? undefined
        : `${String(chain['policy'])} on ${String(chain['hook'])}${priority}`;
    return [
      {
        family: undefined,
        name,
        policy: dormant && policy !== undefined ? 'asleep (the table is dormant)' : policy,
        ordered: isOrdered(name),
        rules: rules.filter((rule) => rule['chain'] === name).map((rule) => ruleOf(rule, sets)),
      },
    ];
  });
}

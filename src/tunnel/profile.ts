import { parseAddress } from '../net/address.ts';
import { distinctEndpoints, type Endpoint, parseEndpoint } from '../net/endpoint.ts';
import { parsePort, type Transport } from '../net/port.ts';

/** One place a profile may connect to. `host` is as written: an address or a name. */
export interface Remote {
  readonly host: string;
  readonly port: string;
  readonly transport: Transport;
}

/** What the kill switch needs to know of a profile (.ovpn, .conf). */
export interface Profile {
  readonly remotes: readonly Remote[];
  /** The account OpenVPN changes to after it has started: `user`. */
  readonly user: string | undefined;
}

/**
 * The words of one line, as OpenVPN's `parse_line` cuts them (options_parse.c): blanks separate, `#` and `;` at the start of a
 * word end the line, quotes group, a backslash takes the next character as it is except within single quotes. A line whose quotes do not
 * close yields nothing, as OpenVPN refuses it.
 */
export function words(line: string): readonly string[] {
  const found: string[] = [];
  let word: string | undefined;
  let quote: '"' | "'" | undefined;
  let escaped = false;
  for (const character of line) {
    if (escaped) {
      word = (word ?? '') + character;
      escaped = false;
    } else if (character === '\\' && quote !== "'") {
      escaped = true;
    } else if (quote !== undefined) {
      if (character === quote) quote = undefined;
      else word = (word ?? '') + character;
    } else if (character === '"' || character === "'") {
      quote = character;
      word ??= '';
    } else if (/\s/.test(character)) {
      if (word !== undefined) found.push(word);
      word = undefined;
    } else if (word === undefined && (character === '#' || character === ';')) {
      return found;
    } else {
      word = (word ?? '') + character;
    }
  }
  if (quote !== undefined || escaped) return [];
  return word === undefined ? found : [...found, word];
}

/** The options of a profile in order, without inline files (`<ca>…</ca>`); a `<connection>` block opens and closes with its tags. */
function* options(text: string): Generator<readonly string[]> {
  let inline: string | undefined;
  for (const line of text.replace(/^\uFEFF/, '').split(/\r?\n/)) {
    const [, slash, tag] = /^\s*<(\/?)([\w-]+)>\s*$/.exec(line) ?? [];
    if (inline !== undefined) {
      if (slash === '/' && tag === inline) inline = undefined;
    } else if (tag === 'connection') {
      yield [`<${slash}connection>`];
    } else if (tag !== undefined && slash === '') {
      inline = tag;
    } else {
      const [name, ...rest] = words(line);
      if (name !== undefined) yield [name.replace(/^--/, ''), ...rest];
    }
  }
}

function transportOf(proto: string): Transport {
  return proto.startsWith('tcp') ? 'tcp' : 'udp';
}

interface Draft {
  remotes: { host: string; port: string | undefined; proto: string | undefined }[];
  port: string | undefined;
  proto: string | undefined;
}

/** Reads the options that say where OpenVPN connects to and as whom it runs. `remote HOST [PORT] [PROTO]`; port 1194 and UDP by default. */
export function readProfile(text: string): Profile {
  const top: Draft = { remotes: [], port: undefined, proto: undefined };
  const blocks: Draft[] = [];
  let draft = top;
  let user: string | undefined;
  for (const [name = '', ...values] of options(text)) {
    const [first = '', second, third] = values;
    switch (name) {
      case '<connection>':
        draft = { remotes: [], port: undefined, proto: undefined };
        blocks.push(draft);
        break;
      case '</connection>':
        draft = top;
        break;
      case 'remote':
        draft.remotes.push({ host: first, port: second, proto: third });
        break;
      case 'port':
      case 'rport':
        draft.port = first;
        break;
      case 'proto':
        draft.proto = first;
        break;
      case 'user':
        user = first;
        break;
      default:
        break;
    }
  }
  // With <connection> blocks OpenVPN takes its remotes from them alone (options.c, options_postprocess_mutate).
  const drafts = blocks.length > 0 ? blocks : [top];
  const remotes = drafts.flatMap((each) =>
    each.remotes.map(({ host, port, proto }) => ({
      host,
      port: port ?? each.port ?? top.port ?? '1194',
      transport: transportOf(proto ?? each.proto ?? top.proto ?? 'udp'),
    })),
  );
  return { remotes, user };
}

/** The endpoints of remotes that are literal addresses; names and ports that do not parse are left out. */
export function literalEndpoints(profile: Profile): readonly Endpoint[] {
  return distinctEndpoints(
    profile.remotes.flatMap(({ host, port, transport }) => {
      const address = parseAddress(host);
      if (address === undefined || parsePort(port) === undefined) return [];
      const text = address.family === 'ipv6' ? `[${host}]:${port}/${transport}` : `${host}:${port}/${transport}`;
      return parseEndpoint(text) ?? [];
    }),
  );
}

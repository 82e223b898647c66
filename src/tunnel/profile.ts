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

/** What isspace(3) calls a blank; JavaScript's own class has more. */
const BLANK = /[ \t\n\v\f\r]/;

/**
 * The words of one line, as OpenVPN's `parse_line` cuts them (options_parse.c): blanks separate, `#` and `;` at the start of a word end
 * the line, a quote at the start of a word groups up to the next one, and a backslash takes a blank, a quotation mark or a backslash as it is,
 * except within single quotes. A line that OpenVPN refuses (quotes that do not close, another character after a backslash) yields nothing.
 */
export function words(line: string): readonly string[] {
  const found: string[] = [];
  let word: string | undefined;
  let quote: string | undefined;
  let escaped = false;
  for (const character of line) {
    if (!escaped && character === '\\' && quote !== "'") {
      escaped = true;
      continue;
    }
    const plain = !escaped;
    escaped = false;
    const blank = BLANK.test(character);
    const ends = quote === undefined ? word !== undefined && blank : character === quote;
    if (plain && ends) {
      found.push(word ?? '');
      word = undefined;
      quote = undefined;
      continue;
    }
    if (word === undefined && quote === undefined) {
      if (blank) continue;
      if (character === '#' || character === ';') return found;
      if (plain && (character === '"' || character === "'")) {
        quote = character;
        continue;
      }
    }
    if (!plain && !blank && character !== '"' && character !== '\\') return [];
    word = (word ?? '') + character;
  }
  if (quote !== undefined || (escaped && word !== undefined)) return [];
  return word === undefined ? found : [...found, word];
}

/**
 * The options of a profile in order, without inline files (`<ca>…</ca>`); a `<connection>` block opens and closes with its tags. As in
 * OpenVPN (read_inline_file) a closing tag need only be how a line starts.
 */
function* options(text: string): Generator<readonly string[]> {
  let block = false;
  let inline: string | undefined;
  for (const line of text.replace(/^\uFEFF/, '').split('\n')) {
    const content = line.trimStart();
    if (block && content.startsWith('</connection>')) {
      block = false;
      inline = undefined;
      yield ['</connection>'];
      continue;
    }
    if (inline !== undefined) {
      if (content.startsWith(`</${inline}>`)) inline = undefined;
      continue;
    }
    const [first, ...values] = words(line);
    if (first === undefined) continue;
    const name = first.replace(/^--(?=.)/, '');
    const [, tag] = values.length === 0 ? (/^<(.*)>$/.exec(name) ?? []) : [];
    if (tag === 'connection' && !block) {
      block = true;
      yield [name];
    } else if (tag !== undefined) inline = tag;
    else yield [name, ...values];
  }
}

function transportOf(proto: string): Transport {
  return proto.startsWith('tcp') ? 'tcp' : 'udp';
}

/** What applies to a connection (OpenVPN's struct connection_entry). */
interface Connection {
  readonly host: string | undefined;
  readonly port: string;
  readonly proto: string;
}

/**
 * Reads the options that say where OpenVPN connects to and as whom it runs. `remote HOST [PORT] [PROTO]`; port 1194 and UDP by default.
 * Precedence as in options.c: outside of blocks the words of `remote` win over `port` and `proto`, wherever these stand; a `<connection>`
 * block starts with what stood above it, and in it the last word wins.
 */
export function readProfile(text: string): Profile {
  const remotes: { readonly host: string; readonly port: string | undefined; readonly proto: string | undefined }[] = [];
  const blocks: Connection[] = [];
  let top: Connection = { host: undefined, port: '1194', proto: 'udp' };
  let block: Connection | undefined;
  let user: string | undefined;
  const set = (change: Partial<Connection>) => {
    if (block === undefined) top = { ...top, ...change };
    else block = { ...block, ...change };
  };
  for (const [name = '', first, second, third] of options(text)) {
    switch (name) {
      case '<connection>':
        block = top;
        break;
      case '</connection>':
        if (block !== undefined) blocks.push(block);
        block = undefined;
        break;
      case 'remote':
        if (first === undefined) break;
        if (block === undefined) remotes.push({ host: first, port: second, proto: third });
        else block = { host: first, port: second ?? block.port, proto: third ?? block.proto };
        break;
      case 'port':
      case 'rport':
        if (first !== undefined) set({ port: first });
        break;
      case 'proto':
        if (first !== undefined) set({ proto: first });
        break;
      case 'user':
        if (block === undefined) user = first;
        break;
      default:
        break;
    }
  }
  // With <connection> blocks OpenVPN takes its remotes from them alone (options.c, options_postprocess_mutate).
  const connections =
    blocks.length > 0 ? blocks : remotes.map(({ host, port, proto }) => ({ host, port: port ?? top.port, proto: proto ?? top.proto }));
  return {
    remotes: connections.flatMap(({ host, port, proto }) => (host === undefined ? [] : [{ host, port, transport: transportOf(proto) }])),
    user,
  };
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

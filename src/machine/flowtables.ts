import type { Host } from '../host/host.ts';
import { printable } from '../net/printable.ts';
import { field, items, parseJson } from './json.ts';

/**
 * The flowtables of others as nft names them: family, table, name. A connection in one of them
 * passes neither the forward chain nor any other (nft(8), FLOWTABLES). Undefined where nft is not
 * there or does not say.
 */
export function readFlowtables(host: Host): readonly string[] | undefined {
  if (!host.has('nft')) return undefined;
  const { status, stdout } = host.run({ program: 'nft', args: ['-j', 'list', 'flowtables'] });
  const list =
    status === 0
      ? items(field(parseJson(stdout), 'nftables'), (each) => ({
          flowtable: field(each, 'flowtable'),
        }))
      : undefined;
  return list?.flatMap(({ flowtable }) =>
    flowtable === undefined
      ? []
      : [
          ['family', 'table', 'name']
            .map((key) => printable(String(field(flowtable, key))))
            .join(' '),
        ],
  );
}

/**
 * Flowtables whose connections nothing here can end. Their tool is asked for first: where it is
 * there, nothing is listed.
 */
export function unendableFlowtables(host: Host): readonly string[] {
  return host.has('conntrack') ? [] : (readFlowtables(host) ?? []);
}

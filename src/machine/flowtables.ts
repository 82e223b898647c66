import type { Processes } from '../host/processes.ts';
import { printable } from '../net/printable.ts';
import { field, items, parseJson } from './json.ts';

/**
 * Lists other programs' flowtables as nft names them: family, table, name. A connection in one
 * passes neither the forward chain nor any other (nft(8), FLOWTABLES). Returns undefined when nft
 * is missing or fails.
 */
export function readFlowtables(processes: Processes): readonly string[] | undefined {
  if (!processes.has('nft')) return undefined;
  const { status, stdout } = processes.run({ program: 'nft', args: ['-j', 'list', 'flowtables'] });
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
 * Returns the flowtables whose connections cannot be ended here. Checks for the conntrack tool
 * first: with it the list is empty.
 */
export function unendableFlowtables(processes: Processes): readonly string[] {
  return processes.has('conntrack') ? [] : (readFlowtables(processes) ?? []);
}

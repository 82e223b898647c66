import { chooseBackend } from '../backend/choose-backend.ts';
import { iptables } from '../backend/iptables.ts';
import { nftables } from '../backend/nftables.ts';
import { EXIT } from '../errors.ts';
import { PATHS } from '../host/paths.ts';
import { readBackendFacts } from '../machine/backend-facts.ts';
import { loadSettings } from '../machine/load-settings.ts';
import { FAMILIES } from '../net/address.ts';
import { decide, tunnelsOf } from '../policy/policy.ts';
import { gatherKnown } from '../record/gather-known.ts';
import { readAfterLock } from '../record/kept-shut.ts';
import { readLockRecord } from '../record/lock-record.ts';
import { compile } from '../ruleset/compile.ts';
import { intend } from '../transaction/intend.ts';
import type { CliCommand, Flags } from './command.ts';
import { misused, parseArguments } from './parse-arguments.ts';

const FLAGS = {
  backend: {
    type: 'string',
    value: 'BACKEND',
    choices: ['iptables', 'nftables'],
    what: 'for this packet filter',
  },
} as const satisfies Flags;

export const render: CliCommand = {
  name: 'render',
  usage: 'render [--backend iptables|nftables]',
  group: 'look',
  brief: 'print the rules that lock would load',
  summary: 'Print the rules that lock would load now. Changes nothing.',
  flags: FLAGS,
  words: [],
  examples: [
    ['render', 'the rules for this machine'],
    ['render --backend nftables', 'the same rules for nft'],
  ],
  needsRoot: false,
  run: ({ host, args, printExactly }) => {
    const { values } = parseArguments(render, args, FLAGS);
    const settings = loadSettings(host);
    const named = values.backend;
    if (named !== undefined && named !== 'iptables' && named !== 'nftables')
      throw misused(render, `there is no backend "${named}"`);
    const families = host.exists(PATHS.ipv6) ? FAMILIES : (['ipv4'] as const);
    const backend =
      named === undefined
        ? chooseBackend(readBackendFacts(host, settings.backend, 'anew')).backend
        : named === 'nftables'
          ? nftables
          : iptables(families);
    const { replace } = backend;
    // A lock ends a portal, and forgets what reconnects or has ended.
    const { policy, live } = intend(
      host,
      settings,
      gatherKnown(host, settings, readLockRecord(host)),
      undefined,
    );
    const { former } = readAfterLock(host, live);
    const { commit } = replace(compile(decide(policy.base, tunnelsOf(policy), undefined, former)), {
      image: [],
      policies: [],
      present: false,
    });
    for (const { program, args: words, stdin } of commit) {
      printExactly(`# ${[program, ...words].join(' ')}`);
      printExactly((stdin ?? '').trimEnd());
    }
    return EXIT.ok;
  },
};

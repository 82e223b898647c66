import type { Difference } from '../backend/image.ts';
import { followNftables, HASTE_MILLISECONDS } from '../boot/follow-nftables.ts';
import { asKillswitchError, explainError } from '../errors.ts';
import type { Host, Listen, Listener } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { startOf } from '../machine/daemon.ts';
import { readLockRecord } from '../record/lock-record.ts';
import { differenceLines } from '../transaction/apply.ts';
import { type Author, authorsText, endsChange, mayBeOurs, readAuthor } from './author.ts';
import { type Guarded, guard, guardResolvers } from './guard.ts';
import { quota } from './quota.ts';

/** Milliseconds. */
export const PACE = {
  /** From a change of rules to the look at it. */
  change: 10,
  /** From the news of an interface: the hook that it belongs to runs right then. */
  link: 300,
  /** Between two looks at least, whatever happens. */
  rest: 400,
  /** While a hook is at work, and how long it is waited for. */
  busy: 100,
  busyMost: 2_000,
  /**
   * After a look that failed, as while another program goes on changing the firewall; each time
   * twice as long.
   */
  failed: 200,
  failedMost: 5_000,
  /**
   * Between looks that nothing has asked for; the second where nothing tells that rules have
   * changed, or may not yet.
   */
  idle: 30_000,
  poll: 500,
  /** How long what listens may take to hear: what happened before that it never tells. */
  deaf: 3_000,
  /**
   * Before a listener that has ended is started again; each time twice as long while it tells
   * nothing.
   */
  again: 1_000,
  againMost: 60_000,
} as const;

function restoredText(
  { differences, gone }: Extract<Guarded, { kind: 'restored' }>,
  authors: readonly Author[],
): string {
  if (differences.length === 0) return `the rules of ${gone.join(', ')} went with it`;
  return `put back what was changed by ${authorsText(authors)}: ${differenceLines(differences, 3).join('; ')}`;
}

/** Whether changes of iptables rules are told by "nft monitor": not those of iptables-legacy. */
function toldByNft(host: Host): boolean {
  return (
    host.has('nft') &&
    host.run({ program: 'iptables-save', args: ['--version'] }).stdout.includes('nf_tables')
  );
}

interface Lasting extends Listener {
  /** Whether it has been there for long enough to have told of every change since the last look. */
  hears(): boolean;
}

/** A listener that is started again whenever it ends. */
function listenOn(
  start: (line: () => void, ended: (why: string) => void) => Listener,
  ended: (why: string) => void,
): Lasting {
  let pause: number = PACE.again;
  let timer: NodeJS.Timeout | undefined;
  let listener: Listener | undefined;
  let since = Number.POSITIVE_INFINITY;
  const run = () => {
    since = performance.now();
    listener = start(
      () => {
        pause = PACE.again;
      },
      (why) => {
        since = Number.POSITIVE_INFINITY;
        timer = setTimeout(run, pause);
        pause = Math.min(pause * 2, PACE.againMost);
        ended(why);
      },
    );
  };
  run();
  return {
    hears: () => performance.now() - since > PACE.deaf,
    stop: () => {
      clearTimeout(timer);
      listener?.stop();
    },
  };
}

/**
 * Watches until it is stopped: looks at the rules whenever packet filters or interfaces change, and
 * from time to time without being told; puts right what is not as it should be, and says who
 * changed rules just before. However much changes, two looks have a rest between them.
 */
export function watch(unbounded: Host, listen: Listen, pid: number): Listener {
  const say = quota(unbounded);
  // Whatever is said on the way to putting rules right, is said as often.
  const host: Host = { ...unbounded, log: say };
  const told = toldByNft(host);
  let authors: readonly Author[] = [];
  let spelling: readonly Difference[] = [];
  // Whether an interface has changed since the last look: the resolvers may have to follow.
  let linksChanged = false;
  let resolversSeen = Number.NEGATIVE_INFINITY;
  let next: { readonly at: number; readonly timer: NodeJS.Timeout } | undefined;
  let rested = 0;
  // Changes of our own whose news is still to come.
  let echoes = 0;
  let busySince: number | undefined;
  let retry: number = PACE.failed;

  const lookIn = (milliseconds: number): void => {
    const at = Math.max(performance.now() + milliseconds, rested);
    if (next !== undefined && next.at <= at) return;
    clearTimeout(next?.timer);
    next = { at, timer: setTimeout(look, at - performance.now()) };
  };

  const untold = () => !told && readLockRecord(host)?.backend === 'iptables';
  const mustAsk = () => rules?.hears() !== true || !links.hears() || untold();

  function attempt(): void {
    const patient = busySince === undefined || performance.now() - busySince < PACE.busyMost;
    const guarded = guard(host, { patient, spelling });
    if (guarded.kind === 'busy') {
      busySince ??= performance.now();
      lookIn(PACE.busy);
      return;
    }
    busySince = undefined;
    if (guarded.kind === 'restored') {
      spelling = guarded.spelling;
      const record = readLockRecord(host);
      // iptables commits each table of each family by itself.
      echoes = record?.backend === 'nftables' ? 1 : record?.wall === true ? 4 : 2;
      say({
        level: 'warn',
        event: 'restored',
        message: restoredText(guarded, authors),
        fields: { authors, differences: guarded.differences.slice(0, 20), gone: guarded.gone },
      });
      followNftables(host, HASTE_MILLISECONDS);
    } else echoes = 0;
    authors = [];
    const now = performance.now();
    if (guarded.kind !== 'restored' && !linksChanged && now - resolversSeen < PACE.idle) return;
    linksChanged = false;
    resolversSeen = now;
    guardResolvers(host);
  }

  function look(): void {
    next = undefined;
    try {
      attempt();
      rested = performance.now() + (busySince === undefined ? PACE.rest : 0);
      retry = PACE.failed;
      lookIn(mustAsk() ? PACE.poll : PACE.idle);
    } catch (thrown) {
      const error = asKillswitchError(thrown);
      say({
        level: 'error',
        event: 'failed',
        message: explainError(error).join(' '),
        fields: { code: error.code, authors },
      });
      rested = performance.now() + Math.min(retry, PACE.rest);
      lookIn(retry);
      retry = Math.min(retry * 2, PACE.failedMost);
    }
  }

  const ended = (program: string) => (why: string) => {
    say({
      level: 'warn',
      event: 'deaf',
      message: `"${program}" has ended: ${why}; it is started again`,
    });
    lookIn(PACE.change);
  };
  const rules = host.has('nft')
    ? listenOn(
        (alive, gone) =>
          listen(
            'nft',
            ['monitor'],
            (line) => {
              alive();
              if (!endsChange(line)) return;
              const author = readAuthor(line);
              if (author !== undefined && echoes > 0 && mayBeOurs(author)) echoes--;
              else if (author !== undefined) authors = [...authors.slice(-19), author];
              lookIn(PACE.change);
            },
            gone,
          ),
        ended('nft monitor'),
      )
    : undefined;
  const links = listenOn(
    (alive, gone) =>
      listen(
        'ip',
        ['monitor', 'link'],
        () => {
          alive();
          linksChanged = true;
          lookIn(PACE.link);
        },
        gone,
      ),
    ended('ip monitor link'),
  );

  host.write(
    PATHS.watch,
    `${JSON.stringify({ version: 1, pid, start: startOf(host, pid) ?? null })}\n`,
  );
  const how = untold()
    ? 'nothing tells of changes to iptables-legacy: it is asked twice a second'
    : 'told by "nft monitor"';
  host.log({ level: 'info', event: 'watching', message: `watching the rules (${how})` });
  lookIn(0);
  return {
    stop: () => {
      clearTimeout(next?.timer);
      rules?.stop();
      links.stop();
      host.remove(PATHS.watch);
    },
  };
}

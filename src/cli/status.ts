import { type BootReport, readBoot } from '../boot/boot-report.ts';
import { STRATEGIES } from '../dns/choose.ts';
import { describeResolvers } from '../dns/describe-resolvers.ts';
import { followResolversOrSay, type ResolverState, readResolvers } from '../dns/follow-resolvers.ts';
import { EXIT, type ExitStatus, KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { type Report, readReport } from '../machine/report.ts';
import { settingsInForce } from '../machine/settings-in-force.ts';
import { endpointText } from '../net/endpoint.ts';
import { differenceLines, lookIfItWorks } from '../transaction/apply.ts';
import { readWatch, type WatchReport } from '../watch/watch-report.ts';
import type { CliCommand } from './command.ts';
import { parseArguments } from './parse-arguments.ts';

function exitOf({ state, exact }: Report): ExitStatus {
  if (state === 'unlocked') return EXIT.failed;
  return exact ? EXIT.ok : EXIT.degraded;
}

function ago(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 86400 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86400)} days`;
}

function headline({ state, exact }: Report): string {
  if (state === 'unlocked') return 'UNLOCKED: nothing is guarded';
  if (state === 'open') return 'OPEN: this machine was locked, but no rule is loaded';
  if (!exact) return 'LOCKED, BUT NOT AS IT SHOULD BE';
  return state === 'connected' ? 'LOCKED: connected' : 'LOCKED: blocked, no tunnel';
}

/** What tunnels that are gone left behind of DNS is given back; nothing else is repaired here. */
function giveBackResolvers(host: Host, { stale, intended }: Report): string | undefined {
  if (stale.length < intended.live.length) return undefined;
  const followed = followResolversOrSay(host);
  return followed instanceof KillswitchError || followed.kind === 'unchanged' ? undefined : describeResolvers(followed);
}

function* resolverLines({ setting, demands, inUse, differences }: ResolverState): Generator<string> {
  if (inUse.length > 0) yield `  dns       set in ${inUse.map((name) => STRATEGIES[name].title).join(', ')}`;
  else if (setting === 'off') yield '  dns       left alone: KILLSWITCH_RESOLVER says off';
  for (const line of differences) yield `  dns       ${line}${demands.length > 0 ? ': "ovpn-killswitch lock" sets it' : ''}`;
}

function* lines(report: Report, resolvers: ResolverState, givenBack: string | undefined, now: number): Generator<string> {
  const { record, choice, intended, stale, differences } = report;
  yield headline(report);
  if (record !== undefined) yield `  since     ${ago(now - record.since)}`;
  yield `  backend   ${choice.trace.join('; ')}`;
  yield `  endpoints ${intended.policy.base.endpoints.length}`;
  for (const { tunnel, since } of intended.live) {
    const [endpoint] = tunnel.endpoints;
    const resolvers = (intended.policy.base.dns ?? tunnel.resolvers).map(({ text }) => text).join(' ');
    const gone = stale.some((each) => each.tunnel.device === tunnel.device) ? ', GONE: the next hook or lock takes its rules away' : '';
    yield `  tunnel    ${tunnel.device}${endpoint === undefined ? '' : ` to ${endpointText(endpoint)}`}, resolvers ${resolvers || 'none'}, for ${ago(now - since)}${gone}`;
  }
  yield* resolverLines(resolvers);
  if (givenBack !== undefined) yield `  dns       ${givenBack}`;
  for (const line of differenceLines(differences, 20)) yield `  differs   ${line}`;
  if (differences.length > 0) yield '  "ovpn-killswitch lock" puts it right.';
  if (report.settingsChanged) yield '  settings  changed since the last lock: "ovpn-killswitch lock" loads them';
}

function* bootLines({ strategy, sysctl, problems }: BootReport): Generator<string> {
  const loaded =
    strategy === undefined ? 'the rules are not loaded at boot: "ovpn-killswitch boot enable"' : `loaded by ${strategy.loader}`;
  yield `  boot      ${loaded}${sysctl ? '; kernel settings too' : ''}`;
  for (const problem of problems) yield `  boot      PROBLEM: ${problem}`;
}

function watchLine({ enabled, running }: WatchReport): string {
  if (running) return '  watch     puts the rules back when another program changes them';
  return enabled
    ? '  watch     PROBLEM: the service ovpn-killswitch-watch does not run'
    : '  watch     off: "ovpn-killswitch watch enable" has the rules put back when another program changes them';
}

/** Version 1 of the machine-readable status. */
function json(report: Report, { inUse, differences: dnsDifferences }: ResolverState, boot: BootReport, watch: WatchReport): string {
  const { state, exact, record, choice, intended, stale, differences } = report;
  return JSON.stringify(
    {
      version: 1,
      state,
      exact,
      since: record?.since ?? null,
      settingsChanged: report.settingsChanged,
      backend: choice.backend.name,
      trace: choice.trace,
      boot: { with: boot.strategy?.name ?? null, sysctl: boot.sysctl, problems: boot.problems },
      watch,
      endpoints: intended.policy.base.endpoints.map(endpointText),
      tunnels: intended.live.map(({ tunnel, since, connection }) => ({
        device: tunnel.device,
        since,
        connection: connection ?? null,
        endpoints: tunnel.endpoints.map(endpointText),
        addresses: tunnel.addresses.map(({ text }) => text),
        resolvers: (intended.policy.base.dns ?? tunnel.resolvers).map(({ text }) => text),
        networks: tunnel.networks.map(({ text }) => text),
        stale: stale.some((each) => each.tunnel.device === tunnel.device),
      })),
      dns: { setBy: inUse, differences: dnsDifferences },
      differences: differences.map(({ family, chain, id, what }) => ({ family: family ?? null, chain, rule: id ?? null, what })),
    },
    null,
    2,
  );
}

function read(host: Host): Report {
  return readReport(host, settingsInForce(host), (backend) => lookIfItWorks(host, backend));
}

/** A hook may be in the middle of its change: what is not as it should be is read again when nobody changes anything. */
function readSettled(host: Host): Report {
  const report = read(host);
  if (report.exact) return report;
  try {
    return host.exclusively(() => read(host));
  } catch (thrown) {
    if (thrown instanceof KillswitchError && thrown.code === 'BUSY') return report;
    throw thrown;
  }
}

export const status: CliCommand = {
  name: 'status',
  usage: 'status [--json]',
  summary: 'Read the kernel and say whether it holds what it should: exit 0 locked and exact, 1 not locked, 2 locked but different.',
  examples: [
    ['status', 'a picture for people'],
    ['status --json', 'the same for programs'],
  ],
  needsRoot: true,
  run: ({ host, args, print }) => {
    const { values } = parseArguments(status, args, { json: { type: 'boolean' } });
    const report = readSettled(host);
    const givenBack = giveBackResolvers(host, report);
    const resolvers = readResolvers(host, true);
    const boot = readBoot(host);
    const watch = readWatch(host);
    if (values.json === true) print(json(report, resolvers, boot, watch));
    else for (const line of [...lines(report, resolvers, givenBack, host.now()), ...bootLines(boot), watchLine(watch)]) print(line);
    return exitOf(report);
  },
};

import type { BootReport } from '../boot/boot-report.ts';
import { STRATEGIES } from '../dns/choose-strategies.ts';
import type { ResolverState } from '../dns/follow-resolvers.ts';
import { endpointText } from '../net/endpoint.ts';
import { printable } from '../net/printable.ts';
import { describePortal } from '../policy/portal.ts';
import { type Maker, makerText } from '../record/remembered-networks.ts';
import type { Traffic } from '../record/traffic.ts';
import { differenceLines } from '../transaction/apply.ts';
import { passedText } from '../transaction/end-portal.ts';
import { type Connection, isServers } from './connection.ts';
import type { DropCounts, Drops } from './drops.ts';
import { pinLines } from './pin-lines.ts';
import type { Report } from './report.ts';
import type { View } from './view.ts';

/** The meaning of a line for the machine: a terminal may show it as a colour. */
export type Tone = 'good' | 'warning' | 'bad' | 'plain' | 'waiting' | 'idle';

/** One line of the picture; without a label it stands at the margin. */
export interface PictureLine {
  readonly label?: string;
  readonly text: string;
  readonly tone: Tone;
}

/** Writes seconds in one unit, the largest that is full. */
export function ago(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
  const days = Math.floor(seconds / 86400);
  return days === 1 ? '1 day' : `${days} days`;
}

/** Returns the time since the last packet that came in through any tunnel. */
function sinceLast({ traffic }: Connection): string {
  return ago(Math.min(...[...traffic.values()].map(({ seconds }) => seconds)));
}

function connectionLine(connection: Connection): PictureLine {
  switch (connection.kind) {
    case 'flowing':
    case 'quiet':
    case 'unknown':
      return { text: 'LOCKED: connected', tone: 'good' };
    case 'silent':
      return {
        text: `LOCKED: tunnel up, but nothing has come in for ${sinceLast(connection)}`,
        tone: 'warning',
      };
    case 'server':
      return { text: 'LOCKED: no VPN client is connected', tone: 'idle' };
    case 'connecting':
      return { text: 'LOCKED: blocked, a client is connecting', tone: 'waiting' };
    case 'none':
      return { text: 'LOCKED: blocked, no tunnel', tone: 'idle' };
    default:
      return connection.kind satisfies never;
  }
}

/** Writes the state in one line. */
export function headline({ report: { state, exact }, connection }: View): PictureLine {
  if (state === 'unlocked') return { text: 'UNLOCKED: nothing is guarded', tone: 'bad' };
  if (state === 'unknown')
    return { text: 'UNKNOWN: the rules of this machine could not be read', tone: 'bad' };
  if (state === 'open')
    return { text: 'OPEN: this machine was locked, but no rule is loaded', tone: 'bad' };
  if (!exact) return { text: 'LOCKED, BUT NOT AS IT SHOULD BE', tone: 'bad' };
  if (state === 'portal') return { text: 'LOCKED, but for a portal', tone: 'warning' };
  return connectionLine(connection);
}

const line = (label: string, text: string, tone: Tone = 'plain'): PictureLine => ({
  label,
  text,
  tone,
});

function trafficText({ state, seconds }: Traffic): string {
  switch (state) {
    case 'flowing':
      return `, data came in within ${ago(seconds)}`;
    case 'quiet':
      return `, quiet for ${ago(seconds)}`;
    case 'silent':
      return `, SILENT: what was sent into it had no answer for ${ago(seconds)}`;
    case 'unknown':
      return '';
    default:
      return state satisfies never;
  }
}

function* tunnelLines({
  report: { intended, stale },
  connection,
  now,
}: View): Generator<PictureLine> {
  for (const live of intended.live) {
    const { tunnel, since } = live;
    const traffic = connection.traffic.get(tunnel.device);
    const whose = isServers(live) ? ', of a server process' : '';
    const [endpoint] = tunnel.endpoints;
    const resolvers = (intended.policy.base.dns ?? tunnel.resolvers)
      .map(({ text }) => text)
      .join(' ');
    const gone = stale.some((each) => each.tunnel.device === tunnel.device);
    const end = gone ? ', GONE: the next hook or lock takes its rules away' : '';
    const to = endpoint === undefined ? '' : ` to ${endpointText(endpoint)}`;
    const how = tunnel.offloaded === true ? ', data channel offload' : '';
    yield line(
      'tunnel',
      `${tunnel.device}${to}${how}${whose}, resolvers ${resolvers || 'none'}, for ${ago(now - since)}${traffic === undefined ? '' : trafficText(traffic)}${end}`,
      gone || traffic?.state === 'silent' ? 'warning' : 'plain',
    );
  }
}

const list = (networks: readonly { readonly text: string }[]) =>
  networks.map(({ text }) => text).join(' ');

function* formerLines({ intended: { kept, policy } }: Report, now: number): Generator<PictureLine> {
  for (const { kind, tunnel, since } of kept.records) {
    const { device, addresses, networks } = tunnel;
    if (kind === 'reconnecting')
      yield line(
        'reconnect',
        `${device}, for ${ago(now - since)}; kept shut: ${list(networks) || 'no network'}; "ovpn-killswitch lock" ends it`,
        'warning',
      );
    else if (addresses.length > 0)
      yield line(
        'ended',
        `${device}, ${ago(now - since)} ago; nothing passes from or to its address ${list(addresses)}`,
      );
  }
  if (!policy.base.remembers) return;
  for (const { maker, networks, since } of kept.remembered)
    if (networks.length > 0)
      yield line(
        'kept shut',
        `${list(networks)}: of the last connection of ${printable(makerText(maker) ?? '')}, ${ago(now - since)} ago; ${endsRemembered(maker)} ends it`,
      );
}

/** Returns the command that forgets the remembered networks. */
function endsRemembered({ profile, connection }: Maker): string {
  const whose =
    connection === undefined ? printable(profile ?? '') : `--networkmanager ${connection}`;
  return `"ovpn-killswitch detach ${whose}"`;
}

function* portalLines(open: View['portal']): Generator<PictureLine> {
  if (open === undefined) return;
  const { portal, closesIn, passed } = open;
  yield line('portal', `${describePortal(portal)}; it closes in ${ago(closesIn)}`, 'warning');
  for (const each of passed) yield line('passed', passedText(each));
}

function* resolverLines(state: ResolverState | undefined): Generator<PictureLine> {
  if (state === undefined) return;
  const { setting, demands, inUse, differences } = state;
  if (inUse.length > 0)
    yield line('dns', `set in ${inUse.map((name) => STRATEGIES[name].title).join(', ')}`);
  else if (setting === 'off') yield line('dns', 'left alone: KILLSWITCH_RESOLVER says off');
  for (const difference of differences)
    yield line(
      'dns',
      `${difference}${demands.length > 0 ? ': "ovpn-killswitch lock" sets it' : ''}`,
      'warning',
    );
}

function* bootLines(boot: BootReport | undefined): Generator<PictureLine> {
  if (boot === undefined) return;
  const { strategy, sysctl, problems } = boot;
  const end = sysctl ? '; kernel settings too' : '';
  yield strategy === undefined
    ? line(
        'boot',
        `the rules are not loaded at boot: "ovpn-killswitch boot enable"${end}`,
        'warning',
      )
    : line('boot', `loaded by ${strategy.loader}${end}`);
  for (const problem of problems) yield line('boot', `PROBLEM: ${problem}`, 'bad');
}

function countsText(counts: DropCounts): string {
  return Object.entries(counts)
    .sort(([, a], [, b]) => b - a)
    .map(([id, count]) => `${id} ${count}`)
    .join(', ');
}

/** Writes the drops as one phrase: how many, and since when. */
function dropsText({ seconds, packets }: Drops): string {
  const when =
    seconds === undefined
      ? 'since the rules were loaded'
      : seconds >= 55 && seconds <= 65
        ? 'in the last minute'
        : `in the last ${seconds} s`;
  const text = countsText(packets);
  return text === '' ? `none ${when}` : `${when}: ${text}`;
}

function* watchLines(watch: View['watch']): Generator<PictureLine> {
  if (watch === undefined) return;
  if (watch.running) yield line('watch', 'restores the rules when another program changes them');
  else
    yield watch.enabled
      ? line('watch', 'PROBLEM: the service ovpn-killswitch-watch does not run', 'warning')
      : line(
          'watch',
          'off: "ovpn-killswitch watch enable" restores the rules when another program changes them',
        );
}

/** Writes the state and its tunnels in one line, for a status bar. */
export function shortText(view: View): string {
  const tunnels = view.report.intended.live.map(
    ({
      tunnel: {
        device,
        endpoints: [endpoint],
      },
    }) => (endpoint === undefined ? device : `${device} to ${endpointText(endpoint)}`),
  );
  return [headline(view).text, ...tunnels].join('; ');
}

export function* picture(view: View): Generator<PictureLine> {
  const {
    report,
    turnsIn,
    goesBackIn,
    portal,
    pins,
    resolvers,
    givenBack,
    boot,
    watch,
    drops,
    neighbours,
    refused,
    unknown,
    now,
  } = view;
  const { record, choice, intended, differences, state } = report;
  yield headline(view);
  if (record !== undefined) yield line('since', ago(now - record.since));
  if (turnsIn !== undefined)
    yield line(
      'until',
      state === 'unlocked'
        ? `it locks again in ${ago(turnsIn)}`
        : `it opens again in ${ago(turnsIn)}, unless you run "ovpn-killswitch confirm"`,
      'warning',
    );
  if (goesBackIn !== undefined)
    yield line(
      'trial',
      `it restores the previous lock in ${ago(goesBackIn)}, unless you run "ovpn-killswitch confirm"`,
      'warning',
    );
  for (const { path, why } of refused)
    yield line(
      'state',
      `PROBLEM: ${path} is not believed: ${why}; "ovpn-killswitch lock" writes state anew`,
      'bad',
    );
  for (const { there, therePort, here, herePort } of intended.policy.base.sessions)
    yield line(
      'ssh',
      `the session from ${there.text} port ${therePort} to ${here.text} port ${herePort} is kept until it ends`,
      'warning',
    );
  for (const each of unknown) yield line('unknown', each, 'bad');
  yield line('backend', choice.trace.join('; '));
  yield line('endpoints', String(intended.policy.base.endpoints.length));
  for (const each of pinLines(pins)) yield line('name', each);
  yield* tunnelLines(view);
  yield* formerLines(report, now);
  yield* portalLines(portal);
  yield* resolverLines(resolvers);
  if (givenBack !== undefined) yield line('dns', givenBack);
  for (const difference of differenceLines(differences, 20))
    yield line('differs', difference, 'bad');
  if (differences.length > 0) yield { text: '  "ovpn-killswitch lock" fixes it.', tone: 'plain' };
  if (report.settingsChanged)
    yield line(
      'settings',
      'changed since the last lock: "ovpn-killswitch lock" loads them',
      'warning',
    );
  yield* bootLines(boot);
  if (state === 'unlocked') return;
  yield* watchLines(watch);
  if (report.unread === undefined) yield line('drops', dropsText(drops));
  for (const { name, does } of neighbours) yield line('neighbour', `${name} ${does}`, 'warning');
}

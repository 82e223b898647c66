import { RULE_IDS } from '../ruleset/ruleset.ts';
import { CONNECTIONS } from './connection.ts';
import type { View } from './view.ts';

type Labels = Readonly<Record<string, string>>;

/** One metric of Prometheus' text format, with all its values. */
interface Metric {
  readonly name: string;
  readonly type: 'gauge' | 'counter';
  readonly help: string;
  readonly values: readonly (readonly [labels: Labels, value: number])[];
}

const STATES = ['unlocked', 'open', 'unknown', 'blocked', 'portal', 'connected'] as const;

function metrics({ report, portal, boot, watch, drops, connection }: View): readonly Metric[] {
  const { state, exact, record, intended, stale, differences } = report;
  const isLocked = state === 'blocked' || state === 'portal' || state === 'connected';
  const one = (value: number | boolean): Metric['values'] => [[{}, Number(value)]];
  const gauge = (name: string, help: string, values: Metric['values']): Metric => ({
    name,
    type: 'gauge',
    help,
    values,
  });
  return [
    gauge('locked', 'Whether the rules are loaded.', state === 'unknown' ? [] : one(isLocked)),
    gauge('exact', 'Whether the kernel holds exactly what it should.', one(exact)),
    gauge(
      'state',
      '1 for the current state, else 0.',
      STATES.map((each) => [{ state: each }, Number(each === state)]),
    ),
    gauge(
      'connection',
      '1 for the current kind of connection, else 0.',
      CONNECTIONS.map((each) => [{ connection: each }, Number(each === connection.kind)]),
    ),
    gauge(
      'since_timestamp_seconds',
      'When it was last locked or unlocked.',
      record === undefined ? [] : one(record.since),
    ),
    gauge(
      'differences',
      'Rules and chains that are not what they should be.',
      one(differences.length),
    ),
    gauge(
      'endpoints',
      'Endpoints that may be reached.',
      one(intended.policy.base.endpoints.length),
    ),
    gauge(
      'tunnel_since_timestamp_seconds',
      'When each live tunnel was reported.',
      intended.live.map(({ tunnel, since }) => [{ device: tunnel.device }, since]),
    ),
    gauge('stale_tunnels', 'Live tunnels whose end nobody reported.', one(stale.length)),
    gauge(
      'portal_closes_in_seconds',
      'Seconds until the portal that is open closes.',
      portal === undefined ? [] : one(portal.closesIn),
    ),
    gauge(
      'boot_enabled',
      'Whether the rules are loaded at boot.',
      boot === undefined ? [] : one(boot.strategy !== undefined),
    ),
    gauge(
      'watched',
      'Whether a process watches the rules.',
      watch === undefined ? [] : one(watch.running),
    ),
    {
      name: 'dropped_packets_total',
      type: 'counter',
      help: 'Packets dropped since the rules were loaded, by rule.',
      values: RULE_IDS.flatMap((rule) =>
        drops.sinceLoad[rule] === undefined ? [] : [[{ rule }, drops.sinceLoad[rule]] as const],
      ),
    },
  ];
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}="${value}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

/** Renders the status for the textfile collector of Prometheus' node_exporter. */
export function statusMetrics(view: View): string {
  return metrics(view)
    .filter(({ values }) => values.length > 0)
    .flatMap(({ name, type, help, values }) => {
      const full = `ovpn_killswitch_${name}`;
      return [
        `# HELP ${full} ${help}`,
        `# TYPE ${full} ${type}`,
        ...values.map(([labels, value]) => `${full}${labelText(labels)} ${value}`),
      ];
    })
    .join('\n');
}

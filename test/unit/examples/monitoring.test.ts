import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { COMMANDS } from '../../../src/cli/main.ts';
import { statusMetrics } from '../../../src/view/status-metrics.ts';
import { parsePlainYaml, type Yaml } from '../../support/plain-yaml.ts';
import { FULL_VIEW } from '../../support/views.ts';

const FOLDER = new URL('../../../openvpn-examples/monitoring/', import.meta.url);
const ALERTS = readFileSync(new URL('alerts.yml', FOLDER), 'utf8');
const DASHBOARD = readFileSync(new URL('dashboard.json', FOLDER), 'utf8');

/** Of node_exporter, not ours: it tells that our file is old, which no metric in it can. */
const OF_NODE_EXPORTER = ['node_textfile_mtime_seconds'];
/** Prometheus adds it to every metric that it reads. */
const OF_PROMETHEUS = ['instance'];

/** Each metric that is printed, and the values of its labels: `state` to `open` and others. */
function printed(): ReadonlyMap<string, ReadonlyMap<string, readonly string[]>> {
  const metrics = new Map<string, Map<string, string[]>>();
  for (const line of statusMetrics(FULL_VIEW).split('\n')) {
    const [, name, labels = ''] = /^(\w+)(?:\{(.*)\})? /.exec(line) ?? [];
    if (name === undefined || line.startsWith('#')) continue;
    const known = metrics.get(name) ?? new Map<string, string[]>();
    for (const [, key = '', text = ''] of labels.matchAll(/(\w+)="([^"]*)"/g))
      known.set(key, [...(known.get(key) ?? []), text]);
    metrics.set(name, known);
  }
  return metrics;
}
const PRINTED = printed();

/** Every expression that Prometheus is asked, with the text that names its series. */
interface Query {
  readonly expr: string;
  readonly legend: string;
}

function field(value: Yaml | undefined, key: string): Yaml | undefined {
  return typeof value === 'object' && !Array.isArray(value) && key in value
    ? Object.entries(value).find(([name]) => name === key)?.[1]
    : undefined;
}

function items(value: Yaml | undefined): readonly Yaml[] {
  return Array.isArray(value) ? value : [];
}

function text(value: Yaml | undefined): string {
  return typeof value === 'string' ? value : '';
}

const RULES = items(field(parsePlainYaml(ALERTS), 'groups')).flatMap((group) =>
  items(field(group, 'rules')),
);
const ALERT_QUERIES: readonly Query[] = RULES.map((rule) => ({
  expr: text(field(rule, 'expr')),
  legend: text(field(field(rule, 'annotations'), 'summary')),
}));
const PANELS = items(field(JSON.parse(DASHBOARD), 'panels'));
const PANEL_QUERIES: readonly Query[] = PANELS.flatMap((panel) =>
  items(field(panel, 'targets')).map((target) => ({
    expr: text(field(target, 'expr')),
    legend: text(field(target, 'legendFormat')),
  })),
);

const namesIn = (expr: string) => [...expr.matchAll(/\b(?:ovpn|node)_\w+/g)].map(([name]) => name);

/** Names in a query that are not printed: a metric, a label, or a label's value. */
function unknownIn({ expr, legend }: Query): readonly string[] {
  const names = namesIn(expr);
  const labels = new Set([
    ...OF_PROMETHEUS,
    ...names.flatMap((name) => [...(PRINTED.get(name)?.keys() ?? [])]),
  ]);
  const matchers = [...expr.matchAll(/(\w+)\{([^}]*)\}/g)].flatMap(([, name = '', inner = '']) =>
    [...inner.matchAll(/(\w+)=(~?)"([^"]*)"/g)].flatMap(([, label = '', regex, value = '']) => {
      if (OF_PROMETHEUS.includes(label) || OF_NODE_EXPORTER.includes(name)) return [];
      const values = PRINTED.get(name)?.get(label) ?? [];
      return regex === '' && values.includes(value) ? [] : [`${name}{${label}="${value}"}`];
    }),
  );
  const grouped = [...expr.matchAll(/\b(?:by|on|without|ignoring) ?\(([^)]*)\)/g)].flatMap(
    ([, inner = '']) => inner.split(/, ?/),
  );
  const shown = [...legend.matchAll(/\{\{ ?(?:\$labels\.)?(\w+) ?\}\}/g)].map(
    ([, label = '']) => label,
  );
  return [
    ...names.filter((name) => !PRINTED.has(name) && !OF_NODE_EXPORTER.includes(name)),
    ...matchers,
    ...[...grouped, ...shown].filter((label) => !labels.has(label)),
  ];
}

describe('the check of queries', () => {
  test.each([
    ['ovpn_killswitch_lockt == 0', '', ['ovpn_killswitch_lockt']],
    ['ovpn_killswitch_state{state="opened"} == 1', '', ['ovpn_killswitch_state{state="opened"}']],
    ['sum by (device) (ovpn_killswitch_state)', '', ['device']],
    ['ovpn_killswitch_exact', '{{ $labels.device }}', ['device']],
  ])('finds what %s "%s" names and nothing prints', (expr, legend, unknown) => {
    expect(unknownIn({ expr, legend })).toEqual(unknown);
  });
});

describe('openvpn-examples/monitoring/alerts.yml', () => {
  test('has alerts, each with a name of its own, a severity, and a next step', () => {
    const names = RULES.map((rule) => text(field(rule, 'alert')));
    expect(names.length).toBeGreaterThan(5);
    expect(new Set(names).size).toBe(names.length);
    for (const rule of RULES) {
      expect(['critical', 'warning']).toContain(text(field(field(rule, 'labels'), 'severity')));
      expect(text(field(field(rule, 'annotations'), 'description'))).not.toBe('');
    }
  });

  test.each(ALERT_QUERIES)('names only what is printed: $expr', (query) => {
    expect(namesIn(query.expr).length).toBeGreaterThan(0);
    expect(unknownIn(query)).toEqual([]);
  });

  test('tells people only commands that exist', () => {
    const named = [...ALERTS.matchAll(/ovpn-killswitch ([a-z]+)/g)].map(([, name]) => name);
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((name) => COMMANDS.every((each) => each.name !== name))).toEqual([]);
  });
});

describe('openvpn-examples/monitoring/dashboard.json', () => {
  test('has panels with ids of their own, which do not overlap', () => {
    const ids = [...DASHBOARD.matchAll(/^ {6}"id": (\d+)/gm)].map(([, id]) => id);
    expect(ids.length).toBe(PANELS.length);
    expect(new Set(ids).size).toBe(ids.length);
    const cells = PANELS.flatMap((panel) => {
      const place = (key: string) => Number(field(field(panel, 'gridPos'), key));
      return Array.from({ length: place('w') * place('h') }, (_, index) =>
        [place('x') + (index % place('w')), place('y') + Math.floor(index / place('w'))].join(),
      );
    });
    expect(new Set(cells).size).toBe(cells.length);
  });

  test.each(PANEL_QUERIES)('names only what is printed: $expr', (query) => {
    expect(namesIn(query.expr).length).toBeGreaterThan(0);
    expect(unknownIn(query)).toEqual([]);
  });

  test('shows every metric that is printed', () => {
    const shown = PANEL_QUERIES.flatMap(({ expr }) => namesIn(expr));
    expect([...PRINTED.keys()].filter((name) => !shown.includes(name))).toEqual([]);
  });
});

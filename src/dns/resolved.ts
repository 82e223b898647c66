import type { Files } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import type { Processes } from '../host/processes.ts';
import type { Dnssec, Resolver } from '../tunnel/resolvers.ts';
import type { Demand } from './demand.ts';
import { readNote, removeNote, writeNote } from './note.ts';
import { mustRun, type Strategy } from './strategy.ts';

/** The words of resolvectl(1). */
const DNSSEC: Readonly<Record<Dnssec, string>> = {
  yes: 'yes',
  optional: 'allow-downgrade',
  no: 'no',
};

/** Returns the interface's number: a later device of the same name has another. */
function linkOf(files: Files, device: string): string | undefined {
  return files.read(`/sys/class/net/${device}/ifindex`)?.trim();
}

function serverText({ text, serverName }: Resolver): string {
  return serverName === undefined ? text : `${text}#${serverName}`;
}

/** Returns a value that all resolvers of the link share: a link has one value for all of them. */
function agreed<Value>(
  resolvers: readonly Resolver[],
  of: (resolver: Resolver) => Value | undefined,
): Value | undefined {
  const [first, ...others] = resolvers.map(of);
  return others.every((other) => other === first) ? first : undefined;
}

/** Builds the resolvectl calls for a link. The routing domain `~.` sends it every name. */
function calls({ device, resolvers, searchDomains }: Demand): readonly (readonly string[])[] {
  const dnssec = agreed(resolvers, (each) => each.dnssec);
  const overTls = agreed(resolvers, (each) => each.transport) === 'tls';
  return [
    ['dns', device, ...resolvers.map(serverText)],
    ['domain', device, '~.', ...searchDomains],
    ['default-route', device, 'yes'],
    ...(dnssec === undefined ? [] : [['dnssec', device, DNSSEC[dnssec]]]),
    ...(overTls ? [['dnsovertls', device, 'yes']] : []),
  ];
}

/**
 * Writes the note's line for a link: its device, its number, and what systemd-resolved was told.
 */
function noteLine(files: Files, demand: Demand): string {
  return [
    demand.device,
    linkOf(files, demand.device) ?? '-',
    ...calls(demand).map((call) => call.join(' ')),
  ].join('\t');
}

/** Marks the note until systemd-resolved has been told everything. */
const UNFINISHED = '-\t-';

function notedLines(files: Files): readonly string[] {
  return (readNote(files, 'resolved') ?? '').split('\n').filter((line) => line !== '');
}

function resolvectl(processes: Processes, ...args: readonly string[]): void {
  mustRun(processes, { program: 'resolvectl', args });
}

/** Reverts links that still exist: a link that is gone took its resolvers with it. */
function revert(host: Host, lines: readonly string[]): void {
  for (const line of lines) {
    const [device = '', link = ''] = line.split('\t');
    if (linkOf(host, device) === link) resolvectl(host, 'revert', device);
  }
}

/** Tells whether systemd-resolved still has a link's resolvers and domain. */
function linkDifferences(processes: Processes, { device, resolvers }: Demand): readonly string[] {
  // Returns the text after the link's name; nothing when resolvectl does not answer.
  const held = (what: 'dns' | 'domain') => {
    const { stdout } = processes.run({ program: 'resolvectl', args: [what, device] });
    return stdout
      .slice(stdout.indexOf('):') + 2)
      .trim()
      .split(/\s+/);
  };
  const servers = held('dns').join(' ');
  const wanted = resolvers.map(serverText).join(' ');
  return servers === wanted && held('domain').includes('~.')
    ? []
    : [`systemd-resolved asks ${servers || 'nobody'} for ${device} instead of ${wanted}`];
}

/** systemd-resolved, link by link. */
export const resolved: Strategy = {
  title: 'systemd-resolved',
  inUse: (host) => readNote(host, 'resolved') !== undefined,
  differences: (host, demands, asks) => {
    const wanted = demands.map((demand) => noteLine(host, demand));
    if (wanted.join('\n') !== notedLines(host).join('\n'))
      return ['systemd-resolved was told something else for the tunnels'];
    return asks ? demands.flatMap((demand) => linkDifferences(host, demand)) : [];
  },
  set: (host, demands) => {
    const noted = notedLines(host);
    const told = new Set(noted.includes(UNFINISHED) ? [] : noted);
    const wanted = new Map(demands.map((demand) => [noteLine(host, demand), demand]));
    const note = (lines: Iterable<string>) =>
      writeNote(host, 'resolved', [...lines].map((line) => `${line}\n`).join(''));
    note(new Set([...noted, ...wanted.keys(), UNFINISHED]));
    revert(
      host,
      noted.filter((line) => !wanted.has(line)),
    );
    const added = [...wanted].filter(([line]) => !told.has(line));
    for (const [, demand] of added) for (const call of calls(demand)) resolvectl(host, ...call);
    if (added.length > 0) resolvectl(host, 'flush-caches');
    note(wanted.keys());
  },
  restore: (host) => {
    revert(host, notedLines(host));
    removeNote(host, 'resolved');
  },
};

/** Files that others write while a machine runs, as shell patterns for find(1). */
const OTHERS: readonly string[] = [
  // Network namespaces of a sandbox.
  '/run/netns/*',
  // Of every iptables-legacy.
  '/run/xtables.lock',
  // By systemd for each start of a unit, by numbers of its own.
  '/run/systemd/units/invocation:*',
  '/run/systemd/journal/streams/*',
];

/** Nothing that bears our name is left out. */
const LOOKED_AT = `\\( -name '*killswitch*' -o ${OTHERS.map((pattern) => `! -path '${pattern}'`).join(' ')} \\)`;

/** Counts, not settings; and a secret that cannot be read. */
const SYSCTLS_LEFT_OUT = 'nf_conntrack_count|stable_secret';

/** Each line says which part it is of. */
const part = (title: string, script: string) => `{ ${script}; } 2>/dev/null | sed 's|^|${title} |'`;

/**
 * Prints all that could be left of a product, a line each: files and folders with owner, mode, link
 * and content; what is in /run and /var/log by name, owner and mode; kernel settings of the
 * network; every packet filter rule; routing rules; and what systemd, where it runs, has heard of.
 */
export const TRACES = [
  // A folder's size is its file system's own, and grows when something was in it.
  part(
    'file',
    `find /etc /usr/local /var/lib /usr/share/netfilter-persistent /run /var/log -xdev ${LOOKED_AT} -printf '%p %u:%g %m %l\\n' | sort`,
  ),
  part(
    'content',
    `find /etc /usr/local /var/lib /usr/share/netfilter-persistent -xdev ${LOOKED_AT} -type f -print0 | sort -z | xargs -0 b2sum -l 128`,
  ),
  part('sysctl', `grep -rs . /proc/sys/net | grep -Ev '${SYSCTLS_LEFT_OUT}' | sort`),
  part('iptables', "iptables-save | grep -v '^#' | sed 's/\\[.*//'"),
  part('ip6tables', "ip6tables-save | grep -v '^#' | sed 's/\\[.*//'"),
  part('nft', 'nft -s list ruleset'),
  part('rule', 'ip -4 rule; ip -6 rule'),
  part(
    'unit file',
    '[ ! -d /run/systemd/system ] || systemctl list-unit-files --no-legend --no-pager',
  ),
  // Also those that are loaded, or still active, without a file.
  part(
    'unit',
    '[ ! -d /run/systemd/system ] || systemctl list-units --all --plain --no-legend --no-pager | grep -i killswitch',
  ),
].join('\n');

/** The lines that only one of two dumps has, with - or + before them. */
export function differences(before: string, after: string): readonly string[] {
  const [old, now] = [before, after].map((text) =>
    text.split('\n').filter((line) => line !== ''),
  ) as [string[], string[]];
  const only = (mark: string, lines: readonly string[], others: readonly string[]) => {
    const known = new Set(others);
    return lines.filter((line) => !known.has(line)).map((line) => `${mark} ${line}`);
  };
  return [...only('-', old, now), ...only('+', now, old)];
}

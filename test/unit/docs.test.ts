import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { systemd } from '../../src/boot/systemd.ts';
import { describedPacket } from '../../src/cli/described-packet.ts';
import { EXIT_MEANINGS } from '../../src/cli/exit-meanings.ts';
import { COMMANDS } from '../../src/cli/main.ts';
import { ERRORS, EXIT } from '../../src/errors.ts';
import { LOG_EVENTS } from '../../src/host/log-entry.ts';
import { parseAddress } from '../../src/net/address.ts';
import { endpointText } from '../../src/net/endpoint.ts';
import { type InterfaceName, parseInterfaceName } from '../../src/net/interface-name.ts';
import { baseOf, decide } from '../../src/policy/policy.ts';
import { KEYS, readSettings, type Settings } from '../../src/policy/settings.ts';
import { settingsText } from '../../src/policy/settings-text.ts';
import { compile } from '../../src/ruleset/compile.ts';
import { evaluate, judge } from '../../src/ruleset/evaluate.ts';
import type { Packet } from '../../src/ruleset/packet.ts';
import { REASONS } from '../../src/ruleset/reasons.ts';
import { HOOKS, RULE_IDS } from '../../src/ruleset/ruleset.ts';
import { readKeyfile } from '../../src/tunnel/keyfile.ts';
import { readVpnConnection } from '../../src/tunnel/networkmanager-profile.ts';
import { literalEndpoints, readProfile } from '../../src/tunnel/profile.ts';
import { EXCEPTIONS } from '../lab/comebacks.ts';
import { type Effect, NEIGHBOURS, PHASES } from '../lab/neighbour-table.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

function interfaceName(text: string): InterfaceName {
  const name = parseInterfaceName(text);
  if (name === undefined) throw new Error(`${text} is no interface name`);
  return name;
}

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

function filesOf(folder: string, ending: string): readonly string[] {
  return readdirSync(join(ROOT, folder))
    .filter((name) => name.endsWith(ending))
    .sort()
    .map((name) => join(folder, name));
}

const TUN0 = interfaceName('tun0');
const DECISIONS = filesOf('docs/decisions', '.md').filter((path) => /\/\d{4}-[^/]+$/.test(path));
const PROFILES = filesOf('openvpn-examples', '.ovpn');
const SETTINGS_FILES = filesOf('openvpn-examples', '.env');
const DROP_INS = filesOf('openvpn-examples', '.conf');
const KINDS = ['tutorials', 'how-to', 'reference', 'explanation'];
const PAGES = [
  'docs/README.md',
  ...KINDS.flatMap((kind) => filesOf(`docs/${kind}`, '.md')),
  ...filesOf('docs/decisions', '.md'),
];
/** README and the pages that lead through a task. */
const GUIDES = ['README.md', ...filesOf('docs/tutorials', '.md'), ...filesOf('docs/how-to', '.md')];
const DOCUMENTS = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'SECURITY.md',
  ...PAGES,
  ...filesOf('openvpn-examples', '.md'),
  ...filesOf('openvpn-examples/networkmanager', '.md'),
  ...filesOf('openvpn-examples/ansible', '.md'),
];
/** Documents and examples: everything a user reads. */
const TEXTS = [...DOCUMENTS, ...PROFILES, ...SETTINGS_FILES, ...DROP_INS, 'LICENSE'];

/** The text of a document's headings of one level. */
function headings(path: string, level: number): readonly string[] {
  return read(path)
    .split('\n')
    .flatMap((line) => {
      const [, marks, text] = /^(#+) (.+)$/.exec(line) ?? [];
      return marks?.length === level && text !== undefined ? [text] : [];
    });
}

/** Heading to the text below it, down to the next heading of the same level or above. */
function parts(path: string, level: number): ReadonlyMap<string, string> {
  const cut = new RegExp(`^#{${level}} `, 'm');
  return new Map(
    read(path)
      .split(cut)
      .slice(1)
      .map((part) => {
        const [title = '', ...lines] = part.split('\n');
        const end = lines.findIndex((line) => new RegExp(`^#{1,${level}} `).test(line));
        return [title, lines.slice(0, end < 0 ? undefined : end).join('\n')];
      }),
  );
}

/** The cells of table rows whose first cell is code: the code, then the other cells. */
function codeRows(text: string): readonly (readonly string[])[] {
  return text.split('\n').flatMap((line) => {
    const cells = line.split('|').map((cell) => cell.trim());
    const [, code] = /^`([^`]+)`$/.exec(cells[1] ?? '') ?? [];
    return code === undefined ? [] : [[code, ...cells.slice(2, -1)]];
  });
}

/** Code as a reader would type it: spans in backquotes, and the lines of indented blocks. */
function code(text: string): readonly string[] {
  return text.split('\n').flatMap((line) => {
    const [, block] = /^ {4,}(\S.*)$/.exec(line) ?? [];
    return block !== undefined
      ? [block]
      : [...line.matchAll(/`([^`]+)`/g)].map(([, span = '']) => span);
  });
}

function settingsOf(path: string): Settings {
  const result = readSettings(settingsText(read(path)));
  if ('issues' in result) throw new Error(`${path}: ${JSON.stringify(result.issues)}`);
  return result.settings;
}

/** How GitHub and others turn a heading into an anchor. */
function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replaceAll(' ', '-');
}

describe('docs/reference/rules.md', () => {
  test('has one heading for each rule, in the order of the rules', () => {
    expect([...parts('docs/reference/rules.md', 2).keys()]).toEqual([...RULE_IDS]);
  });

  test.each(RULE_IDS)('says of %s what passes, why, and which settings change it', (id) => {
    const text = parts('docs/reference/rules.md', 2).get(id) ?? '';
    for (const word of ['What', 'Why', 'Settings']) expect(text).toContain(`* **${word}:** `);
  });

  test.each(RULE_IDS)('says of %s why, and which settings, as explain does', (id) => {
    const said = (word: string) => {
      const [, text = ''] =
        new RegExp(`^\\* \\*\\*${word}:\\*\\* ([^]*?)(?=\\n\\*|\\n\\n|$(?![^]))`, 'm').exec(
          parts('docs/reference/rules.md', 2).get(id) ?? '',
        ) ?? [];
      return text.replaceAll('`', '').replace(/\s+/g, ' ').trim();
    };
    expect(said('Why')).toBe(REASONS[id].why);
    expect([...new Set(said('Settings').match(/KILLSWITCH_\w+/g) ?? [])]).toEqual(
      REASONS[id].settings,
    );
  });
});

describe('docs/reference/errors.md', () => {
  const codes = parts('docs/reference/errors.md', 2);

  test('has one heading for each error code, in the order of the table', () => {
    expect(
      headings('docs/reference/errors.md', 2).filter((heading) => /^[A-Z0-9_]+$/.test(heading)),
    ).toEqual(Object.keys(ERRORS));
  });

  test.each(Object.entries(ERRORS))(
    'says of %s its exit status and what is still safe, as the program does',
    (name, { exit, safe }) => {
      const text = (codes.get(name) ?? '').replace(/\n {2}(?=\w)/g, ' ');
      expect(text).toContain(`* **Exit status:** ${exit}\n`);
      expect(text).toContain(`* **Still safe:** ${safe}\n`);
      expect(text).toContain('* **Meaning:** ');
      expect(text).toContain('* **What to do:** ');
    },
  );
});

test('docs/reference/settings.md lists every key with its default, in the order of the code, and no other', () => {
  const table = parts('docs/reference/settings.md', 2).get('Keys') ?? '';
  const rows = codeRows(table).map(([key, initial]) => [key, initial]);
  const keys = Object.entries(KEYS).map(([key, { initial }]) => [
    key,
    initial === '' ? 'empty' : `\`${initial}\``,
  ]);
  expect(rows).toEqual(keys);
});

test('docs/reference/commands.md lists every exit status, and no other', () => {
  const table = parts('docs/reference/commands.md', 2).get('Exit statuses of every command') ?? '';
  const rows = codeRows(table).map(([status, meaning]) => [Number(status), meaning]);
  expect(rows).toEqual(EXIT_MEANINGS);
  expect(EXIT_MEANINGS.map(([status]) => status)).toEqual(Object.values(EXIT));
});

describe('what a person follows', () => {
  test.each(COMMANDS.map(({ name }) => name))(
    'shows how %s is called, in README or a guide',
    (name) => {
      const shown = new RegExp(`(ovpn-killswitch|dist/cli\\.js) ${name}\\b`);
      expect(GUIDES.some((path) => code(read(path)).some((line) => shown.test(line)))).toBe(true);
    },
  );

  test('gives the lines for a profile that install prints', () => {
    const wanted = [
      'script-security 2',
      ...['up', 'down', 'route-up'].map(
        (hook) => `${hook} /usr/local/lib/ovpn-killswitch/hooks/${hook}`,
      ),
    ];
    const lines = code(
      parts('docs/how-to/attach-a-profile.md', 2).get('Write the lines by hand') ?? '',
    );
    expect(lines.filter((line) => wanted.includes(line))).toEqual(wanted);
    for (const path of PROFILES)
      expect(read(path).split('\n')).toEqual(expect.arrayContaining(wanted));
  });

  test('names the rule that explain names, for each packet it shows', () => {
    const settings = settingsText('KILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp');
    const result = readSettings(settings);
    if ('issues' in result) throw new Error('the settings of the example do not parse');
    const [address, resolver] = ['10.8.0.6', '10.8.0.1'].map(parseAddress);
    const base = baseOf(result.settings, { endpoints: [], uids: [0] });
    const tunnel = {
      device: TUN0,
      endpoints: base.endpoints,
      addresses: address ? [address] : [],
      resolvers: resolver ? [resolver] : [],
      networks: [],
    };
    const ruleset = compile(decide(base, [tunnel]));
    const shown = [
      ...read('docs/how-to/check.md').matchAll(
        /\$ sudo ovpn-killswitch explain (.+)\n\s+(\w+): (\S+), in the chain (\S+) /g,
      ),
    ];
    expect(shown.length).toBeGreaterThanOrEqual(3);
    for (const [, call = '', verdict, id, chain] of shown) {
      const decision = judge(ruleset, packetOf(call), {
        first: false,
        final: true,
        frames: true,
        answers: true,
      });
      expect([call, decision.verdict, decision.rule?.id, decision.chain]).toEqual([
        call,
        verdict,
        id,
        chain,
      ]);
    }
  });
});

/** The packet that an `explain` call describes. */
function packetOf(call: string): Packet {
  const words = call.split(' ');
  const flags = words.findIndex((word) => word.startsWith('--'));
  const option = (name: string) =>
    words.includes(`--${name}`) ? { [name]: words[words.indexOf(`--${name}`) + 1] } : {};
  return describedPacket(
    { words: words.slice(0, flags < 0 ? undefined : flags), ...option('device'), ...option('as') },
    '',
    (account) => (account === 'root' ? 0 : Number(account)),
  );
}

/**
 * The finds of `find` in each text, with the file it stands in; there must be something to check.
 */
function everywhere<Found>(
  paths: readonly string[],
  find: (text: string) => readonly Found[],
): readonly (readonly [path: string, found: Found])[] {
  const all = paths.flatMap((path) => find(read(path)).map((found) => [path, found] as const));
  expect(all.length).toBeGreaterThan(0);
  return all;
}

describe('all documents', () => {
  test('name only commands that exist, with flags that they take', () => {
    const calls = everywhere(TEXTS, (text) =>
      code(text).flatMap((line) => [
        ...line.matchAll(/\bovpn-killswitch ([A-Za-z][\w-]*)([^`"]*)/g),
      ]),
    );
    const wrong = calls.filter(([, [, name = '', rest = '']]) => {
      const command = COMMANDS.find((each) => each.name === name);
      const flags = [...rest.matchAll(/--[a-z-]+/g)].map(([flag]) => flag);
      const known = `${command?.usage ?? ''} --help --version`.split(/[^\w-]+/);
      return (
        (command === undefined && name !== 'COMMAND') || flags.some((flag) => !known.includes(flag))
      );
    });
    expect(wrong).toEqual([]);
  });

  test('name only settings keys that exist', () => {
    const keys = everywhere(TEXTS, (text) =>
      [...text.matchAll(/\bKILLSWITCH_\w+/g)].map(([key]) => key),
    );
    expect(keys.filter(([, key]) => !Object.hasOwn(KEYS, key))).toEqual([]);
  });

  test('give only settings that the parser accepts', () => {
    const lines = everywhere(TEXTS, (text) =>
      code(text).filter((line) => /^KILLSWITCH_\w+=/.test(line)),
    );
    expect(lines.filter(([, line]) => 'issues' in readSettings(settingsText(line)))).toEqual([]);
  });

  test('link only to files and headings that are there', () => {
    const links = everywhere(DOCUMENTS, (text) =>
      [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target),
    );
    const broken = links.filter(([path, link]) => {
      if (/^https?:/.test(link)) return false;
      const [file = '', heading] = link.split('#');
      const target = file === '' ? path : normalize(join(dirname(path), file));
      if (!existsSync(join(ROOT, target))) return true;
      return (
        heading !== undefined &&
        ![1, 2, 3]
          .flatMap((level) => headings(target, level))
          .map(anchor)
          .includes(heading)
      );
    });
    expect(broken).toEqual([]);
  });

  test('name no absolute path that a Linux machine would not have', () => {
    const roots = ['bin', 'dev', 'etc', 'home', 'proc', 'root', 'run', 'sbin', 'sys', 'usr', 'var'];
    const paths = everywhere(TEXTS, (text) =>
      [...text.matchAll(/(?:^|[\s`"'(=,:!])\/([a-z]+)\//gm)].map(([, root = '']) => root),
    );
    expect(paths.filter(([, root]) => !roots.includes(root))).toEqual([]);
  });

  test('name only files and folders of this project that are there', () => {
    const outside = /^(dist|hooks\/(up|down|route-up)$)|^[^/]+\/(tcp|udp)$/;
    const named = everywhere(DOCUMENTS, (text) =>
      code(text).filter((span) => /^\.?[a-z][\w-]*(\/[\w.-]+)+$/.test(span) && !outside.test(span)),
    );
    expect(named.filter(([, file]) => !existsSync(join(ROOT, file)))).toEqual([]);
  });
});

test('README.md and the page of packages name the files that this version makes', () => {
  const { version } = JSON.parse(read('package.json'));
  expect(read('README.md')).toContain(`ovpn-killswitch_${version}_all.deb\n`);
  expect(read('README.md')).toContain(`ovpn-killswitch-${version}-npm.tgz `);
  for (const name of [`_${version}_all.deb`, `-${version}-1.noarch.rpm`, `-${version}.arch.tar.gz`])
    expect(read('docs/how-to/packages.md')).toContain(`ovpn-killswitch${name}\n`);
});

test('docs/README.md lists every document of the folders below it', () => {
  const linked = [...read('docs/README.md').matchAll(/\]\(([^)]+)\)/g)].map(([, target = '']) =>
    normalize(join('docs', target)),
  );
  expect(
    PAGES.filter((path) => !/^docs\/(decisions\/\d|README)/.test(path)).filter(
      (path) => !linked.includes(path),
    ),
  ).toEqual([]);
  const folders = readdirSync(join(ROOT, 'docs'), { withFileTypes: true });
  expect(folders.map(({ name }) => name).sort()).toEqual(
    [...KINDS, 'decisions', 'images', 'README.md'].sort(),
  );
});

test('CHANGELOG.md has an Unreleased part first, and only the kinds of changes that Keep a Changelog knows', () => {
  expect(headings('CHANGELOG.md', 2)[0]).toBe('[Unreleased]');
  const kinds = ['Added', 'Changed', 'Deprecated', 'Removed', 'Fixed', 'Security'];
  expect(headings('CHANGELOG.md', 3).filter((heading) => !kinds.includes(heading))).toEqual([]);
});

test('docs/reference/log.md lists every event that is logged, in the order of the code, and no other', () => {
  expect(
    codeRows(parts('docs/reference/log.md', 2).get('Events') ?? '').map(([event]) => event),
  ).toEqual([...LOG_EVENTS]);
});

describe('docs/explanation/architecture.md', () => {
  test('lists every room of src, and no other', () => {
    const rooms = codeRows(parts('docs/explanation/architecture.md', 2).get('Rooms') ?? '').map(
      ([room = '']) => room,
    );
    const folders = readdirSync(join(ROOT, 'src'), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => `src/${name}`);
    expect([...rooms].sort()).toEqual([...folders, 'hooks'].sort());
  });

  test('lists the tiers that vitest runs', () => {
    const [, list = ''] = /const tiers = \[([^\]]+)\]/.exec(read('vitest.config.ts')) ?? [];
    const tiers = [...list.matchAll(/'([^']+)'/g)].map(([, tier]) => tier);
    const [, lab = ''] = /name: '([^']+)'/.exec(read('vitest.lab.config.ts')) ?? [];
    expect(tiers.length).toBeGreaterThan(0);
    expect(
      codeRows(parts('docs/explanation/architecture.md', 2).get('Tests') ?? '').map(
        ([tier]) => tier,
      ),
    ).toEqual([...tiers, lab]);
  });
});

test('docs/reference/openvpn-versions.md lists what the lab has measured, and nothing else', () => {
  const rows = read('docs/reference/openvpn-versions.md')
    .split('\n')
    .filter((line) => /^\| 2\./.test(line))
    .map((line) =>
      line
        .split(' | ')
        .map((cell) => cell.replace(/^\| | \|$/g, ''))
        .slice(0, 6),
    );
  const measured = EXCEPTIONS.map(({ versions, persistTun, users, events, comeback, why }) => [
    versions.join(', '),
    persistTun ? 'with' : 'without',
    users.join(', '),
    events.join(', '),
    comeback,
    why,
  ]);
  expect(rows).toEqual(measured);
});

test('docs/reference/neighbours.md lists what the lab has measured, and nothing else', () => {
  const word = (effect: Effect) =>
    typeof effect === 'object' ? 'changed' : effect === 'none' ? 'unchanged' : 'sometimes';
  const rows = read('docs/reference/neighbours.md')
    .split('\n')
    .filter((line) => /^\| .* \| (nftables|iptables) \|/.test(line));
  const measured = NEIGHBOURS.flatMap(({ name, beside }) =>
    (['nftables', 'iptables'] as const).map(
      (backend) =>
        `| ${[name, backend, ...PHASES.map((phase) => word(beside[backend][phase]))].join(' | ')} |`,
    ),
  );
  expect(rows).toEqual(measured);
});

describe('docs/decisions', () => {
  test('are numbered upwards, each number once, and titled with their number', () => {
    const numbers = DECISIONS.map((path) => Number(/(\d{4})-/.exec(path)?.[1]));
    expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
    for (const path of DECISIONS)
      expect(headings(path, 1)[0]).toMatch(new RegExp(`^${/(\d{4})-/.exec(path)?.[1]}: `));
  });

  test.each(DECISIONS)('%s says context, decision, alternatives and consequences', (path) => {
    expect(headings(path, 2)).toEqual(['Context', 'Decision', 'Alternatives', 'Consequences']);
  });

  test.each(DECISIONS)('%s has the day it was accepted, and what superseded it', (path) => {
    const [, , status = ''] = read(path).split('\n');
    const [, day = '', later = ''] =
      /^Accepted on (\d{4}-\d\d-\d\d)\.(?: Superseded(?: in part)? by (.+)\.)?$/.exec(status) ?? [];
    expect(Date.parse(day), status).toBeGreaterThan(Date.parse('2026-11-01'));
    for (const [, file = ''] of later.matchAll(/\]\(([^)]+)\)/g)) {
      expect(DECISIONS).toContain(`docs/decisions/${file}`);
      expect(file > basename(path), `${path}: ${file} is earlier`).toBe(true);
    }
  });

  test('are all in the list, and the list holds no other', () => {
    const listed = [...read('docs/decisions/README.md').matchAll(/\]\((\d{4}-[^)]+)\)/g)].map(
      ([, file]) => `docs/decisions/${file}`,
    );
    expect(listed).toEqual(DECISIONS);
  });
});

describe('openvpn-examples', () => {
  test('are all in the list, and the list holds no other', () => {
    const listed = [
      ...read('openvpn-examples/README.md').matchAll(/\]\(([\w.-]+\.(?:ovpn|env|conf))\)/g),
    ].map(([, file]) => `openvpn-examples/${file}`);
    expect([...listed].sort()).toEqual([...PROFILES, ...SETTINGS_FILES, ...DROP_INS].sort());
  });

  test.each([
    ['minimal-udp.ovpn', ['203.0.113.10:1194/udp'], undefined],
    ['tcp-443.ovpn', ['203.0.113.10:443/tcp'], undefined],
    [
      'several-remotes.ovpn',
      ['203.0.113.10:1194/udp', '203.0.113.11:1194/udp', '203.0.113.11:443/tcp'],
      undefined,
    ],
    ['user-nobody.ovpn', ['203.0.113.10:1194/udp'], 'nobody'],
    ['ipv6-endpoint.ovpn', ['[2001:db8::10]:1194/udp'], undefined],
    ['http-proxy.ovpn', ['192.168.1.8:3128/tcp'], undefined],
    ['hardened.ovpn', ['203.0.113.10:1194/udp'], undefined],
  ])('%s has the endpoints that it seems to have', (name, endpoints, user) => {
    const profile = readProfile(read(`openvpn-examples/${name}`));
    expect(literalEndpoints(profile).map(endpointText)).toEqual([...endpoints].sort());
    expect(profile.user).toBe(user);
  });

  test('networkmanager/office.nmconnection has the endpoints that it seems to have, and the resolvers that attach gives it', () => {
    const text = read('openvpn-examples/networkmanager/office.nmconnection');
    const profile = readVpnConnection(text)?.profile;
    expect(profile && literalEndpoints(profile).map(endpointText)).toEqual([
      '203.0.113.10:1194/udp',
      '203.0.113.11:443/tcp',
    ]);
    for (const family of ['ipv4', 'ipv6'])
      expect(Number(readKeyfile(text).get(family)?.get('dns-priority'))).toBeLessThan(0);
  });

  test('every profile is expected above', () => {
    expect(PROFILES).toHaveLength(7);
  });

  test.each(SETTINGS_FILES)('%s is accepted by the parser of settings', (path) => {
    expect(settingsOf(path).endpoints.length).toBeGreaterThan(0);
  });

  test.each(DROP_INS)(
    '%s starts its service after the unit that boot enable writes, and not without it',
    (path) => {
      const unit = 'ovpn-killswitch.service';
      expect(
        systemd
          .plan({
            read: () => undefined,
            exists: () => false,
            list: () => [],
            locked: true,
            base: {},
          })
          .files.map((file) => file.path),
      ).toContain(`/etc/systemd/system/${unit}`);
      const lines = read(path).split('\n');
      expect(lines).toContain(`Requires=${unit}`);
      expect(lines.some((line) => line.startsWith('After=') && line.includes(unit))).toBe(true);
      expect(lines.filter((line) => !/^(#.*|\[(Unit|Service)\]|[A-Z]\w+=.*|)$/.test(line))).toEqual(
        [],
      );
      expect(lines[0]).toMatch(
        /^# \/etc\/systemd\/system\/[\w@-]+\.service\.d\/killswitch\.conf, then: systemctl daemon-reload$/,
      );
    },
  );

  test.each([
    ['cafe.env', 'out tcp 192.168.1.20 631', 'reject', 'rest'],
    ['cafe.env', 'out udp 203.0.113.10 1194 --as 0', 'accept', 'endpoint'],
    ['home.env', 'out tcp 192.168.1.20 631', 'accept', 'lan'],
    ['home.env', 'out udp 224.0.0.251 5353', 'accept', 'lan'],
    ['home.env', 'in udp 192.168.1.20 5353', 'accept', 'lan-inbound'],
    ['home.env', 'out udp 192.168.1.1 53', 'drop', 'other-dns'],
    ['home.env', 'out tcp 192.168.2.20 631', 'drop', 'rest'],
    ['server-ssh.env', 'in tcp 192.168.1.5 22', 'accept', 'lan-inbound'],
    ['server-ssh.env', 'in tcp 198.51.100.7 22', 'accept', 'lan-inbound'],
    ['server-ssh.env', 'in tcp 198.51.100.8 22', 'drop', 'rest'],
    ['server-ssh.env', 'out tcp 198.51.100.7 443', 'drop', 'rest'],
    ['ports-only.env', 'out tcp 192.0.2.7 443 --device tun0', 'accept', 'tunnel'],
    ['ports-only.env', 'out tcp 192.0.2.7 8080 --device tun0', 'drop', 'rest'],
    ['ports-only.env', 'out icmp 192.0.2.7 --device tun0', 'accept', 'tunnel'],
    ['ports-only.env', 'out udp 9.9.9.9 53 --device tun0', 'accept', 'tunnel-dns'],
    ['ports-only.env', 'out udp 9.9.9.9 53', 'drop', 'other-dns'],
    ['ports-only.env', 'out tcp 2001:db8::7 443 --device tun0', 'drop', 'no-ipv6'],
  ])('with %s, "%s" is: %s by %s', (name, call, verdict, id) => {
    const base = baseOf(settingsOf(`openvpn-examples/${name}`), { endpoints: [], uids: [0] });
    const tunnel = { device: TUN0, endpoints: [], addresses: [], resolvers: [], networks: [] };
    const decision = evaluate(compile(decide(base, [tunnel])), packetOf(call));
    expect([decision.verdict, decision.rule?.id]).toEqual([verdict, id]);
  });

  test('server-ssh.env lets the answers of an open SSH session leave, as docs/how-to/ssh.md promises', () => {
    const base = baseOf(settingsOf('openvpn-examples/server-ssh.env'), {
      endpoints: [],
      uids: [0],
    });
    const answer = { ...packetOf('out tcp 198.51.100.7 40000'), conntrack: 'established' } as const;
    const ruleset = compile(decide(base, []));
    const fromSsh = evaluate(ruleset, {
      ...answer,
      payload: { transport: 'tcp', fromPort: 22, toPort: 40000 },
    });
    expect([fromSsh.verdict, fromSsh.rule?.id]).toEqual(['accept', 'lan-inbound']);
    const fromElse = evaluate(ruleset, {
      ...answer,
      payload: { transport: 'tcp', fromPort: 80, toPort: 40000 },
    });
    expect(fromElse.verdict).toBe('drop');
  });
});

test('the words of docs/explanation/glossary.md stand once each', () => {
  const words = [...read('docs/explanation/glossary.md').matchAll(/^\| ([^|]+) \| [^|]+ \|$/gm)]
    .map(([, word = '']) => word)
    .filter((word) => !/^(word|-+)$/.test(word));
  expect(words.length).toBeGreaterThan(HOOKS.length);
  expect(words).toEqual([...new Set(words)]);
});

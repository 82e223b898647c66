import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  defaultSettings,
  type Issue,
  KEYS,
  readSettings,
  type Settings,
  type SettingsKey,
} from '../../../src/policy/settings.ts';
import { settingsText } from '../../../src/policy/settings-text.ts';
import { HOSTILE_TEXT } from '../../support/hostile-text.ts';

const read = (text: string) => readSettings(settingsText(text));

function settings(text: string): Settings {
  const result = read(text);
  if ('issues' in result) throw new Error(JSON.stringify(result.issues));
  return result.settings;
}

function issues(text: string): readonly Issue[] {
  const result = read(text);
  return 'issues' in result ? result.issues : [];
}

/** The value of each key, written so that it can be compared: lists as texts. */
type Row = {
  readonly initial: unknown;
  readonly accepted: readonly (readonly [string, unknown])[];
  readonly refused: readonly string[];
};

const service = (first: number, last: number, transport: 'tcp' | 'udp') => ({
  ports: { first, last },
  transport,
});
const ipv4 = (text: string) => ({ family: 'ipv4', text });
const network = (text: string) => ({
  family: text.includes(':') ? 'ipv6' : 'ipv4',
  text,
  prefix: Number(text.split('/')[1]),
});

const ROWS: Readonly<Record<SettingsKey, Row & { readonly field: keyof Settings }>> = {
  KILLSWITCH_BACKEND: {
    field: 'backend',
    initial: 'auto',
    accepted: [
      ['iptables', 'iptables'],
      ['nftables', 'nftables'],
      [' nftables ', 'nftables'],
    ],
    refused: ['nft', 'IPTABLES', 'iptables,nftables', 'iptables-legacy', 'none'],
  },
  KILLSWITCH_PROFILES: {
    field: 'profiles',
    initial: ['/etc/openvpn/client/*.conf', '/etc/openvpn/*.conf'],
    accepted: [
      ['/home/me/office.ovpn', ['/home/me/office.ovpn']],
      ['/a/*.ovpn, /b/?.conf', ['/a/*.ovpn', '/b/?.conf']],
      ['/etc/openvpn/client/x.*', ['/etc/openvpn/client/x.*']],
    ],
    refused: [
      'office.ovpn',
      '~/office.ovpn',
      '/etc/*/a.conf',
      '/etc/../a.conf',
      '/etc/openvpn/key.pem',
      '/',
      '/etc/openvpn/',
    ],
  },
  KILLSWITCH_ENDPOINTS: {
    field: 'endpoints',
    initial: [],
    accepted: [
      ['203.0.113.10:1194/udp', [{ address: ipv4('203.0.113.10'), port: 1194, transport: 'udp' }]],
    ],
    refused: [
      '203.0.113.10',
      '203.0.113.10:1194',
      'vpn.example.test:1194/udp',
      '203.0.113.10:1194/udp;203.0.113.11:1194/udp',
      '2001:db8::1:443/tcp',
    ],
  },
  KILLSWITCH_ENDPOINT_OWNER: {
    field: 'endpointOwner',
    initial: { kind: 'auto' },
    accepted: [
      ['root', { kind: 'root' }],
      ['any', { kind: 'any' }],
      ['user:nobody', { kind: 'user', name: 'nobody' }],
      ['user:1001', { kind: 'user', name: '1001' }],
      ['user:_openvpn', { kind: 'user', name: '_openvpn' }],
      ['mark:0xca6c', { kind: 'mark', mark: 0xca6c }],
      ['mark:0xFFFFFFFF', { kind: 'mark', mark: 0xffffffff }],
    ],
    refused: [
      'nobody',
      'user:',
      'user:a b',
      'user:-x',
      'user:../x',
      'user:a:b',
      'mark:0x0',
      'mark:51820',
      'mark:0x',
      'mark:0x1ffffffff',
      'mark:0xg',
      'group:x',
    ],
  },
  KILLSWITCH_LAN: {
    field: 'lan',
    initial: { kind: 'private' },
    accepted: [
      ['off', { kind: 'off' }],
      [
        '192.168.1.0/24',
        { kind: 'list', entries: [{ network: network('192.168.1.0/24'), service: undefined }] },
      ],
      [
        '192.168.2.5:8080/tcp',
        {
          kind: 'list',
          entries: [{ network: network('192.168.2.5/32'), service: service(8080, 8080, 'tcp') }],
        },
      ],
      [
        '192.168.2.0/24:80-90/udp',
        {
          kind: 'list',
          entries: [{ network: network('192.168.2.0/24'), service: service(80, 90, 'udp') }],
        },
      ],
      [
        'fd00::/64',
        { kind: 'list', entries: [{ network: network('fd00::/64'), service: undefined }] },
      ],
      [
        '[fd00::5]:631/tcp',
        {
          kind: 'list',
          entries: [{ network: network('fd00::5/128'), service: service(631, 631, 'tcp') }],
        },
      ],
      [
        '10.0.0.0/8',
        { kind: 'list', entries: [{ network: network('10.0.0.0/8'), service: undefined }] },
      ],
    ],
    refused: [
      'on',
      'all',
      '0.0.0.0/0',
      '0.0.0.0/1',
      '128.0.0.0/7',
      '::/0',
      '2000::/3',
      'private,192.168.1.0/24',
      ',',
      '192.168.1.0/24:80',
      '192.168.1.0/24:0/tcp',
      '192.168.1.0/24:90-80/tcp',
      '192.168.1.0/24:80/icmp',
      'printer.local',
    ],
  },
  KILLSWITCH_LAN_INBOUND: {
    field: 'lanInbound',
    initial: [],
    accepted: [
      ['22/tcp', [service(22, 22, 'tcp')]],
      ['22/tcp,5353/udp,', [service(22, 22, 'tcp'), service(5353, 5353, 'udp')]],
    ],
    refused: ['22', 'ssh', '22/tcp 80/tcp', '22/icmp', 'all', '*'],
  },
  KILLSWITCH_LAN_DNS: {
    field: 'lanDns',
    initial: [],
    accepted: [
      ['192.168.1.1', [ipv4('192.168.1.1')]],
      [
        'fd00::1, fe80::1',
        [
          { family: 'ipv6', text: 'fd00::1' },
          { family: 'ipv6', text: 'fe80::1' },
        ],
      ],
    ],
    refused: [
      '9.9.9.9',
      '2620:fe::fe',
      '127.0.0.1',
      '192.168.1.0/24',
      '192.168.1.1:53',
      'router',
      '224.0.0.251',
    ],
  },
  KILLSWITCH_TUNNEL_PORTS: {
    field: 'tunnelPorts',
    initial: undefined,
    accepted: [
      ['all', undefined],
      ['443/tcp,80/tcp', [service(443, 443, 'tcp'), service(80, 80, 'tcp')]],
    ],
    refused: ['none', '443', ',', 'all,443/tcp'],
  },
  KILLSWITCH_TUNNEL_INBOUND: {
    field: 'tunnelInbound',
    initial: [],
    accepted: [['6881-6889/udp', [service(6881, 6889, 'udp')]]],
    refused: ['all', '6881', '6889-6881/udp'],
  },
  KILLSWITCH_DNS: {
    field: 'dns',
    initial: undefined,
    accepted: [
      ['pushed', undefined],
      ['9.9.9.9,10.8.0.1', [ipv4('9.9.9.9'), ipv4('10.8.0.1')]],
    ],
    refused: ['dns.example.test', '9.9.9.9:53', '127.0.0.1', '0.0.0.0', ',', 'pushed,9.9.9.9'],
  },
  KILLSWITCH_RESOLVER: {
    field: 'resolver',
    initial: 'auto',
    accepted: [
      ['resolved', 'resolved'],
      ['resolvconf', 'resolvconf'],
      ['file', 'file'],
      ['off', 'off'],
    ],
    refused: ['systemd-resolved', 'none', 'Off'],
  },
  KILLSWITCH_IPV6: {
    field: 'ipv6',
    initial: 'tunnel',
    accepted: [['block', 'block']],
    refused: ['on', 'off', 'yes', 'allow'],
  },
  KILLSWITCH_FORWARD: {
    field: 'forward',
    initial: [],
    accepted: [
      ['docker0, virbr0', ['docker0', 'virbr0']],
      ['docker0,br-*', ['docker0', 'br-*']],
      ['abcdefghijklmn*', ['abcdefghijklmn*']],
    ],
    refused: [
      'docker+',
      'docker0 virbr0',
      'abcdefghijklmnop',
      '-i',
      '*',
      'b*',
      'b*r',
      'br-**',
      'br-?',
      '-b*',
      'abcdefghijklmno*',
      'tun*',
      'tunnel*',
      'tu*',
      'tap*',
      'lo*',
    ],
  },
  KILLSWITCH_REFUSE: {
    field: 'refuse',
    initial: 'drop',
    accepted: [['reject', 'reject']],
    refused: ['accept', 'REJECT', 'none'],
  },
  KILLSWITCH_LOG_DROPS: {
    field: 'logDrops',
    initial: undefined,
    accepted: [
      ['off', undefined],
      ['10/minute', { count: 10, unit: 'minute' }],
      ['1/second', { count: 1, unit: 'second' }],
      ['9999/hour', { count: 9999, unit: 'hour' }],
    ],
    refused: [
      'on',
      '10',
      '0/minute',
      '10/day',
      '10000/second',
      '10/minutes',
      '-1/second',
      '1.5/second',
      '10 / minute',
    ],
  },
  KILLSWITCH_LOG_LEVEL: {
    field: 'logLevel',
    initial: 'info',
    accepted: [
      ['debug', 'debug'],
      ['silent', 'silent'],
    ],
    refused: ['verbose', 'INFO', '3'],
  },
};
const names = Object.keys(ROWS) as readonly SettingsKey[];

describe('every key', () => {
  test('of the settings has a row here', () => {
    expect(Object.keys(KEYS).sort()).toEqual([...names].sort());
  });

  test.each(names)('%s has its default without a file, empty and commented out', (name) => {
    const { field, initial } = ROWS[name];
    expect(defaultSettings()[field]).toEqual(initial);
    expect(settings(`${name}=\n`)[field]).toEqual(initial);
    expect(settings(`${name}=""\n`)[field]).toEqual(initial);
    expect(settings(`${name}=   \n`)[field]).toEqual(initial);
    expect(settings(`#${name}=nonsense\n`)[field]).toEqual(initial);
  });

  const accepted = names.flatMap((name) =>
    ROWS[name].accepted.map(([text, value]) => [name, text, value] as const),
  );
  test.each(accepted)('%s=%s is accepted', (name, text, value) => {
    expect(settings(`${name}=${text}\n`)[ROWS[name].field]).toEqual(value);
    expect(settings(`export ${name}='${text}'\r\n`)[ROWS[name].field]).toEqual(value);
    expect(settings(`  ${name} = "${text}" # why\n`)[ROWS[name].field]).toEqual(value);
  });

  const refused = names.flatMap((name) => ROWS[name].refused.map((text) => [name, text] as const));
  test.each(refused)(
    '%s=%s is refused, and the issue names line, key and what is allowed',
    (name, text) => {
      const [issue, ...more] = issues(`# first line\n${name}='${text}'\n`);
      expect(more).toEqual([]);
      expect(issue).toMatchObject({ line: 2, key: name });
      expect(issue?.problem).toContain(KEYS[name].allowed);
    },
  );

  test.each(names)('%s takes no hostile text for what it is not', (name) => {
    for (const text of HOSTILE_TEXT) {
      const value = text.trim();
      const result = readSettings({ values: { [name]: text }, lines: [{ line: 1, key: name }] });
      // An empty value is the default; a plain number or address is meant by some keys.
      if (value === '' || ('settings' in result && /^[\w.-]+$/.test(value))) continue;
      if ('settings' in result && ['10.8.0.1', '[::1]'].includes(value)) continue;
      expect(result).toMatchObject({ issues: [{ line: 1, key: name }] });
    }
  });
});

describe('a settings file', () => {
  test('that is empty gives the defaults', () => {
    expect(settings('')).toEqual(defaultSettings());
    expect(settings('\n\n# nothing\n   # here\n')).toEqual(defaultSettings());
  });

  test('with three mistakes has three issues, in the order of their lines', () => {
    const text =
      'KILLSWITCH_IPV6=maybe\nKILLSWITCH_BACKEND=iptables\nKILLSWITCH_COLOUR=blue\n\nKILLSWITCH_LAN=0.0.0.0/0\n';
    expect(issues(text).map(({ line, key }) => [line, key])).toEqual([
      [1, 'KILLSWITCH_IPV6'],
      [3, 'KILLSWITCH_COLOUR'],
      [5, 'KILLSWITCH_LAN'],
    ]);
  });

  test('with a key that does not exist is told the ones that do', () => {
    const [issue] = issues('KILLSWITCH_LAN_DSN=192.168.1.1\n');
    for (const name of names) expect(issue?.problem).toContain(name);
  });

  test.each(['constructor', 'toString', 'PATH', 'killswitch_lan', 'KILLSWITCH_LAN.x'])(
    'with the key %s is refused',
    (name) => {
      expect(issues(`${name}=x\n`)).toMatchObject([{ line: 1, key: name }]);
    },
  );

  test('with a key twice is refused, whichever value stands last', () => {
    expect(issues('KILLSWITCH_LAN=off\nKILLSWITCH_LAN=private\n')).toMatchObject([
      { line: 2, key: 'KILLSWITCH_LAN', problem: 'stands on line 1 already' },
    ]);
  });

  test.each([
    'KILLSWITCH_LAN',
    'KILLSWITCH_LAN off',
    'KILLSWITCH_LAN:off',
    '__proto__=off',
    'off',
    '=off',
    'export',
    '$(reboot)',
    'KILLSWITCH LAN=off',
    '- KILLSWITCH_LAN=off',
  ])('with the line "%s" is refused', (line) => {
    expect(issues(`KILLSWITCH_IPV6=block\n${line}\n`)).toMatchObject([{ line: 2 }]);
  });

  test.each(['\n', '\r\n', '\r'])('may end its lines in %j', (end) => {
    expect(settings(['KILLSWITCH_LAN=off', 'KILLSWITCH_IPV6=block', ''].join(end))).toMatchObject({
      lan: { kind: 'off' },
      ipv6: 'block',
    });
    expect(issues(['KILLSWITCH_LAN=off', 'KILLSWITCH_LAN=private'].join(end))).toMatchObject([
      { line: 2 },
    ]);
  });

  test('has no value of more than one line', () => {
    expect(issues('KILLSWITCH_DNS="9.9.9.9\nKILLSWITCH_LAN=off"\n').length).toBeGreaterThan(0);
    expect(issues('KILLSWITCH_DNS=\n9.9.9.9\n')).toMatchObject([{ line: 2 }]);
  });

  test('may open ports to the LAN only while there is one', () => {
    expect(issues('KILLSWITCH_LAN=off\nKILLSWITCH_LAN_INBOUND=22/tcp\n')).toMatchObject([
      { line: 2, key: 'KILLSWITCH_LAN_INBOUND' },
    ]);
    expect(issues('KILLSWITCH_LAN=192.168.1.0/24\nKILLSWITCH_LAN_INBOUND=22/tcp\n')).toEqual([]);
  });

  test('names the line of a key whose value begins on the next one', () => {
    expect(issues('\nKILLSWITCH_BACKEND \n=!\n')).toContainEqual(
      expect.objectContaining({ line: 2, key: 'KILLSWITCH_BACKEND' }),
    );
  });

  test('of any text gives settings or issues on its own lines, and never throws', () => {
    const line = fc.oneof(
      fc
        .tuple(
          fc.constantFrom(...names),
          fc.constantFrom('=', ' = ', ':', ' '),
          fc.oneof(fc.string(), fc.constantFrom(...HOSTILE_TEXT)),
        )
        .map((parts) => parts.join('')),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 6 }), fc.constantFrom('\n', '\r\n'), (lines, end) => {
        const text = lines.join(end);
        const count = text.split(/\r\n?|\n/).length;
        for (const issue of issues(text)) expect(issue.line >= 1 && issue.line <= count).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });
});

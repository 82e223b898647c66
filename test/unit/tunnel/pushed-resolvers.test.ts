import { describe, expect, test } from 'vitest';
import { pushedResolvers } from '../../../src/tunnel/pushed-resolvers.ts';
import type { Refusal } from '../../../src/tunnel/tunnel.ts';
import { HOSTILE_TEXT } from '../../support/hostile-text.ts';

function pushed(env: Readonly<Record<string, string>>) {
  const refused: Refusal[] = [];
  const { resolvers, searchDomains } = pushedResolvers(env, (variable, value, why) => {
    refused.push({ variable, value, why });
    return undefined;
  });
  return {
    resolvers: resolvers.map(({ text }) => text),
    details: resolvers,
    searchDomains,
    refused,
  };
}

const options = (...values: readonly string[]) =>
  Object.fromEntries(values.map((value, index) => [`foreign_option_${index + 1}`, value]));

describe('what a server pushes about DNS', () => {
  test('as dhcp-option is taken in its order', () => {
    const all = options(
      'dhcp-option DNS 10.8.0.2',
      'dhcp-option DNS6 fd00::53',
      'dhcp-option DOMAIN corp.example',
      'dhcp-option DNS 10.8.0.1',
    );
    expect(
      pushed({ ...all, foreign_option_5: 'dhcp-option DOMAIN-SEARCH lab.example' }),
    ).toMatchObject({
      resolvers: ['10.8.0.2', 'fd00::53', '10.8.0.1'],
      searchDomains: ['corp.example', 'lab.example'],
      refused: [],
    });
  });

  test('in the middle of a connection (PUSH_UPDATE, OpenVPN 2.7) is counted from 0', () => {
    expect(pushed({ foreign_option_0: 'dhcp-option DNS 10.8.0.9' }).resolvers).toEqual([
      '10.8.0.9',
    ]);
    expect(
      pushed({
        foreign_option_0: 'dhcp-option DNS 10.8.0.9',
        ...options('dhcp-option DNS 10.8.0.1'),
      }).resolvers,
    ).toEqual(['10.8.0.9', '10.8.0.1']);
  });

  test('as dns server takes the place of dhcp-option DNS, and says how each is asked', () => {
    const { details, refused } = pushed({
      ...options('dhcp-option DNS 9.9.9.9', 'dhcp-option DOMAIN corp.example'),
      dns_server_1_address_1: '10.8.0.53',
      dns_server_1_port_1: '853',
      dns_server_1_transport: 'DoT',
      dns_server_1_dnssec: 'optional',
      dns_server_1_sni: 'dns.corp.example',
      dns_server_2_address_1: 'fd00::53',
    });
    expect(details).toEqual([
      {
        family: 'ipv4',
        text: '10.8.0.53',
        transport: 'tls',
        dnssec: 'optional',
        serverName: 'dns.corp.example',
      },
      { family: 'ipv6', text: 'fd00::53' },
    ]);
    expect(refused).toEqual([]);
  });

  test('as servers for certain domains comes after those for all', () => {
    expect(
      pushed({
        dns_server_1_address_1: '10.8.0.1',
        dns_server_1_resolve_domain_1: 'corp.example',
        dns_server_2_address_1: '10.8.0.2',
      }).resolvers,
    ).toEqual(['10.8.0.2', '10.8.0.1']);
  });

  test('is taken once, whatever says it twice', () => {
    const { resolvers, searchDomains, refused } = pushed({
      ...options(
        'dhcp-option DNS 10.8.0.1',
        'dhcp-option DNS 10.8.0.1',
        'dhcp-option DOMAIN-SEARCH A.example',
        'dhcp-option DOMAIN a.example.',
      ),
      dns_search_domain_1: 'a.example',
    });
    expect({ resolvers, searchDomains, refused }).toEqual({
      resolvers: ['10.8.0.1'],
      searchDomains: ['a.example'],
      refused: [],
    });
  });

  test.each([
    ['DNS', HOSTILE_TEXT],
    ['DNS6', HOSTILE_TEXT],
    [
      'DNS',
      [
        'dns.example',
        '10.8.0.1 DNS 9.9.9.9',
        '10.8.0.1\nnameserver 9.9.9.9',
        'fd00::1 extra',
        'fe80::1%tun0',
        '0.0.0.0',
        '::1',
      ],
    ],
  ] as const)(
    'as %s is an address or refused by itself, while the others are used',
    (type, texts) => {
      for (const text of texts) {
        const { resolvers, refused } = pushed(
          options(
            'dhcp-option DNS 10.8.0.1',
            `dhcp-option ${type} ${text}`,
            'dhcp-option DNS 10.8.0.2',
          ),
        );
        expect([text, resolvers]).toEqual([text, ['10.8.0.1', '10.8.0.2']]);
        expect([text, refused.map(({ variable }) => variable)]).toEqual([
          text,
          ['foreign_option_2'],
        ]);
      }
    },
  );

  const label = 'a'.repeat(63);
  const longest = [label, label, label, 'a'.repeat(61)].join('.');
  test.each(['DOMAIN', 'DOMAIN-SEARCH', 'ADAPTER_DOMAIN_SUFFIX'])(
    'as %s is the name of a domain or refused by itself',
    (type) => {
      const bad = [
        'a'.repeat(300),
        `${longest}a`,
        `${label}a.example`,
        'a!b.example',
        'a..b',
        '-a.example',
        '~.',
        '.',
        'a.example b.example',
      ];
      for (const text of [
        ...bad,
        'a.example\noptions debug',
        'a.example;id',
        '$(id).example',
        'Ünï.example',
        '10.8.0.1',
        '',
      ]) {
        const { searchDomains, refused } = pushed(
          options(`dhcp-option ${type} ${text}`, 'dhcp-option DOMAIN good.example'),
        );
        expect([text, searchDomains]).toEqual([text, ['good.example']]);
        expect([text, refused.map(({ variable }) => variable)]).toEqual([
          text,
          ['foreign_option_1'],
        ]);
      }
      expect(pushed(options(`dhcp-option ${type} ${longest}`))).toMatchObject({
        searchDomains: [longest],
        refused: [],
      });
    },
  );

  test.each([
    'dhcp-option DOH https://x/',
    'dhcp-option WINS 10.8.0.1',
    'dhcp-option FOO',
    'dhcp-option',
    '',
    'block-outside-dns',
  ])('as "%s" is left out, and said to be', (value) => {
    const { resolvers, refused } = pushed(options(value, 'dhcp-option DNS 10.8.0.1'));
    expect(resolvers).toEqual(['10.8.0.1']);
    expect(refused).toMatchObject([{ variable: 'foreign_option_1', value }]);
  });

  test.each([
    ['transport', 'DoH', []],
    ['transport', 'plain;id', []],
    ['dnssec', 'maybe', ['10.8.0.1']],
    ['sni', '$(id)', ['10.8.0.1']],
    ['port_1', '5353', []],
    ['port_1', '853', []],
    ['address_1', '10.8.0.1%tun0', []],
  ] as const)(
    'with a %s "%s" is refused, and the other servers are used',
    (field, value, still) => {
      const { resolvers, refused } = pushed({
        dns_server_1_address_1: '10.8.0.1',
        [`dns_server_1_${field}`]: value,
        dns_server_2_address_1: '10.8.0.2',
      });
      expect(resolvers).toEqual([...still, '10.8.0.2']);
      expect(refused.map(({ variable }) => variable)).toEqual([`dns_server_1_${field}`]);
    },
  );

  test('is not taken beyond 8 servers and 32 domains; the rest is refused in one line each', () => {
    const many = Array.from({ length: 100 }, (_, index) => [
      `dhcp-option DNS 10.8.0.${index + 1}`,
      `dhcp-option DOMAIN d${index}.example`,
    ]);
    const { resolvers, searchDomains, refused } = pushed(options(...many.flat()));
    expect([resolvers.length, searchDomains.length]).toEqual([8, 32]);
    expect(refused.map(({ variable, value }) => [variable, value])).toEqual([
      ['foreign_option_17', '92 more'],
      ['foreign_option_66', '68 more'],
    ]);
  });
});

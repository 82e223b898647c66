import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { options, quoted, words } from '../../../src/tunnel/profile-options.ts';

describe('a line of a profile is cut into words', () => {
  test.each([
    ['remote vpn.example.test 1194', ['remote', 'vpn.example.test', '1194']],
    ['\t remote\t \tvpn  ', ['remote', 'vpn']],
    ['remote vpn\r', ['remote', 'vpn']],
    ['', []],
    ['   ', []],
    ['# remote vpn', []],
    ['; remote vpn', []],
    ['  #remote vpn', []],
    ['remote vpn # the first', ['remote', 'vpn']],
    ['remote vpn ;the first', ['remote', 'vpn']],
    ['remote vpn#1', ['remote', 'vpn#1']],
    ['remote "vpn one" 1194', ['remote', 'vpn one', '1194']],
    ["remote 'vpn one' 1194", ['remote', 'vpn one', '1194']],
    ['remote ""', ['remote', '']],
    ['remote "a # b"', ['remote', 'a # b']],
    ['remote "it\'s"', ['remote', "it's"]],
    ['remote \'say "x"\'', ['remote', 'say "x"']],
    ['remote "say \\"x\\""', ['remote', 'say "x"']],
    ['remote a\\ b', ['remote', 'a b']],
    ['remote c:\\\\vpn', ['remote', 'c:\\vpn']],
    ["remote 'c:\\vpn'", ['remote', 'c:\\vpn']],
    // A quote groups at the start of a word only, and ends the word where it ends.
    ['remote vpn"one"', ['remote', 'vpn"one"']],
    ['remote "vpn"one', ['remote', 'vpn', 'one']],
    ['remote vpn\u00a01194', ['remote', 'vpn\u00a01194']],
  ])('%j is %j', (line, expected) => {
    expect(words(line)).toEqual(expected);
  });

  test.each(['remote "vpn', "remote 'vpn", 'remote vp\\n', 'remote \\vpn', 'remote vpn\\'])(
    '%j is refused whole, as OpenVPN refuses it',
    (line) => {
      expect(words(line)).toEqual([]);
    },
  );
});

describe('a quoted word', () => {
  test.each([
    ['/etc/openvpn/up.sh', '/etc/openvpn/up.sh'],
    ['a b', "'a b'"],
    ['', "''"],
    ['#1', "'#1'"],
    ['c#1', 'c#1'],
    ['c:\\vpn', "'c:\\vpn'"],
    ["it's", "it's"],
    ["'it'", '"\'it\'"'],
    ['it\'s "x"', '"it\'s \\"x\\""'],
  ])('%j is written %s', (word, expected) => {
    expect(quoted(word)).toBe(expected);
  });

  test('is read back as it was, also inside a quoted line', () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { minLength: 1, maxLength: 6 }), (list) => {
        const line = list.map(quoted).join(' ');
        expect(words(line)).toEqual(list);
        const [, inner = ''] = words(`up "${line.replace(/["\\]/g, '\\$&')}"`);
        expect(words(inner)).toEqual(list);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('the options of a profile', () => {
  test('are those behind "setenv opt", which only forgives unknown ones', () => {
    expect([...options('setenv opt remote vpn\nsetenv opt\nsetenv name value')]).toEqual([
      ['remote', 'vpn'],
      ['setenv', 'opt'],
      ['setenv', 'name', 'value'],
    ]);
  });

  test('are not looked for in inline files, and blocks are marked', () => {
    const text = '<ca>\nup evil\n</ca>\n<connection>\nremote vpn\n</connection>\nup good';
    expect([...options(text)]).toEqual([
      ['<connection>'],
      ['remote', 'vpn'],
      ['</connection>'],
      ['up', 'good'],
    ]);
  });
});

import { describe, expect, test } from 'vitest';
import { authorsText, endsChange, mayBeOurs, readAuthor } from '../../../src/watch/author.ts';

describe('a line of "nft monitor"', () => {
  test.each([
    ['# new generation 7 by process 8266 (nft)', { pid: 8266, name: 'nft' }],
    ['# new generation 12 by process 77 (firewalld)', { pid: 77, name: 'firewalld' }],
    ['# new generation 12 by process 77 (a (b) c)', { pid: 77, name: 'a (b) c' }],
  ])('%s names an author and ends a change', (line, author) => {
    expect(readAuthor(line)).toEqual(author);
    expect(endsChange(line)).toBe(true);
  });

  test.each([
    'add table inet foo',
    'delete rule ip filter INPUT handle 2',
    '',
    'add rule inet a b comment "# new generation 7 by process 1 (x)"',
  ])('"%s" does not', (line) => {
    expect(readAuthor(line)).toBeUndefined();
    expect(endsChange(line)).toBe(false);
  });

  test('that says that some were lost ends a change of an unknown program', () => {
    const line = '# ERROR: We lost some netlink events!';
    expect([readAuthor(line), endsChange(line)]).toEqual([undefined, true]);
  });
});

describe('authors', () => {
  test('are named, the last ones of many, and what a name holds stays on its line', () => {
    expect(authorsText([])).toBe('an unknown program');
    expect(authorsText([{ pid: 5, name: 'nft\nroot' }])).toBe('nft\\x0aroot (process 5)');
    const many = Array.from({ length: 9 }, (_, pid) => ({ pid, name: 'x' }));
    expect(authorsText(many)).toBe(
      'x (process 5), x (process 6), x (process 7), x (process 8), and 5 more',
    );
  });

  test.each([
    ['nft', true],
    ['iptables-restor', true],
    ['ip6tables-resto', true],
    ['iptables', false],
    ['nftables-daemon', false],
    ['firewalld', false],
  ])('called %s may be ours: %s', (name, ours) => {
    expect(mayBeOurs({ pid: 1, name })).toBe(ours);
  });
});

import { describe, expect, test } from 'vitest';
import { readKeyfile } from '../../../src/tunnel/keyfile.ts';

const group = (text: string) => Object.fromEntries(readKeyfile(`[g]\n${text}`).get('g') ?? []);

describe('a keyfile', () => {
  test('has groups of keys and values', () => {
    const keyfile = readKeyfile('[connection]\nid=Home\nuuid=1\n\n[vpn]\nremote=a\n');
    expect(keyfile.get('connection')?.get('id')).toBe('Home');
    expect(keyfile.get('vpn')?.get('remote')).toBe('a');
    expect(keyfile.get('connection')?.get('remote')).toBeUndefined();
  });

  test('joins groups of one name, and of equal keys takes the last', () => {
    expect(
      Object.fromEntries(readKeyfile('[g]\na=1\nb=1\n[h]\na=9\n[g]\na=2\n').get('g') ?? []),
    ).toEqual({ a: '2', b: '1' });
  });

  test('has comments in lines of their own, and no others', () => {
    expect(group('# a=1\n #b=1\nc=1 # one')).toEqual({ c: '1 # one' });
  });

  test.each([
    ['a = 1 ', '1'],
    ['a=1=2', '1=2'],
    ['a=', ''],
    ['a=\\sx\\s', ' x '],
    ['a=\\n\\t\\r', '\n\t\r'],
    ['a=\\\\n', '\\n'],
    ['a=$(reboot)', '$(reboot)'],
    ['a=1\r', '1'],
  ])('reads %j', (line, value) => {
    expect(group(line)).toEqual({ a: value });
  });

  test.each(['', '=1', 'word', '[g', 'g]', '[[g]]'])('leaves the line %j out', (line) => {
    expect(group(`b=2\n${line}`)).toEqual({ b: '2' });
  });

  test('has nothing before its first group', () => {
    expect(readKeyfile('a=1\n').size).toBe(0);
  });
});

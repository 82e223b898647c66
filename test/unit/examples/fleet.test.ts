import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { COMMANDS } from '../../../src/cli/main.ts';
import { endpointText } from '../../../src/net/endpoint.ts';
import { readSettings } from '../../../src/policy/settings.ts';
import { settingsText } from '../../../src/policy/settings-text.ts';
import { literalEndpoints, readProfile } from '../../../src/tunnel/profile.ts';
import { CHECKS } from '../../../src/view/doctor/checks.ts';
import { parsePlainYaml } from '../../support/plain-yaml.ts';

const read = (name: string) =>
  readFileSync(new URL(`../../../openvpn-examples/fleet/${name}`, import.meta.url), 'utf8');
const FILES = ['cloud-init.yaml', 'preseed.cfg', 'image.sh'];

/** The calls of our command in a text, without comments: its words after the program's name. */
function calls(text: string): readonly (readonly string[])[] {
  return text
    .split('\n')
    .filter((line) => !/^\s*#/.test(line))
    .flatMap((line) => [...line.matchAll(/(?:^|\s)ovpn-killswitch ([^;\\]+)/g)])
    .map(([, words = '']) => words.trim().split(/\s+/));
}

/** Why a call cannot be made: no such command, flag or word. */
function problems([name = '', ...words]: readonly string[]): readonly string[] {
  const command = COMMANDS.find((each) => each.name === name);
  if (command === undefined) return [name];
  const [choices] = command.words.flatMap((word) => (word.choices ? [word.choices] : []));
  const [first = ''] = words;
  return [
    ...words.filter(
      (word) => word.startsWith('--') && !Object.hasOwn(command.flags, word.slice(2)),
    ),
    ...(choices !== undefined && !choices.includes(first) ? [first] : []),
  ];
}

test.each([
  ['ovpn-killswitch bot enable', ['bot']],
  ['ovpn-killswitch boot on', ['on']],
  ['ovpn-killswitch boot enable --rot /x', ['--rot']],
  ['in-target ovpn-killswitch attach /a; \\', []],
])('the check of calls says of "%s": %j', (text, wrong) => {
  expect(calls(text).flatMap(problems)).toEqual(wrong);
});

describe.each(FILES)('openvpn-examples/fleet/%s', (name) => {
  test('calls only commands that exist, with flags and words that they take', () => {
    expect(calls(read(name)).flatMap(problems)).toEqual([]);
  });

  test('has the rules loaded at boot, and does not lock', () => {
    const names = calls(read(name)).map(([command, word]) => `${command} ${word}`);
    expect(names).toContain('boot enable');
    expect(names.filter((each) => each.startsWith('lock'))).toEqual([]);
  });

  test('ends at the first command that fails', () => {
    expect(read(name)).toMatch(/^\s*(?:d-i .*)?set -eu?(?:;|$)/m);
  });
});

describe('openvpn-examples/fleet/cloud-init.yaml', () => {
  const text = read('cloud-init.yaml');
  const config = JSON.stringify(parsePlainYaml(text));

  test('starts with the line by which cloud-init knows it', () => {
    expect(text.split('\n')[0]).toBe('#cloud-config');
    expect(Object.keys(JSON.parse(config))).toEqual([
      'package_update',
      'packages',
      'write_files',
      'runcmd',
    ]);
  });

  test('places settings that the parser accepts, and a profile with their endpoint', () => {
    const files: readonly { readonly path: string; readonly content: string }[] =
      JSON.parse(config)['write_files'];
    const content = (ending: string) =>
      files.find(({ path }) => path.endsWith(ending))?.content ?? '';
    const result = readSettings(settingsText(content('killswitch.env')));
    if ('issues' in result) throw new Error(JSON.stringify(result.issues));
    const endpoints = result.settings.endpoints.map(endpointText);
    expect(endpoints).toEqual(['203.0.113.10:1194/udp']);
    expect(literalEndpoints(readProfile(content('.conf'))).map(endpointText)).toEqual(endpoints);
  });

  test('attaches the profile that it places', () => {
    const paths = [...text.matchAll(/path: (\S+\.conf)$/gm)].map(([, path]) => path);
    expect(calls(text).filter(([name]) => name === 'attach')).toEqual([['attach', ...paths]]);
  });
});

test('openvpn-examples/fleet/preseed.cfg runs every command of ours in the new system', () => {
  const own = read('preseed.cfg')
    .split('\n')
    .filter((line) => !line.startsWith('#') && /ovpn-killswitch (attach|boot)/.test(line));
  expect(own).toHaveLength(2);
  expect(own.filter((line) => !line.startsWith('  in-target '))).toEqual([]);
});

test('openvpn-examples/ansible finds the check of new logins by the title that doctor prints', () => {
  const tasks = read('../ansible/roles/ovpn_killswitch/tasks/lock.yml');
  const [, title = ''] = /selectattr\('check', 'equalto', '([^']+)'\)/.exec(tasks) ?? [];
  expect(CHECKS.map((check) => check.title)).toContain(title);
});

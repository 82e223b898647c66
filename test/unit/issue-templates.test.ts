import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parsePlainYaml } from '../support/plain-yaml.ts';

const FOLDER = new URL('../../.github/ISSUE_TEMPLATE/', import.meta.url);
const read = (name: string) => readFileSync(new URL(name, FOLDER), 'utf8');
const TEMPLATES = readdirSync(FOLDER).filter((name) => name.endsWith('.md'));

test('there are templates', () => {
  expect(TEMPLATES.length).toBeGreaterThan(1);
});

test.each(TEMPLATES)(
  '%s has a name and a purpose, and sends a leak to SECURITY.md first',
  (name) => {
    const [, front = '', body = ''] = read(name).split(/^---\n/m);
    expect(Object.keys(parsePlainYaml(front))).toEqual(['name', 'about']);
    expect(body.trimStart()).toMatch(/^<!-- A packet that leaves .* SECURITY\.md\. -->\n/);
  },
);

test('the choice of templates offers no blank issue, and no link of one host', () => {
  expect(parsePlainYaml(read('config.yml'))).toEqual({ blank_issues_enabled: 'false' });
});

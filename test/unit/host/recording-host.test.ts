import { describe, expect, test } from 'vitest';
import { recordingHost } from '../../../src/host/recording-host.ts';
import { type FakeMachine, fakeHost } from '../../support/fake-host.ts';

const LOG = '/var/log/own.log';

function recorded(machine: FakeMachine = {}, scripted: readonly string[] = []) {
  const host = fakeHost(machine);
  const rules = { now: 'none' };
  const recording = recordingHost(host, {
    counted: (path, bytes) => (path === LOG ? undefined : bytes),
    scripted: () => scripted,
    rules: () => rules.now,
  });
  return { ...recording, real: host, rules };
}

describe('a recording of effects', () => {
  test('names a new, a changed and a removed file', () => {
    const { host, changes } = recorded({ files: { '/a': '1', '/b/c': '2', '/b/d': '3' } });
    host.write('/new', 'x');
    host.write('/a', '2');
    host.remove('/b');
    expect(changes()).toEqual([
      { kind: 'file', what: '/new', how: 'added' },
      { kind: 'file', what: '/a', how: 'changed' },
      { kind: 'file', what: '/b/c', how: 'removed' },
      { kind: 'file', what: '/b/d', how: 'removed' },
    ]);
  });

  test('writes no file that holds the same with the same mode', () => {
    const { host, real, changes } = recorded({ files: { '/a': '1' } });
    const written: string[] = [];
    Object.assign(real, { write: (path: string) => written.push(path) });
    host.write('/a', '1');
    expect([written, changes()]).toEqual([[], []]);
    host.write('/a', '1', 0o600);
    host.write('/a', '2');
    expect(written).toEqual(['/a', '/a']);
  });

  test('counts a file by its last content: what comes back did not change', () => {
    const { host, changes } = recorded({ files: { '/a': '1' } });
    host.remove('/a');
    host.write('/a', '1');
    host.write('/b', '1');
    host.remove('/b');
    expect(changes()).toEqual([]);
  });

  test('counts what was written before an error', () => {
    const { host, real, changes } = recorded();
    Object.assign(real, {
      rewrite: (path: string) => {
        real.files.set(path, 'half');
        throw new Error('the disk is full');
      },
    });
    expect(() => host.rewrite('/a', 'whole')).toThrow('the disk is full');
    expect(changes()).toEqual([{ kind: 'file', what: '/a', how: 'added' }]);
  });

  test('counts no file that holds notes', () => {
    const { host, changes } = recorded();
    host.write(LOG, 'a line');
    expect(changes()).toEqual([]);
  });

  test('notes a command that changes something when it ends well or is stopped, and no other', () => {
    const status = { now: 0 as number | null };
    const { host, changes } = recorded({ answer: () => ({ status: status.now }) });
    host.run({ program: 'nft', args: ['-j', 'list', 'ruleset'] });
    status.now = 1;
    host.run({ program: 'nft', args: ['-f', '-'], changes: 'rules' });
    expect(changes()).toEqual([]);
    status.now = null;
    host.run({ program: 'nft', args: ['-f', '-'], changes: 'rules' });
    expect(changes()).toEqual([{ kind: 'rules', what: 'nft', how: 'changed' }]);
  });

  test('compares the files and settings that a script may touch, and the rules where it removes them', () => {
    const paths = ['/etc/unit', '/proc/sys/net/key', '/other'];
    const { host, rules, changes } = recorded(
      {
        files: { '/etc/unit': 'text', '/proc/sys/net/key': '1', '/other': 'same' },
        answer: (_, { files }) => {
          files.delete('/etc/unit');
          files.set('/proc/sys/net/key', '0');
          rules.now = 'removed';
          return {};
        },
      },
      paths,
    );
    host.run({ program: 'sh', args: ['/lib/recover'], changes: 'rules' });
    expect(changes()).toEqual([
      { kind: 'rules', what: '/lib/recover', how: 'changed' },
      { kind: 'file', what: '/etc/unit', how: 'removed' },
      { kind: 'setting', what: '/proc/sys/net/key', how: 'changed' },
    ]);
  });

  test('compares the files of work that goes past the host', () => {
    const { during, real, changes } = recorded({ files: { '/lib/a': '1', '/lib/b': '1' } });
    during(['/lib'], () => {
      real.files.set('/lib/a', '2');
      real.files.set('/lib/b', '1');
    });
    expect(changes()).toEqual([{ kind: 'file', what: '/lib/a', how: 'changed' }]);
  });
});

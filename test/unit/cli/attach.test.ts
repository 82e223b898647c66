import { describe, expect, test } from 'vitest';
import { attach } from '../../../src/cli/attach.ts';
import { detach } from '../../../src/cli/detach.ts';
import { KillswitchError } from '../../../src/errors.ts';
import { linesOf } from '../../support/context.ts';
import { type FakeHost, type FakeMachine, fakeHost } from '../../support/fake-host.ts';
import { thrownBy } from '../../support/thrown-by.ts';

const HOOKS = '/usr/local/lib/ovpn-killswitch/hooks';
const PROFILES = '/var/lib/ovpn-killswitch/profiles';
const [A, B] = ['/etc/openvpn/a.conf', '/etc/openvpn/b.conf'];

function machine(files: Record<string, string>, more: FakeMachine = {}): FakeHost {
  return fakeHost({ files: { [`${HOOKS}/up`]: '', ...files }, ...more });
}

describe('attach', () => {
  test('attaches every file, and detach restores each', () => {
    const host = machine({ [A]: 'client\nremote a\n', [B]: 'client\nremote b' });
    const before = new Map(host.files);
    linesOf(attach, host, A, B);
    for (const path of [A, B]) expect(host.files.get(path)).toContain(`\nup ${HOOKS}/up\n`);
    linesOf(detach, host, A, B);
    expect(host.files).toEqual(before);
  });

  test('keeps the original of each once, however often it is called', () => {
    const host = machine({ [A]: 'client\n' });
    linesOf(attach, host, A);
    const [backup = '', ...more] = host.list(PROFILES);
    expect(more).toEqual([]);
    expect(host.files.get(`${PROFILES}/${backup}`)).toBe('client\n');
    host.files.set(`${PROFILES}/${backup}`, 'kept');
    linesOf(attach, host, '--harden', A);
    linesOf(attach, host, A);
    expect(host.list(PROFILES)).toEqual([backup]);
    expect(host.files.get(`${PROFILES}/${backup}`)).toBe('kept');
  });

  test('keeps an original for each content that the profile had', () => {
    const host = machine({ [A]: 'client\n' });
    linesOf(attach, host, A);
    host.files.set(A, `${host.files.get(A)}verb 4\n`);
    linesOf(attach, host, A);
    expect(host.list(PROFILES).map((name) => host.files.get(`${PROFILES}/${name}`))).toEqual([
      'client\n',
      'client\nverb 4\n',
    ]);
  });

  test('--copy twice changes nothing, and --replace brings the copy to a changed original', () => {
    const [from, to] = ['/home/me/office.ovpn', '/etc/openvpn/client/office.conf'];
    const host = machine({ [from]: 'client\nremote a\n' });
    linesOf(attach, host, '--copy', from);
    const first = new Map(host.files);
    expect(first.get(to)).toContain(`\nup ${HOOKS}/up\n`);
    linesOf(attach, host, '--copy', from);
    linesOf(attach, host, '--copy', '--replace', from);
    expect(host.files).toEqual(first);

    host.files.set(from, 'client\nremote b\n');
    expect(thrownBy(() => linesOf(attach, host, '--copy', from)).detail).toEqual([
      `${from}: ${to} is there already, and differs`,
    ]);
    expect(linesOf(attach, host, '--copy', '--replace', '--dry-run', from)).toContain('-remote a');
    expect(host.files.get(to)).toBe(first.get(to));
    linesOf(attach, host, '--copy', '--replace', from);
    expect(host.files.get(to)).toBe(first.get(to)?.replace('remote a', 'remote b'));
    expect(host.list(PROFILES)).toHaveLength(2);
    linesOf(detach, host, to);
    expect(host.files.get(to)).toBe('client\nremote b\n');
  });

  test('--replace of a profile that holds the lines already writes it', () => {
    const [from, to] = ['/home/me/office.ovpn', '/etc/openvpn/client/office.conf'];
    const host = machine({ [from]: 'client\nremote a\n', [to]: 'client\nremote b\n' });
    linesOf(attach, host, from);
    linesOf(attach, host, '--copy', '--replace', from);
    expect(host.files.get(to)).toBe(host.files.get(from));
  });

  test('--replace without --copy is refused', () => {
    const host = machine({ [A]: 'client\n' });
    expect(thrownBy(() => linesOf(attach, host, '--replace', A)).code).toBe('USAGE');
  });

  test('names every problem of every file, and changes none of them', () => {
    const host = machine({ [A]: 'client\n', [B]: 'up "\'/x"\ndown "\'/x"\n' });
    const before = new Map(host.files);
    const error = thrownBy(() => linesOf(attach, host, A, B, '/etc/openvpn/none.conf'));
    expect(error.code).toBe('PROFILE');
    expect(error.detail).toEqual([
      expect.stringMatching(/^\/etc\/openvpn\/b\.conf: the command of up /),
      expect.stringMatching(/^\/etc\/openvpn\/b\.conf: the command of down /),
      '/etc/openvpn/none.conf: there is no such file',
    ]);
    expect(host.files).toEqual(before);
  });

  test('puts back what it has written when a later file cannot be written', () => {
    const host = machine({ [A]: 'client\n', [B]: 'client\n' });
    const rewrite = host.rewrite.bind(host);
    const failing: FakeHost = {
      ...host,
      rewrite: (path, text) => {
        if (path === B) throw new KillswitchError('FILES', 'no room', 'Make room.');
        rewrite(path, text);
      },
    };
    expect(thrownBy(() => linesOf(attach, failing, A, B)).code).toBe('FILES');
    expect([host.files.get(A), host.files.get(B)]).toEqual(['client\n', 'client\n']);
  });

  test('with --dry-run shows the change and writes nothing, without root and before install', () => {
    const host = fakeHost({ files: { [A]: 'client\nremote a\n' }, root: false });
    const before = new Map(host.files);
    const lines = linesOf(attach, host, '--dry-run', A);
    expect(lines).toEqual(
      expect.arrayContaining([
        `--- ${A}`,
        '@@ -1,2 +1,8 @@',
        ' remote a',
        '+script-security 2',
        `+up ${HOOKS}/up`,
      ]),
    );
    expect(lines).toContain(`# ${A}: would be attached`);
    expect(host.files).toEqual(before);
  });

  test('needs root to write', () => {
    expect(thrownBy(() => linesOf(attach, machine({ [A]: '' }, { root: false }), A)).code).toBe(
      'NOT_ROOT',
    );
    expect(thrownBy(() => linesOf(detach, machine({ [A]: '' }, { root: false }), A)).code).toBe(
      'NOT_ROOT',
    );
  });

  test('refuses while no hook is installed: OpenVPN would not start', () => {
    const host = fakeHost({ files: { [A]: 'client\n' } });
    expect(thrownBy(() => linesOf(attach, host, A)).code).toBe('FILES');
    expect(host.files.get(A)).toBe('client\n');
  });

  test('says that a profile is attached already, and warns again', () => {
    const host = machine({ [A]: 'remote a\nuser nobody\n' });
    linesOf(attach, host, A);
    const lines = linesOf(attach, host, A);
    expect(lines).toContain(`${A}: is attached already`);
    expect(lines.join('\n')).toMatch(/warning: OpenVPN becomes nobody/);
  });

  test('needs a file', () => {
    expect(thrownBy(() => linesOf(attach, machine({}))).code).toBe('USAGE');
    expect(thrownBy(() => linesOf(detach, machine({}))).code).toBe('USAGE');
  });
});

describe('detach', () => {
  test('says so where there is nothing of ours', () => {
    const host = machine({ [A]: 'client\n' });
    expect(linesOf(detach, host, A)).toEqual([`${A}: holds no lines of ours`]);
  });

  test('forgets the original that the profile is again, and keeps the others', () => {
    const host = machine({ [A]: 'client\n' });
    linesOf(attach, host, A);
    host.files.set(A, `${host.files.get(A)}verb 4\n`);
    linesOf(detach, host, A);
    expect(host.files.get(A)).toBe('client\nverb 4\n');
    expect(host.list(PROFILES)).toHaveLength(1);
  });

  test('with --dry-run shows the change and writes nothing', () => {
    const host = machine({ [A]: 'client\n' });
    linesOf(attach, host, A);
    const before = new Map(host.files);
    expect(linesOf(detach, host, '--dry-run', A)).toContain(`-up ${HOOKS}/up`);
    expect(host.files).toEqual(before);
  });

  test('refuses lines that begin and end nowhere', () => {
    const host = machine({ [A]: 'client\n' });
    linesOf(attach, host, A);
    host.files.set(A, (host.files.get(A) ?? '').replace(/# <<<.*\n/, ''));
    expect(thrownBy(() => linesOf(detach, host, A)).detail).toEqual([
      expect.stringMatching(/line 2 begins .* remove that line by hand/),
    ]);
  });
});

import { describe, expect, test } from 'vitest';
import { ownSshSession } from '../../../src/machine/own-ssh-session.ts';
import { parseSession, type Session, sessionText } from '../../../src/net/session.ts';
import { keepSshSessions, readSshSessions } from '../../../src/record/ssh-sessions.ts';
import { type FakeHost, fakeHost } from '../../support/fake-host.ts';

const SESSION = '198.51.100.7 50022 203.0.113.5 22';
const HEAD =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
/** The same connection, as the kernel lists it (proc(5), /proc/net/tcp). */
const OPEN = `${HEAD}   0: 057100CB:0016 076433C6:C366 01 00000000:00000000 00:00000000 00000000     0        0 1 1 0 20 4 30 10 -1\n`;

function session(text = SESSION): Session {
  const parsed = parseSession(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

const stat = (pid: number, parent: number) => `${pid} (a (b) c) S ${parent} 1 1 0`;

const LISTENS =
  '   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1 0 20 4 30 10 -1\n';

/**
 * We are 30, started by sudo 20, which took the variable away, from the shell 10 of the session.
 */
function machine(files: Readonly<Record<string, string>> = {}): FakeHost {
  return fakeHost({
    files: {
      '/proc/self/environ': 'SUDO_USER=me\0PATH=/bin\0',
      '/proc/self/stat': stat(30, 20),
      '/proc/20/environ': 'PATH=/bin\0',
      '/proc/20/stat': stat(20, 10),
      '/proc/10/environ': `HOME=/home/me\0SSH_CONNECTION=${SESSION}\0`,
      '/proc/10/stat': stat(10, 9),
      '/proc/9/stat': stat(9, 1),
      '/proc/9/comm': 'sshd-session\n',
      '/proc/9/status': 'Name:\tsshd-session\nUid:\t0\t0\t0\t0\n',
      '/proc/9/fd/4': '',
      '/proc/net/tcp': OPEN + LISTENS,
      ...files,
    },
    links: { '/proc/9/fd/4': '/proc/9/fd/socket:[1]' },
  });
}

describe('the SSH session that a command was started from', () => {
  test('is found through sudo, which takes its variable away', () => {
    expect(ownSshSession(machine())).toEqual({ session: session(), served: true });
  });

  test('counts only when the kernel has that very connection open', () => {
    expect(ownSshSession(machine({ '/proc/net/tcp': HEAD }))).toBeUndefined();
    expect(
      ownSshSession(machine({ '/proc/net/tcp': OPEN.replace(' 01 ', ' 06 ') })),
    ).toBeUndefined();
    expect(
      ownSshSession(machine({ '/proc/net/tcp': OPEN.replace('C366', 'C367') })),
    ).toBeUndefined();
  });

  test.each([
    [
      'IPv4 on a socket of IPv6',
      '0000000000000000FFFF0000057100CB:0016 0000000000000000FFFF0000076433C6:C366',
      SESSION,
    ],
    [
      'IPv6',
      'B80D0120000000000000000005000000:0016 B80D0120000000000000000007000000:C366',
      '2001:db8::7 50022 2001:db8::5 22',
    ],
  ])('is known in the list of IPv6 too: %s', (_name, ends, text) => {
    const line = `${HEAD}   0: ${ends} 01 00000000:00000000 00:00000000 00000000     0        0 1 1\n`;
    const host = machine({
      '/proc/net/tcp': HEAD,
      '/proc/net/tcp6': line,
      '/proc/10/environ': `SSH_CONNECTION=${text}\0`,
    });
    expect(ownSshSession(host)?.session).toEqual(session(text));
  });

  test.each([
    [
      'an account has accepted it',
      { '/proc/net/tcp': OPEN.replace('     0        0 1', '  1000        0 1') + LISTENS },
      undefined,
    ],
    ['nobody listens on its port', { '/proc/net/tcp': OPEN }, false],
    [
      'an account listens on its port',
      { '/proc/net/tcp': OPEN + LISTENS.replace('     0        0 2', '  1000        0 2') },
      false,
    ],
    [
      'another socket is what sshd has open',
      { '/proc/net/tcp': OPEN.replace('0        0 1 1', '0        0 9 1') + LISTENS },
      false,
    ],
    ['an account runs that sshd', { '/proc/9/status': 'Uid:\t1000\t1000\t1000\t1000\n' }, false],
    ['no sshd has it open', { '/proc/9/comm': 'bash\n' }, false],
  ])('may not be kept when %s', (_, files, served) => {
    expect(ownSshSession(machine(files))?.served).toBe(served);
  });

  test('that has ended is not kept when another one comes between the same ends', () => {
    const host = machine();
    keepSshSessions(host, [session()]);
    host.files.set('/proc/net/tcp', OPEN.replace('0        0 1 1', '0        0 9 1') + LISTENS);
    expect(readSshSessions(host)).toEqual([]);
  });

  test('is none where nobody above has one', () => {
    expect(ownSshSession(machine({ '/proc/10/environ': 'HOME=/root\0' }))).toBeUndefined();
  });

  test.each([
    '',
    'x',
    '1.2.3.4 1 5.6.7.8',
    '1.2.3.4 99999 5.6.7.8 22',
    '1.2.3.4 1 ::1 22',
    `${SESSION} 9`,
  ])('is none when the variable says "%s"', (text) => {
    expect(
      ownSshSession(machine({ '/proc/10/environ': `SSH_CONNECTION=${text}\0` })),
    ).toBeUndefined();
  });
});

describe('the sessions that are kept', () => {
  test('are those that are open, and are forgotten when they have ended', () => {
    const host = machine();
    expect(keepSshSessions(host, [session()]).map(sessionText)).toEqual([SESSION]);
    expect(keepSshSessions(host, []).map(sessionText)).toEqual([SESSION]);
    host.files.set('/proc/net/tcp', HEAD);
    expect(keepSshSessions(host, [])).toEqual([]);
    expect(host.exists('/run/ovpn-killswitch/ssh-sessions')).toBe(false);
  });

  test('are none when the file is damaged', () => {
    expect(
      readSshSessions(
        fakeHost({ files: { '/run/ovpn-killswitch/ssh-sessions': '["all of them"]' } }),
      ),
    ).toEqual([]);
  });
});

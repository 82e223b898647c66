import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openSandbox, type Ran, type Sandbox } from '../../src/host/sandbox.ts';
import { sandboxProgram } from '../support/sandbox-program.ts';
import { machineObstacle, must } from './installed-machine.ts';

const USER = 61235;
const ROOM = '/run/room';
const LOCK = '/run/ovpn-killswitch/lock';

type Call = readonly [name: string, ...args: readonly unknown[]];
interface Came {
  readonly value?: unknown;
  readonly thrown?: string;
  readonly code?: string;
  readonly message?: string;
  readonly next?: string;
  readonly detail?: readonly string[];
  readonly seconds: number;
}

let program = '';
let sandbox: Sandbox | undefined;
beforeAll(async () => {
  if (machineObstacle() !== undefined) return;
  program = await sandboxProgram('linux-host-calls');
  sandbox = await openSandbox();
});
afterAll(() => {
  sandbox?.close();
  if (program !== '') rmSync(dirname(program), { recursive: true, force: true });
});

function here(): Sandbox {
  if (sandbox === undefined) throw new Error('there is no sandbox');
  return sandbox;
}
const sh = (script: string): Ran => must(here().run(['sh', '-c', script]));
/** Calls the real host with so many milliseconds in all. */
function calls(list: readonly Call[], milliseconds = 60_000): readonly Came[] {
  return JSON.parse(
    must(here().run([process.execPath, program, String(milliseconds), JSON.stringify(list)]))
      .stdout,
  ) as Came[];
}
const calling = (...call: Call): Came => calls([call])[0] ?? { seconds: 0 };

beforeEach((context) => {
  const why = machineObstacle();
  if (why !== undefined) context.skip(why);
  if (!here().hasOtherUsers) context.skip('there is no other user here');
  sh(
    `umask 022; rm -rf ${ROOM} /run/ovpn-killswitch; mkdir ${ROOM}; printf secret >/run/secret; chmod 600 /run/secret`,
  );
});

describe('the real host, with files', () => {
  test('removes a file that holds what it expects, and loses none that another process writes', async () => {
    sh(`printf old >${ROOM}/a; printf new >${ROOM}/b`);
    const came = calls([
      ['removeIf', `${ROOM}/a`, 'old'],
      ['removeIf', `${ROOM}/b`, 'old'],
      ['removeIf', `${ROOM}/none`, 'old'],
    ]);
    expect(came.map(({ value }) => value)).toEqual([true, false, false]);
    expect(sh(`cd ${ROOM} && ls -A && cat b`).stdout).toBe('b\nnew');
    const files = Array.from({ length: 40 }, (_, n) => `${ROOM}/many/${n}`);
    const process = (list: readonly Call[]) =>
      here().ask([globalThis.process.execPath, program, '60000', JSON.stringify(list)]);
    const removals = files.map((path): Call => ['removeIf', path, 'old']);
    await Promise.all([
      process(
        files.flatMap((path): Call[] => [
          ['write', path, 'old'],
          ['write', path, 'new'],
        ]),
      ),
      process(Array.from({ length: 40 }, () => removals).flat()),
    ]);
    expect(sh(`cd ${ROOM}/many && ls -A | wc -l && cat * | fold -w3 | sort | uniq -c`).stdout).toBe(
      '40\n     40 new\n',
    );
  });

  test('reads what is root’s, and knows a file that is missing from one that cannot be read', () => {
    sh(`printf text >${ROOM}/a; ln -s a ${ROOM}/link; mkdir ${ROOM}/b`);
    const came = calls([
      ['read', `${ROOM}/a`],
      ['read', `${ROOM}/link`],
      ['read', `${ROOM}/none`],
      ['read', `${ROOM}/a/below`],
      ['list', ROOM],
      ['list', `${ROOM}/none`],
      ['place', `${ROOM}/link`],
      ['place', `${ROOM}/none`],
      ['read', `${ROOM}/b`],
    ]);
    expect(came.slice(0, 8).map(({ value }) => value)).toEqual([
      'text',
      'text',
      null,
      null,
      ['a', 'b', 'link'],
      [],
      `${ROOM}/a`,
      null,
    ]);
    expect(came[8]).toMatchObject({ code: 'FILES', message: `could not read ${ROOM}/b` });
  });

  test.each([
    [
      'a file of a user',
      `chown ${USER} $1`,
      `$1 belongs to uid ${USER}, who can change it`,
      'sudo chown root:root $1',
    ],
    [
      'a file that its group may write',
      'chmod 664 $1',
      'non-root users can write to $1 (mode 0664)',
      'sudo chmod go-w $1',
    ],
    [
      'a folder of a user',
      `chown ${USER} ${ROOM}`,
      `${ROOM} belongs to uid ${USER}`,
      `sudo chown root:root ${ROOM}`,
    ],
    [
      'a folder that anybody may write',
      `chmod 777 ${ROOM}`,
      `non-root users can write to ${ROOM} (mode 0777)`,
      `sudo chmod go-w ${ROOM}`,
    ],
    [
      'a folder with the sticky bit',
      `chmod 1777 ${ROOM}`,
      `non-root users can write to ${ROOM} (mode 1777)`,
      '/etc/openvpn/client',
    ],
    [
      'a link of a user',
      `mv $1 ${ROOM}/b; ln -s b $1; chown -h ${USER} $1`,
      `$1 is a symbolic link of uid ${USER}`,
      'sudo rm $1',
    ],
  ])(
    'refuses %s with the path, who may change it, and the command that fixes it, and writes nothing',
    (what, script, message, next) => {
      const path = `${ROOM}/a`;
      const told = (text: string) => text.replaceAll('$1', path);
      sh(told(`printf text >$1; ${script}`));
      const before = sh(`find ${ROOM} -printf '%p %U %m %l\\n' | sort; cat ${ROOM}/*`).stdout;
      const came = calls([
        ['read', path],
        ...(what.startsWith('a folder') ? [['write', path, 'new'] as const] : []),
      ]);
      for (const each of came) {
        expect(each).toMatchObject({ code: 'OWNER' });
        expect(each.message).toContain(told(message));
        expect(each.next).toContain(told(next));
      }
      expect(sh(`find ${ROOM} -printf '%p %U %m %l\\n' | sort; cat ${ROOM}/*`).stdout).toBe(before);
    },
  );

  test.each(['fifo', 'device', 'socket', 'folder', 'large'])(
    'what is a %s is not read, at once',
    (kind) => {
      const make = {
        fifo: 'mkfifo $1',
        device: 'mknod $1 c 5 0',
        socket:
          "perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 1)' $1",
        folder: 'mkdir $1',
        large: 'truncate -s 2M $1',
      }[kind];
      sh(`${make ?? ''}`.replaceAll('$1', `${ROOM}/x`));
      const [came = { seconds: 99 }] = calls([['readUntrusted', `${ROOM}/x`]]);
      expect(came).toMatchObject({ code: 'FILES' });
      expect(came.seconds).toBeLessThan(2);
    },
  );

  test.each(['0', '077'])(
    'makes files and folders with exact owner and mode under umask %s',
    (umask) => {
      const came = calls([
        ['umask', Number.parseInt(umask, 8)],
        ['write', `${ROOM}/new/deep/file`, 'text', 0o640],
      ]);
      expect(came[1]?.code).toBeUndefined();
      expect(
        sh(`stat -c '%u %g %a' ${ROOM}/new ${ROOM}/new/deep ${ROOM}/new/deep/file`).stdout,
      ).toBe('0 0 755\n0 0 755\n0 0 640\n');
    },
  );

  test('keeps the old text where there is no room, and leaves no draft', () => {
    sh(`mount -t tmpfs -o size=16k,mode=755 tmpfs ${ROOM}; printf old >${ROOM}/a`);
    try {
      const came = calling('write', `${ROOM}/a`, 'x'.repeat(60_000));
      expect(came).toMatchObject({ code: 'FILES', message: `could not write ${ROOM}/a` });
      expect(came.detail?.join()).toContain('ENOSPC');
      expect(sh(`ls -A ${ROOM}; cat ${ROOM}/a`).stdout).toBe('a\nold');
    } finally {
      sh(`umount ${ROOM}`);
    }
  });

  test('rewrites a file of a user as that user’s, also behind a mount and behind a link of root, and never through the user’s link', () => {
    sh(
      `printf old >${ROOM}/a; chown ${USER}:${USER} ${ROOM}/a; chmod 600 ${ROOM}/a; ln -s a ${ROOM}/link; printf old >${ROOM}/m; touch ${ROOM}/n`,
    );
    sh(
      `mount --bind ${ROOM}/m ${ROOM}/n; mkdir ${ROOM}/home; ln -s /run/secret ${ROOM}/home/x; chown -hR ${USER} ${ROOM}/home`,
    );
    try {
      const came = calls([
        ['rewrite', `${ROOM}/link`, 'new'],
        ['rewrite', `${ROOM}/n`, 'new'],
        ['rewrite', `${ROOM}/home/x`, 'new'],
        ['remove', `${ROOM}/home`],
      ]);
      expect(came.map(({ code }) => code)).toEqual([undefined, undefined, 'OWNER', undefined]);
      expect(sh(`stat -c '%u %a' ${ROOM}/a; cat ${ROOM}/a ${ROOM}/m /run/secret`).stdout).toBe(
        `${USER} 600\nnewnewsecret`,
      );
      expect(sh(`ls ${ROOM}`).stdout).not.toContain('home');
    } finally {
      sh(`umount ${ROOM}/n`);
    }
  });

  test('tells owner, mode and kind of an entry itself, and follows no link for it', () => {
    sh(
      `touch ${ROOM}/a; chown ${USER} ${ROOM}/a; chmod 4711 ${ROOM}/a; ln -s a ${ROOM}/link; mkfifo ${ROOM}/fifo`,
    );
    const came = calls(
      ['a', 'link', 'fifo', 'none'].map((name) => ['owner', `${ROOM}/${name}`] as const),
    ).map(({ value }) => value);
    expect(came).toEqual([
      { uid: USER, mode: 0o4711, kind: 'file' },
      { uid: 0, mode: 0o777, kind: 'link' },
      { uid: 0, mode: 0o644, kind: 'other' },
      null,
    ]);
  });
});

describe('the real host, with programs', () => {
  test('gives a program a fixed environment and folder, its text as stdin, and a status that is a value', () => {
    const came = calls([
      ['run', { program: 'env', args: [] }],
      ['run', { program: 'sh', args: ['-c', 'pwd; cat; echo told >&2; exit 3'], stdin: 'given' }],
      ['run', { program: 'no-such-program', args: [] }],
    ]).map(
      ({ value }) =>
        value as {
          readonly status: number | null;
          readonly stdout: string;
          readonly stderr: string;
        },
    );
    expect(
      came[0]?.stdout
        .trim()
        .split('\n')
        .map((line) => line.split('=')[0])
        .sort(),
    ).toEqual(['LC_ALL', 'PATH', 'TZ']);
    expect(came[1]).toEqual({ status: 3, stdout: '/\ngiven', stderr: 'told\n' });
    expect(came[2]).toEqual({
      status: null,
      stdout: '',
      stderr: 'no-such-program is not installed',
    });
  });

  test('stops a program at its limit, with what it has started, and says so', () => {
    const [came] = calls([
      ['run', { program: 'sh', args: ['-c', 'echo begun; exec sleep 60'], milliseconds: 500 }],
    ]);
    expect(came?.value).toMatchObject({ status: null, stdout: 'begun\n' });
    expect(came?.value).toMatchObject({
      stderr: expect.stringMatching(/^sh was stopped after \d+ s$/),
    });
    expect(came?.seconds).toBeLessThan(10);
  });

  test('gives up at the deadline of the whole process: a program is cut short, and nothing is started after it', () => {
    const sleep: Call = ['run', { program: 'sleep', args: ['60'] }];
    const [first, second] = calls(
      [sleep, ['run', { program: 'touch', args: [`${ROOM}/late`] }]],
      2000,
    );
    expect(first?.value).toMatchObject({ status: null });
    expect(second).toMatchObject({
      code: 'DEADLINE',
      message: expect.stringMatching(/^test took longer than \d+ s$/),
    });
    expect(sh(`ls ${ROOM}`).stdout).toBe('');
  });

  test('calls what the caller named with the caller’s environment, and gives a status as a shell does', () => {
    const status = (...words: readonly string[]) =>
      calling('callInTurn', words, { ONE: '1' }).value;
    expect(status('/bin/sh', '-c', 'exit $((ONE + 4))')).toEqual({ status: 5 });
    expect(status('/no/such')).toMatchObject({ status: 127 });
    expect(status('/run')).toMatchObject({ status: 126 });
    expect(status('/bin/sh', '-c', 'kill -9 $$')).toEqual({
      status: 137,
      why: 'it was stopped by SIGKILL',
    });
    expect(calling('callInTurn', ['/bin/sh', '-c', `id -u >${ROOM}/id`], {}, 0).value).toEqual({
      status: 0,
    });
    expect(sh(`cat ${ROOM}/id`).stdout).toBe('0\n');
  });

  test('knows whether it may change rules', () => {
    expect(calling('mayChangeRules').value).toBe(true);
    const without = here().run([
      'setpriv',
      '--bounding-set=-net_admin',
      '--inh-caps=-net_admin',
      process.execPath,
      program,
      '9000',
      '[["mayChangeRules"],["uid"]]',
    ]);
    expect((JSON.parse(without.stdout) as Came[]).map(({ value }) => value)).toEqual([false, 0]);
  });
});

describe('the real host, with the lock', () => {
  test('is held by one at a time, and let go with the process that held it, however that ends', async () => {
    const endless = [process.execPath, program, '60000', JSON.stringify([['exclusively', 60_000]])];
    const held = here().start(['timeout', '-s', 'KILL', '20', ...endless]);
    await new Promise((resolve) => held.stderr?.once('data', resolve));
    const [busy] = calls([['exclusively']], 3000);
    expect(busy).toMatchObject({ code: 'BUSY', next: expect.stringContaining(`fuser -v ${LOCK}`) });
    expect(busy?.seconds).toBeLessThan(20);
    await new Promise((resolve) => held.once('close', resolve));
    expect(calling('exclusively')).toMatchObject({ value: 'done' });
    expect(sh(`stat -c '%u %a' ${LOCK}`).stdout).toBe('0 600\n');
  });

  test('waits for another that ends in time', async () => {
    const held = here().start([
      process.execPath,
      program,
      '60000',
      JSON.stringify([['exclusively', 1000]]),
    ]);
    await new Promise((resolve) => held.stderr?.once('data', resolve));
    const came = calling('exclusively');
    expect(came).toMatchObject({ value: 'done' });
  });

  test.each([
    [
      'readable for all',
      `umask 022; mkdir -p /run/ovpn-killswitch; touch ${LOCK}; chmod 644 ${LOCK}`,
    ],
    ['a user’s', `mkdir -p /run/ovpn-killswitch; touch ${LOCK}; chown ${USER} ${LOCK}`],
    ['a link', `mkdir -p /run/ovpn-killswitch; ln -s /run/secret ${LOCK}`],
    ['a FIFO', `mkdir -p /run/ovpn-killswitch; mkfifo ${LOCK}`],
    ['a folder', `mkdir -p ${LOCK}/below`],
    [
      'in a folder that anybody may write',
      `mkdir -p /run/ovpn-killswitch; chmod 777 /run/ovpn-killswitch`,
    ],
  ])('is made anew where it is %s', (_, script) => {
    sh(script);
    expect(calling('exclusively')).toMatchObject({ value: 'done' });
    expect(
      sh(`stat -c '%u %a %F' ${LOCK}; stat -c '%u %a' /run/ovpn-killswitch; cat /run/secret`)
        .stdout,
    ).toBe('0 600 regular empty file\n0 755\nsecret');
  });
});

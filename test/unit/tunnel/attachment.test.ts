import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { markerDamage } from '../../../src/net/marked-block.ts';
import { attach, detach, moveHooks, PULL_FILTERS } from '../../../src/tunnel/attachment.ts';
import { readChainedCall } from '../../../src/tunnel/chained-call.ts';
import { readProfileFacts } from '../../../src/tunnel/profile-facts.ts';
import { options, quoted, words } from '../../../src/tunnel/profile-options.ts';

const FOLDER = '/usr/local/lib/ovpn-killswitch/hooks';
const plain = { folder: FOLDER, harden: false };

function attached(text: string, harden = false): string {
  const result = attach(text, { folder: FOLDER, harden });
  if ('problems' in result) throw new Error(result.problems.join('\n'));
  return result.text;
}

/** The lines that were added, without the markers. */
function added(text: string, harden = false): readonly string[] {
  return attached(text, harden)
    .slice(text.length)
    .split(/\r?\n/)
    .filter((line) => line !== '' && !line.startsWith('#'));
}

const HOOKS = [`up ${FOLDER}/up`, `route-up ${FOLDER}/route-up`, `down ${FOLDER}/down`];

describe('attach writes', () => {
  test.each<readonly [string, string, readonly string[]]>([
    [
      'the four lines into an ordinary profile',
      'client\nremote vpn\n',
      ['script-security 2', ...HOOKS],
    ],
    ['the four lines into an empty file', '', ['script-security 2', ...HOOKS]],
    ['them below a last line without a line break', 'client', ['script-security 2', ...HOOKS]],
    [
      'them with Windows line ends where the profile has them',
      'client\r\n',
      ['script-security 2', ...HOOKS],
    ],
    ['no script-security where it is 2', 'script-security 2\n', HOOKS],
    ['no script-security where it is 3', 'script-security 3\n', HOOKS],
    ['script-security 2 where it is less', 'script-security 0\n', ['script-security 2', ...HOOKS]],
    ['up-restart with persist-tun', 'script-security 2\npersist-tun\n', [...HOOKS, 'up-restart']],
    [
      'what keeps DNS in up where OpenVPN 2.7 is to set it',
      'script-security 2\ndns-updown force\n',
      [...HOOKS, 'setenv opt dns-updown disable'],
    ],
    [
      'the same for a program of its own',
      'script-security 2\nsetenv opt dns-updown /a\n',
      [...HOOKS, 'setenv opt dns-updown disable'],
    ],
    [
      'nothing about DNS where that is off',
      'script-security 2\ndns-updown /a\ndns-updown disable\n',
      HOOKS,
    ],
    ['no up-restart where it is already', 'script-security 2\npersist-tun\nup-restart\n', HOOKS],
    [
      'no up-restart after a change of user',
      'script-security 2\npersist-tun\nuser nobody\n',
      HOOKS,
    ],
    [
      'no up-restart after a change of group',
      'script-security 2\npersist-tun\ngroup nogroup\n',
      HOOKS,
    ],
    [
      'no up-restart and no down into a profile with chroot',
      'script-security 2\npersist-tun\nchroot /srv\n',
      HOOKS.slice(0, 2),
    ],
    [
      'what the profile calls behind its own hooks',
      'script-security 2\nup /etc/openvpn/update-resolv-conf\ndown "/etc/openvpn/update-resolv-conf arg"\n',
      [
        `up "${FOLDER}/up --then /etc/openvpn/update-resolv-conf"`,
        `route-up ${FOLDER}/route-up`,
        `down "${FOLDER}/down --then /etc/openvpn/update-resolv-conf arg"`,
      ],
    ],
    [
      'the last of several, as OpenVPN takes it',
      'script-security 2\nup /a\nup /b\n',
      [`up "${FOLDER}/up --then /b"`, HOOKS[1] ?? '', HOOKS[2] ?? ''],
    ],
    [
      'lines that were written by hand without calling ours twice',
      `script-security 2\n${HOOKS.join('\n')}\n`,
      HOOKS,
    ],
    [
      'a call by hand as it is',
      `script-security 2\nup "${FOLDER}/up --then /a b"\n`,
      [`up "${FOLDER}/up --then /a b"`, HOOKS[1] ?? '', HOOKS[2] ?? ''],
    ],
  ])('%s', (_, text, lines) => {
    expect(added(text)).toEqual(lines);
  });

  test('with --harden the pull-filters that are not there yet', () => {
    const lines = added('script-security 2\npull-filter ignore "verb"\n', true).slice(HOOKS.length);
    expect(lines).toEqual(
      PULL_FILTERS.filter((start) => start !== 'verb').map(
        (start) => `pull-filter ignore "${start}"`,
      ),
    );
  });

  test('Windows line ends only where the profile has them', () => {
    expect(attached('client\r\n').replaceAll('\r\n', '')).not.toMatch(/[\r\n]/);
    expect(attached('client\n')).not.toContain('\r');
  });
});

describe('attach refuses', () => {
  test.each([
    ['a command that cannot be cut into words', 'up "\'/a b"', /up cannot be cut into words/],
    ['a command that is too long', `down "/a ${'b'.repeat(200)}"`, /down is too long/],
    ['a command of too many words', `route-up "/a ${'b '.repeat(14)}"`, /route-up has 15 words/],
    ['a profile that ends in an inline file', 'client\n<ca>\n', /inside an inline file/],
    [
      'a profile that ends in a <connection> block',
      '<connection>\nremote a\n',
      /inside an inline file/,
    ],
  ])('%s', (_, text, why) => {
    const result = attach(text, plain);
    expect('problems' in result && result.problems).toEqual([expect.stringMatching(why)]);
  });

  test('all such commands at once, each with what to do by hand', () => {
    const result = attach('up "\'/a b"\ndown "\'/a b"', plain);
    expect('problems' in result && result.problems).toEqual([
      expect.stringMatching(/^the command of up .* name it in the up line by hand$/),
      expect.stringMatching(/^the command of down .* name it in the down line by hand$/),
    ]);
  });

  test('the longest command that OpenVPN takes is none of them', () => {
    const line =
      added(
        `script-security 2\nup "/a ${'b'.repeat(254 - `up "${FOLDER}/up --then /a "`.length)}"\n`,
      )[0] ?? '';
    expect(Buffer.byteLength(line)).toBe(254);
  });
});

/** Text of a profile: lines that matter, lines that do not, any ends of lines. */
const anyProfile = fc
  .array(
    fc.tuple(
      fc.oneof(
        fc.constantFrom(
          'client',
          'up /a',
          'down "/b c"',
          'script-security 1',
          'persist-tun',
          '<ca>',
          '</ca>',
          '<connection>',
          '',
          '#',
          '"',
          '\r',
        ),
        fc.constantFrom(
          'up-restart',
          'script-security 2',
          `up ${FOLDER}/up`,
          'pull-filter ignore "verb"',
          `route-up "${FOLDER}/route-up --then /c"`,
        ),
        fc.string(),
      ),
      fc.constantFrom('\n', '\n', '\r\n', '', '\r'),
    ),
    { maxLength: 12 },
  )
  .map((lines) => lines.map(([line, end]) => line + end).join(''));

/** Runs a property on profiles that can be attached. */
function withAttached(check: (text: string, result: string) => void): void {
  let tried = 0;
  fc.assert(
    fc.property(anyProfile, fc.boolean(), (text, harden) => {
      const result = attach(text, { folder: FOLDER, harden });
      if ('problems' in result) return;
      tried++;
      check(text, result.text);
    }),
    { numRuns: 2000 },
  );
  expect(tried).toBeGreaterThan(500);
}

describe('detach', () => {
  test('restores every byte', () => {
    withAttached((text, result) => expect(detach(result)).toBe(text));
  });

  test('restores every byte above and below our lines when lines were added below', () => {
    withAttached((text, result) => {
      const joint = text === '' || text.endsWith('\n') ? '' : text.includes('\r\n') ? '\r\n' : '\n';
      expect(detach(`${result}up /mine\nverb 4`)).toBe(`${text}${joint}up /mine\nverb 4`);
    });
  });

  test('leaves a profile alone that holds nothing of ours', () => {
    fc.assert(
      fc.property(fc.oneof(anyProfile, fc.string()), (text) => {
        expect(detach(text)).toBe(text);
      }),
    );
  });

  test('keeps what somebody wrote between our lines', () => {
    const text = attached('client\n').replace('script-security 2\n', 'script-security 2\nverb 4\n');
    expect(detach(text)).toBe('client\nverb 4\n');
  });

  test('finds our lines after an editor has changed all ends of lines', () => {
    expect(detach(attached('client\ndev tun\n').replaceAll('\n', '\r\n'))).toBe(
      'client\r\ndev tun\r\n',
    );
    expect(detach(attached('client\r\ndev tun').replaceAll('\r\n', '\n'))).toBe('client\ndev tun');
  });

  test('finds our lines after the last line break was cut off', () => {
    expect(detach(attached('client\n').slice(0, -1))).toBe('client\n');
  });

  test.each([
    [
      'whose end is missing',
      (text: string) => text.slice(0, text.lastIndexOf('# <<<')),
      /line 2 begins/,
    ],
    ['whose beginning is missing', (text: string) => text.replace(/# >>>.*\n/, ''), /line 6 ends/],
    [
      'that begin twice',
      (text: string) => text.slice(0, text.lastIndexOf('# <<<')) + text,
      /line 2 begins/,
    ],
  ])('touches nothing of lines %s, and attach refuses them', (_, damage, why) => {
    const text = damage(attached('client\n'));
    expect(markerDamage(text)).toMatch(why);
    expect(detach(text)).toBe(text);
    expect('problems' in attach(text, plain)).toBe(true);
  });
});

describe('attaching twice', () => {
  test('is attaching once', () => {
    withAttached((_, result) => {
      const harden = result.includes('pull-filter ignore "bind-dev"');
      expect(attached(result, harden)).toBe(result);
    });
  });

  test('moves our lines below what was added, and calls that in turn', () => {
    const again = attached(`${attached('client\nup /a\n')}up /mine\n`);
    expect(detach(again)).toBe('client\nup /a\nup /mine\n');
    expect(readProfileFacts(again).commands.up).toBe(`${FOLDER}/up --then /mine`);
  });
});

describe('a command that was there', () => {
  test('reaches the hook word for word, with what OpenVPN appends, and is taken from the hook’s own arguments', () => {
    const word = fc.string({ minLength: 1, maxLength: 8 }).filter((text) => !/[\n\0]/.test(text));
    fc.assert(
      fc.property(
        fc.array(word, { minLength: 1, maxLength: 5 }),
        fc.constantFrom('up', 'down', 'route-up'),
        (command, hook) => {
          const line = `${hook} "${command.map(quoted).join(' ').replace(/["\\]/g, '\\$&')}"\n`;
          const appended = hook === 'route-up' ? [] : ['tun0', '1500', '0', '10.8.0.2', '', 'init'];
          const [program, ...argv] = words(readProfileFacts(attached(line)).commands[hook] ?? '');
          expect(program).toBe(`${FOLDER}/${hook}`);
          const call = readChainedCall(hook, { argv: [...argv, ...appended], env: {} });
          expect(call.command).toEqual([...command, ...appended]);
          expect(call.input.argv).toEqual(appended);
        },
      ),
    );
  });

  test.each([
    ['up', ['tun0', '1500', '0', '', '', 'init']],
    ['route-up', []],
    ['down', []],
  ] as const)('is none for %s without --then', (hook, argv) => {
    expect(readChainedCall(hook, { argv, env: {} })).toEqual({
      input: { argv, env: {} },
      command: undefined,
    });
  });

  test('is found by the down-root plugin too, which appends nothing', () => {
    expect(readChainedCall('down', { argv: ['--then', '/a', 'b'], env: {} })).toEqual({
      input: { argv: [], env: {} },
      command: ['/a', 'b'],
    });
  });

  test('is none when --then names nothing', () => {
    const argv = ['--then', 'tun0', '1500', '0', '', '', 'init'];
    expect(readChainedCall('up', { argv, env: {} }).command).toBeUndefined();
    expect(readChainedCall('route-up', { argv: ['--then'], env: {} }).command).toBeUndefined();
  });
});

test('our lines never end up in the middle of an option: every line of ours is an option of its own', () => {
  withAttached((text, result) => {
    const before = [...options(text)].length;
    expect([...options(result)].length).toBeGreaterThanOrEqual(before + 3);
  });
});

describe('moveHooks', () => {
  const [from, to] = ['/usr/local/lib/ovpn-killswitch/hooks', '/usr/lib/ovpn-killswitch/hooks'];

  test('names the hooks of the other folder as attach would, with the commands that they call in turn', () => {
    for (const text of ['client\n', 'client\nup "/etc/own a"\ndown /etc/own', 'a\r\nup /x\r\n']) {
      const [old, now] = [from, to].map((folder) => attach(text, { folder, harden: false }));
      if (old === undefined || now === undefined || !('text' in old) || !('text' in now))
        throw new Error(text);
      expect(moveHooks(old.text, from, to)).toBe(now.text);
    }
  });

  test.each([
    `up ${from}/down`,
    `# up ${from}/up`,
    `up "/etc/own ${from}/up"`,
    'up /usr/local/lib/other/hooks/up',
    `plugin ${from}/up`,
  ])('leaves %s', (line) => {
    expect(moveHooks(`client\n${line}\n`, from, to)).toBe(`client\n${line}\n`);
  });
});

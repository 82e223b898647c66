import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { visibleText } from '../../src/net/visible.ts';
import { CHECKS } from '../../src/view/doctor/checks.ts';
import type { DoctorFacts } from '../../src/view/doctor/facts.ts';

/**
 * `doctor` prints commands to paste. Names of files, units, chains and AppArmor profiles are not
 * always chosen by root: a unit's folder stood in a format of printf, a profile's name from the
 * kernel's log unquoted, and a line break in a name went to the terminal.
 */
const HOSTILE = [
  'plain',
  "it's",
  '$(touch canary)',
  '`touch canary`',
  '; touch canary #',
  '\ntouch canary\n#x',
  "'; touch canary; '",
  '"$(touch canary)"',
  '%s%n%b\\n\\0101',
  '-rf',
  'a b\tc',
  '\u001b]0;x\u0007\u009b31m\u202e\u2028',
  '* ? [a] ~ {a,b} !x',
  '10\n20',
] as const;

interface Called {
  readonly argv: readonly (readonly string[])[];
  readonly stdin: string;
}

/**
 * Runs a command under sh(1), where sudo only writes down what it is given; fails if anything
 * else happened.
 */
function pasted(command: string): Called {
  const folder = mkdtempSync(join(tmpdir(), 'pasted-'));
  try {
    const sudo = join(folder, 'sudo');
    writeFileSync(
      sudo,
      `#!/bin/sh\nprintf '%s\\0' "$@" >>${folder}/argv; printf '\\0' >>${folder}/argv\ntest "$1" != tee || cat >>${folder}/stdin\n`,
    );
    chmodSync(sudo, 0o755);
    for (const name of ['sudoedit', 'touch', 'cat']) {
      if (name !== 'cat')
        writeFileSync(
          join(folder, name),
          name === 'touch' ? `#!/bin/sh\n: >${folder}/canary\n` : readFileSync(sudo),
        );
      if (name !== 'cat') chmodSync(join(folder, name), 0o755);
    }
    const { status } = spawnSync('sh', ['-c', command], {
      cwd: folder,
      env: { PATH: `${folder}:/usr/bin:/bin` },
    });
    expect(existsSync(join(folder, 'canary')), command).toBe(false);
    expect(status, command).toBe(0);
    const text = (name: string) =>
      existsSync(join(folder, name)) ? readFileSync(join(folder, name), 'utf8') : '';
    const argv = text('argv')
      .split('\0\0')
      .slice(0, -1)
      .map((call) => call.split('\0'));
    return { argv, stdin: text('stdin') };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function fixes(title: RegExp, world: Partial<DoctorFacts>): readonly string[] {
  const check = CHECKS.find((each) => title.test(each.title));
  if (check === undefined) throw new Error(`no check has a title like ${title}`);
  // A check looks at nothing but what it is given here.
  return check.find(world as DoctorFacts).map(({ fix }) => fix);
}

describe.each(HOSTILE)('a command printed for the name %j', (name) => {
  const path = `/etc/openvpn/client/${name}.conf`;
  const printed: readonly (readonly [string, readonly string[], RegExp | string])[] = [
    [
      'a file of somebody else',
      fixes(/files that root runs/, { guarded: [{ path, uid: 1000, mode: 0o644, kind: 'file' }] }),
      path,
    ],
    [
      'a file that others can write',
      fixes(/files that root runs/, { guarded: [{ path, uid: 0, mode: 0o666, kind: 'file' }] }),
      path,
    ],
    [
      'a profile without hooks',
      fixes(/calls the hooks/, { profiles: [{ path, text: 'client\n' }] }),
      path,
    ],
    [
      'a unit with few tasks',
      fixes(/service lets the hooks/, {
        units: [
          {
            name: `openvpn@${name}.service`,
            tasks: 1,
            processes: undefined,
            refusesCompilers: true,
            account: undefined,
            readOnly: [`/${name}`],
          },
        ],
      }),
      `/etc/systemd/system/openvpn@${name}.service.d`,
    ],
    [
      'a denial of AppArmor',
      fixes(/AppArmor/, { denials: [`apparmor="DENIED" profile="/${name.replaceAll('"', '')}"`] }),
      `/etc/apparmor.d/local/${name.replaceAll('"', '')}`.replaceAll('\n', '\n'),
    ],
    [
      'a chain',
      fixes(/second kill switch/, { neighbours: [], otherDrops: [`inet ${name} ${name}`] }),
      /./,
    ],
    [
      'a warning about a profile',
      fixes(/no option in a profile/, {
        profiles: [
          {
            path,
            text: `client\nremote a.test\nremote-random-hostname\nchroot "${name.replaceAll('"', '')}"\nuser ${name}\n`,
          },
        ],
      }),
      path,
    ],
  ];

  test.each(printed)('%s: runs on that name alone', (what, commands, word) => {
    expect(
      what === 'a denial of AppArmor' && name.includes('\n') ? 1 : commands.length,
    ).toBeGreaterThan(0);
    for (const command of commands) {
      expect(command).toBe(visibleText(command).replaceAll(/[\n\t]/g, ''));
      const { argv } = pasted(command);
      if (typeof word === 'string' && !(what === 'a denial of AppArmor' && word.includes('\n')))
        expect(
          argv.flat().some((each) => each === word || each.startsWith(`${word}/`)),
          command,
        ).toBe(true);
    }
  });
});

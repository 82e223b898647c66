import { describe, expect, test } from 'vitest';
import { PACKAGE_MARKER, refuseOtherInstallation } from '../../../src/cli/other-installation.ts';
import { KillswitchError } from '../../../src/errors.ts';
import type { Prefix } from '../../../src/host/paths.ts';
import { fakeHost } from '../../support/fake-host.ts';

const PACKAGE = { [PACKAGE_MARKER]: 'deb\n' };
const SOURCE = { '/usr/local/lib/ovpn-killswitch/cli.js': '' };

/** The message of an installation before it changes anything; undefined when it goes on. */
function refusal(
  files: Readonly<Record<string, string>>,
  prefix: Prefix,
  from: string,
): string | undefined {
  const host = fakeHost({ files });
  try {
    refuseOtherInstallation(host, prefix, from);
    return undefined;
  } catch (thrown) {
    expect(host.commands).toEqual([]);
    return thrown instanceof KillswitchError ? `${thrown.message} ${thrown.next}` : 'a bug';
  }
}

describe('an installation', () => {
  test('from source beside a package is refused, with the command that removes the package', () => {
    expect(refusal(PACKAGE, '/usr/local', '/root/clone/dist')).toContain(
      'sudo apt remove ovpn-killswitch',
    );
  });

  test('over a package by another copy for /usr is refused too', () => {
    expect(refusal(PACKAGE, '/usr', '/root/clone/out')).toContain('upgrade it as a package');
  });

  test('from a build for /usr beside one from source is refused, with the command that uninstalls it', () => {
    expect(refusal(SOURCE, '/usr', '/root/clone/out')).toContain(
      'sudo /usr/local/sbin/ovpn-killswitch uninstall',
    );
  });

  test.each([
    ['the first one', {}, '/usr/local', '/root/clone/dist'],
    ['over itself', SOURCE, '/usr/local', '/usr/local/lib/ovpn-killswitch'],
    ["a package's own", PACKAGE, '/usr', '/usr/lib/ovpn-killswitch'],
    [
      "a package's own, which takes one from source over",
      { ...PACKAGE, ...SOURCE },
      '/usr',
      '/usr/lib/ovpn-killswitch',
    ],
  ] as const)('goes on where it is %s', (_, files, prefix, from) => {
    expect(refusal(files, prefix, from)).toBeUndefined();
  });
});

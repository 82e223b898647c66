import { describe, expect, test } from 'vitest';
import { readBoot } from '../../src/boot/boot-report.ts';
import { enableBoot } from '../../src/boot/enable.ts';
import { renewServices } from '../../src/cli/renew-services.ts';
import { enableWatch } from '../../src/cli/watch-enable.ts';
import { PATHS } from '../../src/host/paths.ts';
import { sealed } from '../../src/record/base-texts.ts';
import { SERVICE_FILES } from '../../src/watch/service.ts';
import { type FakeHost, type FakeMachine, fakeHost } from '../support/fake-host.ts';

/**
 * After an upgrade whose units differ, `status` found fault with those of the older version until
 * somebody ran "boot enable" again.
 */

const LOCKED = JSON.stringify({
  locked: true,
  since: 1,
  backend: 'nftables',
  before: [],
  made: [],
});
const FILES = {
  [`${PATHS.library}/boot`]: '',
  [`${PATHS.library}/recover`]: '',
  [`${PATHS.state}/lock.json`]: LOCKED,
  [`${PATHS.state}/base.nft`]: sealed('table inet ovpn_killswitch\n'),
};
const MACHINES: Readonly<Record<'systemd' | 'openrc', FakeMachine>> = {
  systemd: { files: { ...FILES, '/run/systemd/system/x': '' }, programs: ['systemctl'] },
  openrc: {
    files: { ...FILES, '/run/openrc/softlevel': '', '/etc/debian_version': '12' },
    programs: ['rc-update', 'rc-service'],
  },
};

function renew(host: FakeHost): { readonly failed: readonly string[]; readonly said: string } {
  const said: string[] = [];
  const failed = renewServices(host, (line) => said.push(line));
  return { failed, said: said.join('\n') };
}

/** Files outside our own state, as another version wrote them. */
function age(host: FakeHost): ReadonlyMap<string, string> {
  const units = new Map(
    [...host.files].filter(
      ([path]) => /^\/(etc|usr\/share)\//.test(path) && /killswitch/.test(path),
    ),
  );
  for (const [path, text] of units) host.files.set(path, `${text}# of another version\n`);
  return units;
}

describe.each(['systemd', 'openrc'] as const)('with %s', (init) => {
  test('the files of "boot enable" and "watch enable" are written again, and nothing is where they are right', () => {
    const host = fakeHost(MACHINES[init]);
    enableBoot(host, init);
    enableWatch(host);
    const units = age(host);
    expect(units.size).toBeGreaterThan(1);
    expect(readBoot(host).problems.join()).toContain('is not what it should be');
    const { failed, said } = renew(host);
    expect(failed).toEqual([]);
    expect(said).toMatch(/"boot enable".*\n.*"watch enable"/);
    for (const [path, text] of units) expect(host.files.get(path), path).toBe(text);
    expect(readBoot(host).problems.join()).not.toContain('is not what it should be');
    const commands = host.commands.length;
    expect(renew(host)).toEqual({ failed: [], said: '' });
    expect(host.commands.length).toBe(commands);
  });

  test('nothing is enabled that was not', () => {
    const host = fakeHost(MACHINES[init]);
    const before = new Map(host.files);
    expect(renew(host)).toEqual({ failed: [], said: '' });
    expect(host.files).toEqual(before);
    enableBoot(host, init);
    age(host);
    renew(host);
    expect(SERVICE_FILES.filter((path) => host.files.has(path))).toEqual([]);
  });
});

test('each service whose manager fails is named', () => {
  let fails = false;
  const host = fakeHost({
    ...MACHINES.systemd,
    answer: ({ program }) =>
      fails && program === 'systemctl' ? { status: 1, stderr: 'no bus' } : {},
  });
  enableBoot(host, 'systemd');
  enableWatch(host);
  age(host);
  fails = true;
  expect(renew(host).failed).toEqual([
    'boot enable: systemctl daemon-reload failed: no bus',
    'watch enable: systemctl daemon-reload failed: no bus',
  ]);
});

import { describe, expect, test } from 'vitest';
import { readBoot } from '../../src/boot/boot-report.ts';
import { enableBoot } from '../../src/boot/enable.ts';
import { renewServices } from '../../src/cli/renew-services.ts';
import { enableWatch } from '../../src/cli/watch-enable.ts';
import { PATHS } from '../../src/host/paths.ts';
import { sealed } from '../../src/record/base-texts.ts';
import { installedProgram } from '../../src/watch/installed-program.ts';
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

describe.each(['systemd', 'openrc'] as const)('a watch that runs under %s', (init) => {
  const PROGRAM = `${PATHS.library}/cli.js`;
  const NODE = '/usr/bin/node';
  const RESTART = {
    systemd: 'systemctl restart ovpn-killswitch-watch.service',
    openrc: 'rc-service ovpn-killswitch-watch restart',
  } as const;
  /** A machine whose watcher runs the program that is installed now. */
  function watching({ isService = true } = {}) {
    const files = {
      ...MACHINES[init].files,
      [PROGRAM]: `#!/usr/bin/env -S -u NODE_OPTIONS ${NODE} --v8-pool-size=0\n1`,
      '/proc/77/stat': `77 (node) S ${Array.from({ length: 18 }, () => '0').join(' ')} 4711`,
    };
    const node = { stat: '100 1' };
    const host = fakeHost({
      ...MACHINES[init],
      files,
      answer: ({ program, args }) => {
        if (program !== 'stat') return isService ? {} : { status: 3 };
        expect(args.at(-1)).toBe(NODE);
        return { stdout: node.stat };
      },
    });
    if (isService) enableWatch(host);
    const watcher = { version: 1, pid: 77, start: '4711', program: installedProgram(host) };
    host.files.set(PATHS.watch, JSON.stringify(watcher));
    const restarts = () =>
      host.commands.filter(({ program, args }) => [program, ...args].join(' ') === RESTART[init])
        .length;
    return { host, node, restarts };
  }

  test.each([
    [
      'its program was replaced',
      1,
      ({ host }) => host.files.set(PROGRAM, '#!/usr/bin/node --x\n2'),
    ],
    ['its Node was replaced', 1, ({ node }) => Object.assign(node, { stat: '100 2' })],
    [
      'it runs a version that kept no program',
      1,
      ({ host }) => host.files.set(PATHS.watch, '{"version":1,"pid":77,"start":"4711"}'),
    ],
    ['nothing was replaced', 0, () => undefined],
    [
      'it has ended',
      0,
      ({ host }) => {
        host.files.delete('/proc/77/stat');
        host.files.set(PROGRAM, '#!/usr/bin/node --x\n2');
      },
    ],
  ] as readonly (readonly [string, number, (it: ReturnType<typeof watching>) => unknown])[])(
    'is restarted only where it runs what is not installed any more: %s',
    (_, times, upgrade) => {
      const it = watching();
      const before = it.restarts();
      upgrade(it);
      expect(renew(it.host).failed).toEqual([]);
      expect(it.restarts() - before).toBe(times);
    },
  );

  test('is named where no service of ours runs it', () => {
    const { host, restarts } = watching({ isService: false });
    host.files.set(PROGRAM, '#!/usr/bin/node --x\n2');
    expect(renew(host).failed.join()).toContain('process 77 runs the previous program');
    expect(restarts()).toBe(0);
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

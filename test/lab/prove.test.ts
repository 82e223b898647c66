import { beforeEach, describe, expect, test } from 'vitest';
import { PATHS } from '../../src/host/paths.ts';
import { LAN } from '../../src/proof/addresses.ts';
import { missingRequirements } from '../../src/proof/missing-requirements.ts';
import { leaksOf, playStories } from '../../src/proof/play-stories.ts';
import { ACTS } from '../../src/proof/story.ts';
import { patiently, waitUntil } from '../../src/proof/wait-until.ts';
import { withWorlds } from '../../src/proof/worlds.ts';
import { DIST } from '../e2e/stage.ts';
import { machineWith } from '../support/machine.ts';
import { installProduct } from '../support/product.ts';

const LONG = { milliseconds: patiently(110_000) };

describe('the installed prove', () => {
  const machine = machineWith('nftables', (sandbox) => void installProduct(sandbox));
  beforeEach((context) => {
    const obstacle = missingRequirements();
    if (obstacle !== undefined) context.skip(obstacle);
  });

  /** The things that a proof must not touch: rules, interfaces, names of namespaces, mounts. */
  const LOOK = 'nft list ruleset; iptables-save; ip -o link; ip netns; cat /proc/mounts';
  /** How many processes there are, but those that only wait to be reaped. */
  const PROCESSES = 'grep -l . /proc/[0-9]*/cmdline | wc -l';

  test('plays every fault with both backends, for root and for a user at the same time, and leaves nothing behind', async (context) => {
    const sandbox = machine.sandbox(context);
    const processes = () => Number(sandbox.run(['sh', '-c', PROCESSES]).stdout);
    const before = sandbox.run(['sh', '-c', LOOK]).stdout;
    const running = processes();
    const users = [
      [],
      ...(sandbox.hasOtherUsers
        ? [['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']]
        : []),
    ];
    for (const { status, stdout, stderr } of await Promise.all(
      users.map((as) => sandbox.ask([...as, PATHS.command, 'prove'], LONG)),
    )) {
      expect(stderr).toBe('');
      for (const { title } of ACTS)
        expect(stdout).toMatch(
          new RegExp(
            `^ *\\d+ s {2}${title.replace(/[()]/g, '.')} +0 of [\\d,]+(, 6/6)? +0 of [\\d,]+(, 6/6)?$`,
            'm',
          ),
        );
      expect(stdout).toMatch(/since then [\d,]{4,} packets of the VPN itself\./);
      expect(stdout).toMatch(/\n0 of \d{2,3},\d{3} probes left in clear\n$/);
      expect(status).toBe(0);
    }
    expect(sandbox.run(['sh', '-c', LOOK]).stdout).toBe(before);
    // Processes of the installation may still have been ending when it was counted.
    await waitUntil('the end of all processes of a proof', () => processes() <= running);
  });

  test('ends with everything it has started when it is interrupted', async (context) => {
    const sandbox = machine.sandbox(context);
    const count = () => Number(sandbox.run(['sh', '-c', PROCESSES]).stdout);
    const before = count();
    const running = sandbox.start([PATHS.command, 'prove']);
    let said = '';
    running.stdout?.on('data', (chunk) => {
      said += String(chunk);
    });
    const ended = new Promise((resolve) => running.once('close', resolve));
    await waitUntil('the first fault', () => said.includes('not connected yet'), 30_000);
    expect(count()).toBeGreaterThan(before + 10);
    sandbox.run([
      'sh',
      '-c',
      `for each in $(grep -lz "^prove$" /proc/[0-9]*/cmdline); do kill -INT "$(echo "$each" | cut -d/ -f3)"; done`,
    ]);
    await ended;
    await waitUntil('the end of all of it', () => count() <= before);
  });

  test('names what is missing, and does nothing', (context) => {
    const sandbox = machine.sandbox(context);
    const { status, stderr } = sandbox.run([
      'sh',
      '-c',
      `mount -t tmpfs tmpfs /usr/sbin; ${PATHS.command} prove; said=$?; umount /usr/sbin; exit $said`,
    ]);
    expect(stderr).toContain('not installed: openvpn');
    expect(stderr).toContain('[NO_PROOF]');
    expect(status).toBe(69);
  });
});

test('a hole in the rules is seen in the story', async (context) => {
  const obstacle = missingRequirements();
  if (obstacle !== undefined) context.skip(obstacle);
  const [played] = await withWorlds((onWorld) =>
    playStories(
      [
        {
          dist: DIST,
          acts: ACTS.slice(0, 1),
          settings: `KILLSWITCH_BACKEND=nftables\nKILLSWITCH_LAN_DNS=${LAN.router4}\n`,
          onWorld,
        },
      ],
      () => undefined,
    ),
  );
  expect(
    played &&
      leaksOf(played)
        .map((leak) => leak.replace(/: [\d,]+$/, ''))
        .sort(),
  ).toEqual([
    'not connected yet: lan-dns-tcp',
    'not connected yet: lan-dns4',
    'not connected yet: lan-encrypted-dns',
  ]);
});

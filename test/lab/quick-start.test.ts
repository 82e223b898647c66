import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import { INTERNET, NODE, VPN } from '../../src/proof/addresses.ts';
import { PUSHED_TIMERS } from '../../src/proof/openvpn.ts';
import { patiently, waitUntil } from '../../src/proof/wait-until.ts';
import { DIST } from '../e2e/stage.ts';
import { type Booted, bootMachine, bootObstacle } from '../support/booted.ts';
import { PATIENT } from './open-lab.ts';

/** The commands of a chapter of README, as they stand there. */
function commands(heading: string): readonly string[] {
  const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');
  const [, chapter = ''] = readme.split(`\n## ${heading}\n`);
  const [text = ''] = chapter.split('\n## ');
  const lines = [...text.matchAll(/^ {4}(\S.*)$/gm)].map(([, line = '']) => line);
  expect(lines.length).toBeGreaterThan(1);
  return lines;
}

/** These machines have no sudo, and their only user is root. */
const PREPARE = `
printf '#!/bin/sh\\nexec "$@"\\n' >/usr/local/bin/sudo
chmod 755 /usr/local/bin/sudo
echo nameserver ${INTERNET.resolver4} >/etc/resolv.conf
`;

const PATH = `${dirname(NODE)}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;

interface Kind {
  readonly root: string;
  readonly chapter: string;
  /** Where the reader has put the profile, and what imports it from there. */
  readonly profile: string;
  readonly prepared: readonly string[];
  /** The reader's part besides the commands: a click. */
  readonly click: string;
}

const SERVER = {
  chapter: 'Quick start: a server',
  profile: '/etc/openvpn/client/my-vpn.conf',
  prepared: [],
  click: 'true',
};
const DESKTOP = {
  chapter: 'Quick start: a desktop with NetworkManager',
  profile: '/root/My VPN.ovpn',
  prepared: ['nmcli connection import type openvpn file "/root/My VPN.ovpn"'],
  click: 'nmcli --wait 60 connection up "My VPN"',
};

const KINDS: readonly Kind[] = [
  { root: 'systemd-12', ...SERVER },
  { root: 'systemd-13', ...SERVER },
  { root: 'networkmanager-12', ...DESKTOP },
  { root: 'networkmanager-13', ...DESKTOP },
];

async function open({ root, profile }: Kind): Promise<Booted> {
  const machine = await bootMachine({ root, prepare: PREPARE });
  try {
    const pushes = [
      ...PUSHED_TIMERS,
      'redirect-gateway def1',
      `dhcp-option DNS ${VPN.resolver4}`,
      PATIENT,
    ];
    await machine.world.startServer({ pushes, more: [PATIENT] });
    await machine.writeProfile('/run/profile', false, undefined, { more: [PATIENT] });
    await machine.sh(`mkdir -p "${dirname(profile)}"; mv /run/profile "${profile}"`);
    return machine;
  } catch (thrown) {
    await machine.close();
    throw thrown;
  }
}

/** One story: each test goes on from the one before. */
describe.each(KINDS)('on $root, booted for real, README’s "$chapter"', (kind) => {
  let obstacle: string | undefined;
  let machine: Booted | undefined;
  beforeAll(async () => {
    obstacle = bootObstacle(kind);
    if (obstacle === undefined) machine = await open(kind);
  });
  afterAll(() => machine?.close());
  const on = (context: TestContext): Booted => {
    if (obstacle !== undefined) context.skip(obstacle);
    if (machine === undefined) throw new Error('the machine was not booted');
    return machine;
  };
  const run = async (it: Booted, line: string) => {
    const { status, stdout, stderr } = await it.ask(
      ['sh', '-c', `export HOME=/root PATH=${PATH}; cd ${DIST}/..; ${line}`],
      { milliseconds: patiently(60_000) },
    );
    expect([line, status], `${stdout}${stderr}`).toEqual([line, 0]);
    return stdout;
  };
  const statusOf = async (it: Booted) =>
    JSON.parse((await it.ask(['ovpn-killswitch', 'status', '--json'])).stdout);
  const connected = async (it: Booted) => {
    let said: unknown;
    await waitUntil(
      () => `the tunnel: ${JSON.stringify(said)}`,
      async () => {
        said = await statusOf(it);
        return (await statusOf(it)).state === 'connected';
      },
      60_000,
    );
    expect(await statusOf(it)).toMatchObject({ exact: true, until: null });
  };

  test('ends connected and locked, each command with status 0', async (context) => {
    const it = on(context);
    for (const line of kind.prepared) await run(it, line);
    // The lines before it need a registry: the product is built already.
    const [install = ''] = commands('Install').slice(-1);
    for (const line of [install, ...commands(kind.chapter)]) await run(it, line);
    await run(it, kind.click);
    await connected(it);
  });

  test('passes what README checks it with', async (context) => {
    const it = on(context);
    for (const line of commands('Check it')) await run(it, line);
  });

  test('boots locked', async (context) => {
    const it = on(context);
    await it.reboot();
    expect(await it.failedUnits()).toEqual([]);
    if (kind.click !== 'true') expect((await statusOf(it)).state).toBe('blocked');
    await run(it, kind.click);
    await connected(it);
  });

  test('lets its reader get out again', async (context) => {
    const it = on(context);
    for (const line of commands('Get out')) {
      await run(it, line);
      expect((await statusOf(it)).state).toBe('unlocked');
    }
  });
});

import { describe, expect, test } from 'vitest';
import type { Ran } from '../../src/host/sandbox.ts';
import { patiently } from '../../src/proof/wait-until.ts';
import { tunnelCall } from './captures.ts';
import { type Call, LOG, type LogLine, must, ran, useMachine } from './installed-machine.ts';
import { hideHere, undoAll } from './obstacles.ts';

const LOCKABLE = ['KILLSWITCH_BACKEND=nftables', 'KILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp'];
const machine = useMachine();

/** The lines written to the log file while something ran. */
function logged(work: () => Ran): { readonly ended: Ran; readonly entries: readonly LogLine[] } {
  const since = machine().logMark();
  const ended = work();
  return { ended, entries: since() };
}

describe('the line on stderr bears the same word as the entry of the log file', () => {
  const expectSame = ({ ended, entries }: ReturnType<typeof logged>) => {
    expect(entries.length, ran(ended)).toBeGreaterThan(0);
    expect(ended.stderr).toBe(
      entries
        .map(({ name, event, msg }) => `ovpn-killswitch: ${name}: ${event}: ${msg}\n`)
        .join(''),
    );
  };

  test('when a hook does its work', () => {
    machine().relock(...LOCKABLE);
    expectSame(logged(() => machine().hook('up', tunnelCall('tun0'))));
  });

  test('when a value is refused, and the entry says which, and why', () => {
    machine().relock(...LOCKABLE);
    const all = logged(() =>
      machine().hook('up', tunnelCall('tun0', { trusted_ip: '1.2.3; reboot' })),
    );
    expectSame(all);
    expect(all.entries).toContainEqual(
      expect.objectContaining({
        level: 40,
        event: 'value-refused',
        refused: [
          {
            variable: 'trusted_ip',
            value: '1.2.3; reboot 1194',
            why: 'not the address and port of a host',
          },
        ],
        count: 1,
      }),
    );
  });

  test('when a hook fails, and the entry has the code of the error', () => {
    machine().relock(...LOCKABLE);
    machine().settings('KILLSWITCH_LAN=everything');
    const all = logged(() => machine().hook('up', tunnelCall('tun0')));
    expectSame(all);
    expect(all.entries.at(-1)).toMatchObject({ event: 'failed', code: 'SETTINGS' });
  });
});

describe('no secret is written', () => {
  const SECRET = 'correct-horse-battery';
  /**
   * Variables that OpenVPN gives a script with script-security 3 or passes on, or that a service
   * may have in its environment.
   */
  const SECRETS: Readonly<Record<string, string>> = {
    password: SECRET,
    username: `me-${SECRET}`,
    auth_token: SECRET,
    session_id: SECRET,
    http_proxy: `http://me:${SECRET}@192.0.2.1:3128`,
    OPENVPN_PASSPHRASE: SECRET,
    UV_TOKEN: SECRET,
    AWS_SECRET_ACCESS_KEY: SECRET,
  };
  const call = tunnelCall('tun0', SECRETS);
  const everythingSaid = ({ ended, entries }: ReturnType<typeof logged>) =>
    `${ran(ended)}${JSON.stringify(entries)}`;
  const kept = () =>
    machine().sh(`grep -rl ${SECRET} /var/lib/ovpn-killswitch /run/ovpn-killswitch ${LOG}`).stdout;

  test.each<readonly [string, () => Ran, RegExp]>([
    ['when all is well', () => machine().hook('up', call), /"event":"applied"/],
    [
      'when a value is refused',
      () => machine().hook('up', tunnelCall('tun0', { ...SECRETS, trusted_ip: 'x' })),
      /"event":"value-refused"/,
    ],
    [
      'when the device cannot be read',
      () => machine().hook('up', tunnelCall('tun 0', SECRETS)),
      /"code":"ENVIRONMENT"/,
    ],
    [
      'when the tool of the rules is not there',
      () => {
        hideHere(machine(), 'nft');
        return machine().hook('up', tunnelCall('tun9', SECRETS));
      },
      /"event":"failed"/,
    ],
    [
      'when the settings hold one under a key that is none',
      () => {
        machine().settings(`VPN_PASSWORD=${SECRET}`);
        return machine().hook('up', call);
      },
      /VPN_PASSWORD/,
    ],
    [
      'when what the profile calls in turn has one among its words and fails',
      () => {
        const chained: Call = {
          ...call,
          argv: ['--then', '/bin/false', `--password=${SECRET}`, ...call.argv],
        };
        return machine().hook('up', chained);
      },
      /"event":"chained-failed"/,
    ],
  ])('%s', (_, work, said) => {
    machine().relock(...LOCKABLE);
    try {
      const all = logged(work);
      expect(everythingSaid(all)).toMatch(said);
      expect(everythingSaid(all)).not.toContain(SECRET);
      expect(kept()).toBe('');
    } finally {
      undoAll(machine());
    }
  });

  test('and a search for one finds it where it is', () => {
    machine().write('/run/ovpn-killswitch/here', SECRET);
    expect(kept()).toBe('/run/ovpn-killswitch/here\n');
    must(machine().run('rm', '/run/ovpn-killswitch/here'));
  });
});

test('a log that is emptied while watch runs goes on at its beginning', async () => {
  const it = machine();
  it.relock(...LOCKABLE);
  must(it.sh(`: >${LOG}`));
  // It ends with the sandbox.
  it.sandbox.start(['/usr/local/sbin/ovpn-killswitch', 'watch']);
  const events = () =>
    it
      .read(LOG)
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => (JSON.parse(line) as LogLine).event);
  await expect.poll(events, { timeout: patiently(20_000) }).toContain('watching');
  must(it.sh(`: >${LOG}; nft flush chain inet ovpn_killswitch postrouting`));
  await expect.poll(events, { timeout: patiently(20_000) }).toEqual(['restored']);
});

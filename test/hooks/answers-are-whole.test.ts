import { describe, expect, test } from 'vitest';
import type { Answer } from '../../src/cli/answer-schema.ts';
import { expectWhole, HELD, heldIn, parsedAnswer, whats } from '../support/json-answers.ts';
import { keepConnection } from './dispatch.ts';
import {
  BACKENDS,
  BUILT_COMMAND,
  LIBRARY,
  type Machine,
  must,
  STATE,
  useMachine,
} from './installed-machine.ts';

const PROFILE = '/etc/openvpn/client/office.conf';
const TEXT = 'client\ndev tun\nproto udp\nremote 203.0.113.10 1194\n';
const CONNECTION = '33333333-3333-4333-8333-333333333333';
const RECORD = `${STATE}/lock.json`;

/** A gateway for a portal. */
const UPLINK = `
ip link add up0 type veth peer name up1; ip link set up0 up; ip link set up1 up
ip addr add 192.168.77.2/24 dev up0; ip route add default via 192.168.77.1
rm -f /etc/resolv.conf; echo 'nameserver 192.168.77.1' >/etc/resolv.conf`;

/** The command that a timer runs. Where it is away, the tests alone call "due". */
const TIMED = '/usr/local/sbin/ovpn-killswitch';
const SECONDS = 2;

/** As nmcli(1) answers, with the priorities of the one connection in a file. */
const NMCLI = `#!/bin/sh
case $* in
  *'connection show uuid '*) cat /var/priorities ;;
  'connection modify uuid '*) printf '%s\\n%s\\n' "$6" "$8" >/var/priorities ;;
  *) exit 2 ;;
esac
`;

/** One story: each test goes on from the one before. */
describe.each(BACKENDS)('with %s', (backend) => {
  const machine = useMachine((fresh) => {
    fresh.settings(`KILLSWITCH_BACKEND=${backend}`);
    fresh.write(PROFILE, TEXT);
    must(fresh.sh(UPLINK));
    fresh.write('/etc/NetworkManager/NetworkManager.conf', '');
    must(fresh.run(process.execPath, BUILT_COMMAND, 'install', '--networkmanager'));
  });
  const held = (it: Machine) => heldIn(must(it.sh(HELD)).stdout);

  /** Runs a command. Its answer must name the files and rules that really differ after it. */
  function whole(it: Machine, ...argv: readonly string[]): Answer {
    const before = held(it);
    const answer = parsedAnswer(it.run(...argv, '--json'));
    expectWhole(answer, before, held(it));
    return answer;
  }
  const command = (it: Machine, ...args: readonly string[]) =>
    whole(it, `${LIBRARY}/cli.js`, ...args);
  /** Calls twice: the first call changes something, the second one nothing. */
  function twice(it: Machine, ...args: readonly string[]): readonly [Answer, Answer] {
    const first = command(it, ...args);
    expect([first.error, first.exit, first.changed]).toEqual([null, 0, true]);
    const second = command(it, ...args);
    expect([second.error, second.changes]).toEqual([null, []]);
    return [first, second];
  }

  test('attach, lock and boot enable name each file and rule that differs, and then none', () => {
    const it = machine();
    twice(it, 'attach', PROFILE);
    twice(it, 'lock');
    twice(it, 'boot', 'enable', '--with', 'systemd');
  });

  test('a dry run plans a copy once, as a file to be added', () => {
    const it = machine();
    it.write('/var/mine.ovpn', TEXT);
    const { changes, planned } = command(it, 'attach', '--dry-run', '--copy', '/var/mine.ovpn');
    const copy = { kind: 'file', what: '/etc/openvpn/client/mine.conf', how: 'added' };
    expect([changes, planned]).toEqual([[], [copy]]);
  });

  test('portal changes rules and the record each time, due neither of them before its time, and portal --close both once', () => {
    const it = machine();
    for (const _ of ['opened', 'replaced']) {
      const { changes, error, state } = command(it, 'portal', '--user', '65534');
      expect([error, whats(changes, 'file'), state?.state]).toEqual([null, [RECORD], 'portal']);
      expect(whats(changes, 'rules')).not.toEqual([]);
    }
    expect(command(it, 'due').changes).toEqual([]);
    const closed = command(it, 'portal', '--close');
    expect([closed.exit, closed.state?.state]).toEqual([0, 'blocked']);
    expect(whats(closed.changes, 'file')).toEqual([RECORD]);
    expect(whats(closed.changes, 'rules')).not.toEqual([]);
    expect(command(it, 'portal', '--close')).toMatchObject({ changes: [], error: null, exit: 1 });
  });

  test('a portal that cannot be opened changes nothing', () => {
    const it = machine();
    must(it.sh('ip route del default'));
    expect(command(it, 'portal', '--user', '65534')).toMatchObject({
      changes: [],
      error: { code: 'NO_PORTAL' },
      exit: 69,
    });
    must(it.sh('ip route add default via 192.168.77.1'));
  });

  test('refresh names the rules of a connection that NetworkManager has since, and nothing the second time', () => {
    const it = machine();
    keepConnection(it, CONNECTION);
    const [{ changes }] = twice(it, 'refresh');
    expect(whats(changes, 'rules')).not.toEqual([]);
    expect(whats(changes, 'file')).toContain(`${STATE}/endpoints.json`);
  });

  test.each([
    ['a portal', ['portal', '--user', '65534', '--for', `${SECONDS}s`], 'blocked'],
    ['a timed unlock', ['unlock', '--for', `${SECONDS}s`], 'blocked'],
    ['a lock on trial', ['lock', '--confirm', `${SECONDS}s`], 'unlocked'],
  ] as const)(
    'due names what ends when %s has expired, and nothing the second time',
    (_, begin, state) => {
      const it = machine();
      if (state === 'unlocked') must(it.command('unlock'));
      must(it.sh(`mv ${TIMED} ${TIMED}.away`));
      must(it.command(...begin));
      must(it.sh(`sleep ${SECONDS}`));
      const [{ changes, ...ended }] = twice(it, 'due');
      expect(ended.state).toMatchObject({ state });
      expect(whats(changes, 'rules')).not.toEqual([]);
      expect(whats(changes, 'file')).toContain(RECORD);
      must(it.sh(`mv ${TIMED}.away ${TIMED}`));
      if (state === 'unlocked') must(it.command('lock'));
    },
  );

  test('confirm names what it keeps, and nothing the second time', () => {
    const it = machine();
    must(it.command('unlock'));
    must(it.command('lock', '--confirm', '300'));
    const kept = command(it, 'confirm');
    expect(whats(kept.changes, 'file')).toContain(RECORD);
    expect(kept.exit).toBe(0);
    expect(command(it, 'confirm')).toMatchObject({ changes: [], error: null, exit: 1 });
  });

  test('attach and detach of a connection name what they change in NetworkManager, and then nothing', () => {
    const it = machine();
    it.write('/usr/local/sbin/nmcli', NMCLI);
    it.write('/var/priorities', '0\n0\n');
    must(it.sh('chmod 755 /usr/local/sbin/nmcli'));
    const connection = ['--networkmanager', CONNECTION];
    const change = {
      kind: 'connection',
      what: `nmcli connection modify uuid ${CONNECTION}`,
      how: 'changed',
    };
    const dryRun = (name: string) => command(it, name, ...connection, '--dry-run');
    expect(dryRun('attach')).toMatchObject({ changes: [], planned: [change] });
    expect(dryRun('detach')).toMatchObject({ changes: [], planned: [] });
    const [{ changes }] = twice(it, 'attach', ...connection);
    expect(changes).toContainEqual(change);
    expect(it.read('/var/priorities')).toBe('-50\n-50\n');
    expect(dryRun('attach').planned).toEqual([]);
    expect(dryRun('detach')).toMatchObject({ changes: [], planned: [change] });
    const [gone] = twice(it, 'detach', ...connection);
    expect(gone.changes).toContainEqual(change);
    expect(it.read('/var/priorities')).toBe('0\n0\n');
  });

  test('recover names the rules and files that its script changed, and nothing the second time', () => {
    const it = machine();
    expect(whats(twice(it, 'recover')[0].changes, 'rules')).toEqual([`${LIBRARY}/recover`]);
    must(it.command('lock'));
  });

  test('uninstall names each file and rule that it removed, and nothing the second time', () => {
    const it = machine();
    const own = [process.execPath, BUILT_COMMAND, 'uninstall'];
    const gone = whole(it, ...own);
    expect([gone.error, gone.exit, gone.changed]).toEqual([null, 0, true]);
    expect(whole(it, ...own)).toMatchObject({ changes: [], error: null, exit: 0 });
  });

  test('install names each file that it placed, and nothing the second time', () => {
    const it = machine();
    const own = [process.execPath, BUILT_COMMAND, 'install'];
    expect(whole(it, ...own)).toMatchObject({ changed: true, error: null, exit: 0 });
    expect(whole(it, ...own)).toMatchObject({ changes: [], error: null, exit: 0 });
  });
});

import { describe, expect, test } from 'vitest';
import type { Answer } from '../../src/cli/answer-schema.ts';
import { parsedAnswer, whats } from '../support/json-answers.ts';
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

const answer = (it: Machine, ...args: readonly string[]) =>
  parsedAnswer(it.command(...args, '--json'));

/**
 * The rules with the handles that a load renews, and the files with the inode and time that a write
 * renews. Notes of what was seen or done last lie in /run and do not count.
 */
function footprint(it: Machine): unknown {
  const listed = must(it.sh('nft -a list ruleset; iptables-save; ip6tables-save')).stdout;
  const files = it.sh(
    `find ${STATE} ${LIBRARY} /usr/local/sbin /usr/local/share /etc/ovpn-killswitch /etc/hosts /etc/openvpn /etc/systemd -type f -o -type l 2>/dev/null | sort | xargs stat -c '%n %i %Y %s %a'`,
  ).stdout;
  return { rules: listed.replace(/^#.*$/gm, '').replace(/\[\d+:\d+\]/g, ''), files };
}

describe.each(BACKENDS)('with %s', (backend) => {
  const machine = useMachine((fresh) => {
    fresh.settings(`KILLSWITCH_BACKEND=${backend}`);
    fresh.write(PROFILE, TEXT);
  });

  /** Calls twice: the first call changes something, the second one nothing at all. */
  function twice(it: Machine, ...args: readonly string[]): readonly [Answer, Answer] {
    const before = footprint(it);
    const first = answer(it, ...args);
    expect([first.error, first.changed]).toEqual([null, true]);
    const between = footprint(it);
    expect(between).not.toEqual(before);
    const second = answer(it, ...args);
    expect([second.error, second.changes]).toEqual([null, []]);
    expect(footprint(it)).toEqual(between);
    return [first, second];
  }

  test('a dry run changes nothing and names the profile that it would change', () => {
    const it = machine();
    const before = footprint(it);
    const { changed, planned } = answer(it, 'attach', '--dry-run', PROFILE);
    expect([changed, planned]).toEqual([false, [{ kind: 'file', what: PROFILE, how: 'changed' }]]);
    expect(footprint(it)).toEqual(before);
  });

  test('attach names the profile, and nothing the second time', () => {
    const [{ changes }] = twice(machine(), 'attach', PROFILE);
    expect(changes).toContainEqual({ kind: 'file', what: PROFILE, how: 'changed' });
  });

  test('lock names the rules and the record, and loads no rule the second time', () => {
    const [{ changes, state }, second] = twice(machine(), 'lock');
    expect(whats(changes, 'rules')).toEqual(
      backend === 'nftables' ? ['nft'] : ['ip6tables-restore', 'iptables-restore'],
    );
    expect(whats(changes, 'file')).toContain(`${STATE}/lock.json`);
    expect(state).toMatchObject({ state: 'blocked', exact: true, backend });
    expect(second.state).toEqual(state);
  });

  test('a lock that fails leaves the rules, and says so as JSON', () => {
    const it = machine();
    const before = footprint(it);
    it.write('/etc/ovpn-killswitch/killswitch.env', 'KILLSWITCH_LAN=maybe\n');
    const failed = answer(it, 'lock');
    it.settings(`KILLSWITCH_BACKEND=${backend}`);
    expect(failed).toMatchObject({
      changed: false,
      changes: [],
      state: { state: 'blocked', exact: true },
      error: { code: 'SETTINGS', next: expect.stringContaining('ovpn-killswitch lock') },
      exit: 78,
    });
    expect(failed.error?.state).toMatch(/^State now: rules of ovpn-killswitch are loaded/);
    expect(failed.error?.detail.join()).toContain('KILLSWITCH_LAN');
    expect((footprint(it) as { readonly rules: string }).rules).toBe(
      (before as { readonly rules: string }).rules,
    );
  });

  test('rules that another program removed count as changed when lock loads them again', () => {
    const it = machine();
    must(it.sh('nft flush ruleset; iptables -F; ip6tables -F'));
    expect(whats(answer(it, 'lock').changes, 'rules')).not.toEqual([]);
    expect(answer(it, 'lock').changed).toBe(false);
  });

  test('a command that fails half-way says what it had changed by then', () => {
    const it = machine();
    must(it.command('unlock'));
    must(it.sh(`mkdir -p ${STATE}/settings.env/in-the-way`));
    const failed = answer(it, 'lock', '--force');
    expect(failed).toMatchObject({ changed: true, error: { code: 'FILES' }, exit: 73 });
    expect(whats(failed.changes, 'file')).toContain(`${STATE}/lock.json`);
    expect(whats(failed.changes, 'rules')).toEqual([]);
    expect(failed.state).toMatchObject({ rules: [], exact: false });
    must(it.sh(`rm -r ${STATE}/settings.env`));
    must(it.command('lock'));
  });

  test('a lock on trial changes the record each time, and confirm does so once', () => {
    const it = machine();
    expect(answer(it, 'lock', '--confirm', '300').changed).toBe(true);
    expect(answer(it, 'lock', '--confirm', '600').changed).toBe(true);
    expect(answer(it, 'confirm')).toMatchObject({ changed: true, exit: 0 });
    expect(answer(it, 'confirm')).toMatchObject({ changed: false, error: null, exit: 1 });
    expect(answer(it, 'due')).toMatchObject({ changed: false, exit: 0 });
  });

  test('after a confirmed lock of an open machine, a lock changes nothing', () => {
    const it = machine();
    must(it.command('unlock'));
    expect(answer(it, 'lock', '--no-ssh', '--confirm', '300').changed).toBe(true);
    expect(answer(it, 'confirm').changed).toBe(true);
    expect(answer(it, 'lock', '--no-ssh').changes).toEqual([]);
    expect(answer(it, 'lock').changes).toEqual([]);
  });

  test('attach on a locked machine renews the rules for the boot, and a lock then changes nothing', () => {
    const it = machine();
    const other = '/etc/openvpn/client/other.conf';
    it.write(other, TEXT.replace('203.0.113.10', '203.0.113.12'));
    expect(whats(answer(it, 'attach', other).changes, 'file')).toContain(
      `${STATE}/base.${backend === 'nftables' ? 'nft' : 'v4'}`,
    );
    expect(answer(it, 'lock').changes).toEqual([]);
    must(it.command('detach', other));
    must(it.sh(`rm ${other}`));
    must(it.command('lock'));
  });

  test('refresh without names changes nothing', () => {
    expect(answer(machine(), 'refresh').changes).toEqual([]);
  });

  test('boot enable names its files, and boot disable takes the same away', () => {
    const it = machine();
    const [{ changes }] = twice(it, 'boot', 'enable', '--with', 'systemd');
    const units = whats(changes, 'file').filter((path) => path.startsWith('/etc/systemd/'));
    expect(units).toContain('/etc/systemd/system/ovpn-killswitch.service');
    const [gone] = twice(it, 'boot', 'disable');
    expect(whats(gone.changes, 'file')).toEqual(expect.arrayContaining(units));
    expect(gone.changes.every(({ how }) => how === 'removed')).toBe(true);
  });

  test('boot enable --sysctl names the kernel settings that it sets, and only those', () => {
    const it = machine();
    const [{ changes }] = twice(it, 'boot', 'enable', '--with', 'systemd', '--sysctl');
    expect(whats(changes, 'setting').length).toBeGreaterThan(0);
    expect([...whats(answer(it, 'boot', 'disable').changes, 'setting')].sort()).toEqual(
      [...whats(changes, 'setting')].sort(),
    );
  });

  test('unlock names the rules, and changes nothing the second time', () => {
    const [{ changes, state }] = twice(machine(), 'unlock');
    expect(whats(changes, 'rules')).not.toEqual([]);
    expect(state).toMatchObject({ state: 'unlocked', rules: [], dropPolicies: [] });
  });

  test('recover names the rules that its script removed, and nothing the second time', () => {
    const it = machine();
    must(it.command('lock'));
    const { changes, state } = answer(it, 'recover');
    expect(whats(changes, 'rules')).toEqual([`${LIBRARY}/recover`]);
    expect(state).toMatchObject({ rules: [], dropPolicies: [] });
    expect(answer(it, 'recover').changes).toEqual([]);
  });

  test('detach restores the profile, and changes nothing the second time', () => {
    const it = machine();
    const [{ changes }] = twice(it, 'detach', PROFILE);
    expect(changes).toContainEqual({ kind: 'file', what: PROFILE, how: 'changed' });
    expect(it.read(PROFILE)).toBe(TEXT);
  });

  test('a caller without rights gets the error as JSON, and no state', () => {
    const it = machine();
    const caps = ['--bounding-set=-net_admin', '--inh-caps=-net_admin'];
    const refused = parsedAnswer(it.run('setpriv', ...caps, `${LIBRARY}/cli.js`, 'lock', '--json'));
    expect(refused).toMatchObject({
      changed: false,
      state: null,
      error: { code: 'NOT_ROOT', state: 'Nothing was changed.' },
      exit: 77,
    });
  });

  test('a wrong flag beside --json is an error as JSON', () => {
    expect(answer(machine(), 'lock', '--forse')).toMatchObject({
      changed: false,
      error: { code: 'USAGE', next: expect.stringContaining('lock') },
      exit: 64,
    });
  });

  test('uninstall names its files, and install places them once', () => {
    const it = machine();
    const gone = answer(it, 'uninstall');
    expect(gone.changes).toContainEqual({
      kind: 'file',
      what: `${LIBRARY}/cli.js`,
      how: 'removed',
    });
    const install = () =>
      parsedAnswer(it.run(process.execPath, BUILT_COMMAND, 'install', '--json'));
    expect(install().changes).toContainEqual({
      kind: 'file',
      what: `${LIBRARY}/cli.js`,
      how: 'added',
    });
    const placed = footprint(it);
    expect(install().changes).toEqual([]);
    expect(footprint(it)).toEqual(placed);
  });
});

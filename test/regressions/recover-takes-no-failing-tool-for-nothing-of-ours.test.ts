import { afterEach, describe, expect, test } from 'vitest';
import { patiently } from '../../src/proof/wait-until.ts';
import { BACKENDS, LIBRARY, must, ran, STATE, useMachine } from '../hooks/installed-machine.ts';
import { hideHere, mountHere, standIn, undoAll } from '../hooks/obstacles.ts';
import { addFarHost, oursInKernel, reached } from '../support/far-host.ts';

const RECOVER = `${LIBRARY}/recover`;
const BOTH = ['ipv4', 'ipv6'];

const TOOLS = {
  nftables: ['nft'],
  iptables: ['iptables-save', 'ip6tables-save'],
} as const;

describe.each(BACKENDS)('with %s', (backend) => {
  const machine = useMachine(addFarHost);
  const lock = () => machine().relock(`KILLSWITCH_BACKEND=${backend}`);
  afterEach(() => {
    undoAll(machine());
    machine().run('sh', RECOVER);
    machine().sh('nft flush ruleset');
  });

  test('a broken nft is no proof: recover says so, ends with 71, and keeps the base', () => {
    const it = machine();
    lock();
    standIn(it, 'echo broken; exit 127', 'nft');
    const ended = it.run(RECOVER);
    expect(ended.status, ran(ended)).toBe(71);
    expect(ended.stderr).toContain(
      'LEFT: whether the table inet ovpn_killswitch is there: nft fails (broken)',
    );
    expect(ended.stdout).not.toContain('done');
    expect(it.list(STATE).some((name) => name.startsWith('base.'))).toBe(true);
    undoAll(it);
    must(it.run(RECOVER));
    expect(oursInKernel(it)).toEqual([]);
    expect(reached(it)).toEqual(BOTH);
  });

  test('root without CAP_NET_ADMIN is told so, and nothing is changed', () => {
    const it = machine();
    lock();
    const files = it.list(STATE);
    const ended = it.run('setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin', RECOVER);
    expect(ended.status, ran(ended)).toBe(77);
    expect(ended.stderr).toContain('CAP_NET_ADMIN');
    expect(it.list(STATE)).toEqual(files);
    expect(reached(it)).toEqual([]);
  });

  test.each([['with timeout(1)'], ['without timeout(1)']])(
    'a tool that hangs is stopped, %s, and told',
    (how) => {
      const it = machine();
      lock();
      standIn(it, 'exec sleep 600', ...TOOLS[backend]);
      if (how.startsWith('without')) mountHere(it, '/usr/bin/timeout', '--bind', '/dev/null');
      const since = Date.now();
      const ended = it.sandbox.run([RECOVER], { milliseconds: patiently(60_000) });
      expect(Date.now() - since).toBeLessThan(45_000);
      if (backend === 'nftables') {
        expect(ended.status, ran(ended)).toBe(71);
        expect(ended.stderr).toMatch(/LEFT: .*nft was stopped after 8 s/);
      } else {
        // nft reads and removes what iptables cannot.
        expect(ended.status, ran(ended)).toBe(0);
        expect(oursInKernel(it)).toEqual([]);
      }
      expect(reached(it)).toEqual(backend === 'iptables' ? BOTH : []);
    },
  );

  test('a state folder that cannot be written is reported: open now, locked again by the next hook', () => {
    const it = machine();
    lock();
    mountHere(it, '/var/lib', '--bind', '-o', 'ro', '/var/lib');
    must(it.sh('mount -o remount,bind,ro /var/lib'));
    const ended = it.run(RECOVER);
    expect(ended.status, ran(ended)).toBe(73);
    expect(oursInKernel(it)).toEqual([]);
    expect(reached(it)).toEqual(BOTH);
    expect(ended.stderr).toContain('the next hook of a VPN, "watch" or a reboot locks it again');
    expect(ended.stdout).not.toContain('done');
    undoAll(it);
    expect(it.read(`${STATE}/lock.plain`)).toBe('locked\n');
    expect(it.list(STATE).some((name) => name.startsWith('base.'))).toBe(true);
    must(it.run(RECOVER));
  });
});

describe('when iptables is the nft kind', () => {
  const machine = useMachine(addFarHost);
  afterEach(() => undoAll(machine()));

  test('recover finds rules of iptables-legacy too, as the boot script may have loaded them', () => {
    const it = machine();
    must(
      it.sh(`for each in iptables ip6tables; do
        $each-legacy -N KILLSWITCH-OUTPUT; $each-legacy -A KILLSWITCH-OUTPUT -j DROP
        $each-legacy -I OUTPUT 1 -j KILLSWITCH-OUTPUT; $each-legacy -P OUTPUT DROP
      done`),
    );
    expect(reached(it)).toEqual([]);
    const ended = must(it.run(RECOVER));
    expect(oursInKernel(it), ran(ended)).toEqual([]);
    expect(reached(it)).toEqual(BOTH);
  });

  test('boot goes on to another tool where nft hangs, and lets nothing out', () => {
    const it = machine();
    it.relock('KILLSWITCH_BACKEND=nftables');
    must(it.sh('nft flush ruleset'));
    standIn(it, 'exec sleep 600', 'nft');
    const since = Date.now();
    const ended = it.sandbox.run([`${LIBRARY}/boot`], { milliseconds: patiently(60_000) });
    expect(ended.status, ran(ended)).toBe(0);
    expect(ended.stderr).toContain('nft was stopped after 20 s');
    expect(Date.now() - since).toBeLessThan(45_000);
    expect(reached(it)).toEqual([]);
    undoAll(it);
    must(it.run(RECOVER));
    expect(reached(it)).toEqual(BOTH);
  });

  test('recover without any tool says that nobody can look', () => {
    const it = machine();
    it.relock('KILLSWITCH_BACKEND=nftables');
    const kinds = ['', '-nft', '-legacy'].flatMap((kind) =>
      ['save', 'restore'].flatMap((end) => [`iptables${kind}-${end}`, `ip6tables${kind}-${end}`]),
    );
    hideHere(it, 'nft', ...kinds);
    const ended = it.run(RECOVER);
    expect(ended.status, ran(ended)).toBe(71);
    expect(ended.stderr).toContain('LEFT: the table inet ovpn_killswitch: nft is not installed');
    undoAll(it);
    must(it.run(RECOVER));
  });
});

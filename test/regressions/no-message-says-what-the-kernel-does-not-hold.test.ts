import { afterEach, describe, expect, test } from 'vitest';
import {
  BACKENDS,
  BUILT_COMMAND,
  LIBRARY,
  must,
  ran,
  STATE,
  useMachine,
} from '../hooks/installed-machine.ts';
import { hideHere, mountHere, standIn, undoAll } from '../hooks/obstacles.ts';
import { readKernel } from '../support/kernel-listing.ts';

/**
 * Messages were fixed sentences. `unlock` said that nothing was loaded where its tool could not
 * read, `recover` called a table open after it had named what is left there, `uninstall` said
 * "Removed" of files that it could not remove, and an error about resolvers said after `unlock`
 * that the rules are in force.
 */

const RECOVER = `${LIBRARY}/recover`;
const KINDS = ['', '-nft', '-legacy'];
const every = (end: string) =>
  KINDS.flatMap((kind) => [`iptables${kind}-${end}`, `ip6tables${kind}-${end}`]);

describe.each(BACKENDS)('with %s', (backend) => {
  const settings = [
    `KILLSWITCH_BACKEND=${backend}`,
    'KILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp',
  ] as const;
  const machine = useMachine();
  afterEach(() => {
    undoAll(machine());
    machine().run('sh', RECOVER);
    machine().sh('nft flush ruleset');
  });

  test('unlock says that nobody knows where its tool cannot read and no record names it', () => {
    const it = machine();
    it.relock(...settings);
    must(it.sh(`rm ${STATE}/lock.json ${STATE}/lock.plain`));
    standIn(
      it,
      'echo broken >&2; exit 1',
      ...(backend === 'nftables' ? ['nft'] : [...every('save'), ...every('restore')]),
    );
    const { status, stdout, stderr } = it.command('unlock');
    undoAll(it);
    expect(status, stdout + stderr).not.toBe(0);
    expect(readKernel(it).ours).not.toEqual([]);
    expect(stdout).not.toMatch(/nothing is guarded/i);
    expect(stderr).toMatch(/State now: (unknown|rules of ovpn-killswitch are loaded)/);
  });
});

describe('whatever the backend', () => {
  const machine = useMachine();
  afterEach(() => {
    undoAll(machine());
    machine().run('sh', RECOVER);
    machine().sh('nft flush ruleset');
  });

  test('recover calls no tool open whose rules it has just named as left', () => {
    const it = machine();
    it.relock('KILLSWITCH_BACKEND=iptables');
    hideHere(it, 'nft');
    standIn(it, 'exit 4', ...every('restore'));
    const ended = it.run(RECOVER);
    expect(ended.status, ran(ended)).toBe(1);
    undoAll(it);
    expect(readKernel(it).ours).not.toEqual([]);
    expect(ended.stdout).not.toMatch(/: (open|nothing of ours is left)$/m);
  });

  test('recover calls a machine not open whose own policy drops', () => {
    const it = machine();
    must(it.sh('iptables -P FORWARD DROP; ip6tables -P FORWARD DROP'));
    it.relock('KILLSWITCH_BACKEND=iptables');
    const ended = must(it.run(RECOVER));
    expect(readKernel(it)).toMatchObject({
      ours: [],
      drops: expect.arrayContaining(['ip filter FORWARD']),
    });
    expect(ended.stdout).not.toMatch(/\bopen\b/);
  });

  test('an error about resolvers after unlock does not say that rules are in force', () => {
    const it = machine();
    it.relock('KILLSWITCH_BACKEND=nftables');
    must(
      it.sh(
        `mkdir -p ${STATE}/dns; echo /nowhere/at/all >${STATE}/dns/place; mkdir ${STATE}/dns/before`,
      ),
    );
    const { stdout, stderr } = it.command('unlock');
    must(it.sh(`rm -rf ${STATE}/dns`));
    expect(readKernel(it).ours).toEqual([]);
    expect(stdout + stderr).toContain('State now: OPEN');
    expect(stdout + stderr).not.toMatch(/rules are in force|stay loaded/);
  });

  test('uninstall names what it could not remove, and ends with 73', () => {
    const it = machine();
    it.relock('KILLSWITCH_BACKEND=nftables');
    mountHere(it, '/etc/ovpn-killswitch', '--bind', '/etc/ovpn-killswitch');
    const ended = it.command('uninstall');
    undoAll(it);
    must(it.run(process.execPath, BUILT_COMMAND, 'install'));
    expect(ended.status, ran(ended)).toBe(73);
    expect(ended.stdout).not.toContain('stay loaded');
    expect(ended.stdout).toContain('LEFT: /etc/ovpn-killswitch');
  });
});

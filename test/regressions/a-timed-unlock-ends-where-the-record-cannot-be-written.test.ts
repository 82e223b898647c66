import { afterEach, describe, expect, test } from 'vitest';
import { BACKENDS, LIBRARY, must, ran, useMachine } from '../hooks/installed-machine.ts';
import { mountHere, undoAll } from '../hooks/obstacles.ts';
import { addFarHost, reached } from '../support/far-host.ts';
import { pacedSeconds } from '../support/machine-pace.ts';

describe.each(BACKENDS)('with %s', (backend) => {
  const machine = useMachine(addFarHost);
  afterEach(() => undoAll(machine()));

  test('the rules come back when the time expires, also with a read-only /var/lib', () => {
    const it = machine();
    it.relock(`KILLSWITCH_BACKEND=${backend}`);
    const seconds = pacedSeconds(8);
    must(it.command('unlock', '--for', `${seconds}s`));
    expect(reached(it)).toEqual(['ipv4', 'ipv6']);
    mountHere(it, '/var/lib', '--bind', '-o', 'ro', '/var/lib');
    must(it.sh(`mount -o remount,bind,ro /var/lib; sleep ${seconds}`));
    const due = it.run(`${LIBRARY}/cli.js`, 'due');
    expect(reached(it), ran(due)).toEqual([]);
    expect(it.read('/var/log/ovpn-killswitch.log')).toContain('the due change failed');
    undoAll(it);
    must(it.command('due'));
    expect(it.status()).toMatchObject({ state: 'blocked', exact: true });
  });
});

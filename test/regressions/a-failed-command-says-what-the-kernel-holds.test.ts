import { describe, expect, test } from 'vitest';
import { BACKENDS, must, useMachine } from '../hooks/installed-machine.ts';

const OPEN = 'State now: OPEN. No rule of ovpn-killswitch is loaded.';
const LOADED = 'State now: rules of ovpn-killswitch are loaded.';
const MISTAKE = 'KILLSWITCH_LAN=everything';

describe.each(BACKENDS)('with %s', (backend) => {
  const machine = useMachine((fresh) => fresh.settings(`KILLSWITCH_BACKEND=${backend}`));
  const good = `KILLSWITCH_BACKEND=${backend}`;

  test('a lock that fails on an open machine says that it is open, not that rules stay loaded', () => {
    const it = machine();
    must(it.command('unlock'));
    it.settings(`${good}\n${MISTAKE}`);
    const { status, stderr } = it.command('lock', '--force');
    expect(status).toBe(78);
    expect(stderr).toContain(OPEN);
    expect(stderr).not.toContain('stay loaded');
  });

  test('a lock that fails on a locked machine says that rules are loaded', () => {
    const it = machine();
    it.settings(good);
    must(it.command('lock', '--force'));
    it.settings(`${good}\n${MISTAKE}`);
    const { status, stderr } = it.command('lock', '--force');
    expect(status).toBe(78);
    expect(stderr).toContain(LOADED);
  });

  test('a lock whose tool refuses says that the machine is open', () => {
    const it = machine();
    it.settings(good);
    must(it.command('unlock'));
    // One file is every program of iptables, told apart by its name.
    const tool = backend === 'nftables' ? 'nft' : 'iptables-restore';
    const path = must(it.sh(`readlink -f "$(command -v ${tool})"`)).stdout.trim();
    must(
      it.sh(
        `mkdir /run/real; cp ${path} /run/real/all; for each in nft iptables-save ip6tables-save; do ln -s all /run/real/$each; done`,
      ),
    );
    const script =
      '#!/bin/sh\\ncase "$0 $*" in *save*|*list*) exec "/run/real/$(basename "$0")" "$@";; esac\\necho refused >&2; exit 1\\n';
    must(
      it.sh(
        `printf '${script}' >/run/refuses; chmod 755 /run/refuses; mount --bind /run/refuses ${path}`,
      ),
    );
    try {
      const { status, stderr } = it.command('lock', '--force');
      expect(status).not.toBe(0);
      expect(stderr).toContain(OPEN);
    } finally {
      must(it.run('umount', path));
    }
  });

  test('a machine whose chain policy is DROP is not called open', () => {
    const it = machine();
    it.settings(good);
    must(it.command('unlock'));
    must(it.run('iptables', '-P', 'FORWARD', 'DROP'));
    it.settings(`${good}\n${MISTAKE}`);
    const { stderr } = it.command('lock', '--force');
    must(it.run('iptables', '-P', 'FORWARD', 'ACCEPT'));
    expect(stderr).toContain(
      'State now: no rule of ovpn-killswitch is loaded, but the policy of the chain "ip filter FORWARD" drops.',
    );
    expect(stderr).not.toContain('OPEN');
  });

  test('a command that was mistyped says nothing of the rules', () => {
    const { stderr } = machine().command('lock', '--forse');
    expect(stderr).not.toContain('State now');
  });
});

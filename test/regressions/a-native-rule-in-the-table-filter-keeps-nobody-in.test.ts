import { afterEach, describe, expect, test } from 'vitest';
import { must, ran, useMachine } from '../hooks/installed-machine.ts';
import { addFarHost, oursInKernel, reached } from '../support/far-host.ts';

/**
 * Rules that another program adds with nft: iptables-nft leaves the table out of its listing, or
 * stops in the middle of it.
 */
const NATIVE = ['ct state established accept', 'meta mark set 1'];
const BOTH = ['ipv4', 'ipv6'];

describe.each(NATIVE)('beside "nft add rule ip filter OUTPUT %s"', (rule) => {
  const machine = useMachine(addFarHost);
  const addTheirs = () => {
    const table = (family: string) =>
      `nft add table ${family} filter; nft add chain ${family} filter OUTPUT '{ type filter hook output priority filter; }'`;
    must(
      machine().sh(
        ['ip', 'ip6']
          .map((family) => `${table(family)}; nft add rule ${family} filter OUTPUT ${rule}`)
          .join('; '),
      ),
    );
  };
  const theirs = () =>
    machine()
      .sh("nft list ruleset | grep -cE 'ct state established accept|meta mark set 0x0*1'")
      .stdout.trim();
  afterEach(() => machine().sh('ovpn-killswitch unlock; nft flush ruleset'));

  test.each([
    ['unlock', ['ovpn-killswitch', 'unlock']],
    ['recover', ['/usr/local/lib/ovpn-killswitch/recover']],
  ])('%s opens what iptables can no longer read, and leaves their rule', (_, command) => {
    const it = machine();
    it.relock('KILLSWITCH_BACKEND=iptables');
    addTheirs();
    expect(reached(it)).toEqual([]);
    const ended = it.run(...command);
    expect(ended.status, ran(ended)).toBe(0);
    expect(oursInKernel(it)).toEqual([]);
    expect(reached(it)).toEqual(BOTH);
    expect(theirs()).toBe('2');
  });

  test('"auto" takes nftables, which reads its own table alone', () => {
    const it = machine();
    addTheirs();
    it.settings();
    const locked = it.command('lock', '--force');
    expect(locked.status, ran(locked)).toBe(0);
    expect(it.status()).toMatchObject({ state: 'blocked', exact: true, backend: 'nftables' });
    expect(locked.stdout.replace(/\s+/g, ' ')).toMatch(/nftables: nft is installed/);
  });

  test('a setting that names iptables changes nothing, and the error names the setting that helps', (context) => {
    const it = machine();
    addTheirs();
    // Debian 13's iptables can read a mark that is set.
    const listed = ran(it.run('iptables-save', '-t', 'filter'));
    if (listed.includes('COMMIT') && !listed.includes('incompatible'))
      context.skip('this iptables reads the rule');
    it.settings('KILLSWITCH_BACKEND=iptables');
    const before = must(it.sh('nft list ruleset')).stdout;
    const refused = it.command('lock', '--force');
    expect(refused.status, ran(refused)).toBe(71);
    expect(refused.stderr).toContain('KILLSWITCH_BACKEND=nftables');
    expect(must(it.sh('nft list ruleset')).stdout).toBe(before);
    expect(reached(it)).toEqual(BOTH);
  });

  test('what the error advises locks with nftables and takes the rules of iptables away', () => {
    const it = machine();
    it.relock('KILLSWITCH_BACKEND=iptables');
    addTheirs();
    it.settings('KILLSWITCH_BACKEND=nftables');
    must(it.command('lock', '--force'));
    expect(it.sh('nft list ruleset').stdout).not.toContain('KILLSWITCH-');
    expect(reached(it)).toEqual([]);
    must(it.command('unlock'));
    expect(reached(it)).toEqual(BOTH);
  });
});

import { describe, expect, test } from 'vitest';
import { NFTABLES_DROP_IN } from '../../../src/boot/systemd.ts';
import { readNeighbours } from '../../../src/view/neighbours.ts';
import { fakeHost } from '../../support/fake-host.ts';

const enabled = (unit: string) => ({ [`/etc/systemd/system/multi-user.target.wants/${unit}.service`]: '' });
const names = (files: Readonly<Record<string, string>>, backend: 'iptables' | 'nftables') =>
  readNeighbours(fakeHost({ files }), backend).map(({ name }) => name);

describe('the neighbours that are named', () => {
  test('firewalld that flushes every table of iptables opens beside iptables alone, and that is said before it happens', () => {
    const files = { ...enabled('firewalld'), '/etc/firewalld/firewalld.conf': 'CleanupOnExit=yes\nFirewallBackend=iptables\n' };
    const [found] = readNeighbours(fakeHost({ files }), 'iptables');
    expect(found).toMatchObject({ name: 'firewalld with FirewallBackend=iptables', does: expect.stringContaining('opens this machine') });
    expect(found?.fix).toContain('KILLSWITCH_BACKEND=nftables');
    expect(names(files, 'nftables')).toEqual([]);
    expect(names({ ...files, '/etc/firewalld/firewalld.conf': 'FirewallBackend=nftables\n' }, 'iptables')).toEqual([]);
  });

  test.each(['iptables', 'nftables'] as const)('nftables.service flushes %s until boot enable has given it the base to load', (backend) => {
    const files = { ...enabled('nftables'), '/etc/nftables.conf': '#!/usr/sbin/nft -f\nflush ruleset\n' };
    expect(names(files, backend)).toEqual(['nftables.service']);
    expect(names({ ...files, [NFTABLES_DROP_IN]: '' }, backend)).toEqual([]);
  });
});

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  besideNftables,
  NFTABLES_DROP_IN,
  NFTABLES_DROP_IN_NOW,
} from '../../../src/boot/nftables-service.ts';
import { PATHS } from '../../../src/host/paths.ts';
import { readSettings } from '../../../src/policy/settings.ts';
import { settingsText } from '../../../src/policy/settings-text.ts';
import { readNeighbours } from '../../../src/view/neighbours.ts';
import { fakeHost } from '../../support/fake-host.ts';

const enabled = (unit: string) => ({
  [`/etc/systemd/system/multi-user.target.wants/${unit}.service`]: '',
});
const names = (files: Readonly<Record<string, string>>, backend: 'iptables' | 'nftables') =>
  readNeighbours(fakeHost({ files }), backend).map(({ name }) => name);

describe('the neighbours that are named', () => {
  test('firewalld that flushes every table of iptables opens beside iptables alone, and doctor warns before it happens', () => {
    const files = {
      ...enabled('firewalld'),
      '/etc/firewalld/firewalld.conf': 'CleanupOnExit=yes\nFirewallBackend=iptables\n',
    };
    const [found] = readNeighbours(fakeHost({ files }), 'iptables');
    expect(found).toMatchObject({
      name: 'firewalld with FirewallBackend=iptables',
      does: expect.stringContaining('opens this machine'),
    });
    expect(found?.fix).toContain('KILLSWITCH_BACKEND=nftables');
    expect(names(files, 'nftables')).toEqual([]);
    expect(
      names(
        { ...files, '/etc/firewalld/firewalld.conf': 'FirewallBackend=nftables\n' },
        'iptables',
      ),
    ).toEqual([]);
    const conf = { '/etc/firewalld/firewalld.conf': ' FirewallBackend = iptables\n' };
    expect(names(conf, 'iptables')).toEqual([]);
    expect(names({ ...conf, '/proc/77/comm': 'firewalld\n' }, 'iptables')).toEqual([
      'firewalld',
      'firewalld with FirewallBackend=iptables',
    ]);
  });

  test.each([
    'KILLSWITCH_BACKEND=iptables\nKILLSWITCH_LAN=off\n',
    '# none\n',
    ' export  KILLSWITCH_BACKEND = auto\n',
  ])('what takes nftables beside them leaves a settings file that can be read (%j)', (text) => {
    const [found] = readNeighbours(fakeHost({ files: { ...enabled('shorewall') } }), 'iptables');
    const folder = mkdtempSync(join(tmpdir(), 'settings-'));
    const file = join(folder, 'killswitch.env');
    writeFileSync(file, text);
    const script = (found?.fix ?? '')
      .replaceAll(PATHS.settings, file)
      .replace('sudo ovpn-killswitch lock', 'true')
      .replaceAll('sudo ', '');
    execFileSync('sh', ['-euc', script], { stdio: 'ignore' });
    expect(readSettings(settingsText(readFileSync(file, 'utf8')))).toMatchObject({
      settings: { backend: 'nftables' },
    });
    rmSync(folder, { recursive: true });
  });

  test.each(['iptables', 'nftables'] as const)(
    'nftables.service flushes %s until it is given the base to load, for now or for each boot',
    (backend) => {
      const unit = '/lib/systemd/system/nftables.service';
      const record = { locked: true, since: 1, backend, before: [], made: [] };
      const files = {
        [unit]: '[Service]\nType=oneshot\nExecStop=/usr/sbin/nft flush ruleset\n',
        '/run/systemd/system/x': '',
        '/var/lib/ovpn-killswitch/lock.json': JSON.stringify(record),
      };
      const beside = besideNftables(fakeHost({ files }));
      const text = typeof beside === 'object' ? beside.text : '';
      expect(names(files, backend)).toEqual(['nftables.service']);
      expect(names({ ...files, [NFTABLES_DROP_IN]: 'of an older unit' }, backend)).toEqual([
        'nftables.service',
      ]);
      for (const path of [NFTABLES_DROP_IN, NFTABLES_DROP_IN_NOW])
        expect(names({ ...files, [path]: text }, backend)).toEqual([]);
      expect(names({ [unit]: files[unit] ?? '' }, backend)).toEqual([]);
      const open = JSON.stringify({ ...record, locked: false });
      expect(names({ ...files, '/var/lib/ovpn-killswitch/lock.json': open }, backend)).toEqual([]);
      expect(names({ ...files, [unit]: '[Service]\nExecStart=/root/rules\n' }, backend)).toEqual([
        'nftables.service, which has commands of its own here,',
      ]);
    },
  );
});

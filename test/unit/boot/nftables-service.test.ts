import { describe, expect, test } from 'vitest';
import type { BootMachine } from '../../../src/boot/boot-strategy.ts';
import { NFTABLES_DROP_IN, systemd } from '../../../src/boot/systemd.ts';

const UNIT = '/lib/systemd/system/nftables.service';
const unit = (...lines: readonly string[]) => `[Unit]\nDescription=nftables\n\n[Service]\nType=oneshot\n${lines.join('\n')}\n`;
const DEBIAN = unit(
  'ExecStart=/usr/sbin/nft -f /etc/nftables.conf',
  'ExecReload=/usr/sbin/nft -f /etc/nftables.conf',
  'ExecStop=/usr/sbin/nft flush ruleset',
);
const FEDORA = unit(
  'ExecStart=/sbin/nft -f /etc/sysconfig/nftables.conf',
  `ExecReload=/sbin/nft 'flush ruleset; include "/etc/sysconfig/nftables.conf";'`,
  'ExecStop=/sbin/nft flush ruleset',
);
const OURS = 'include "/var/lib/ovpn-killswitch/*.nft"; include "/var/lib/ovpn-killswitch/*.hold";';
const THEN = '-/usr/local/lib/ovpn-killswitch/boot --flushed';

function machine(files: Readonly<Record<string, string>>): BootMachine {
  return {
    read: (path) => files[path],
    exists: (path) => path in files,
    list: (folder) => Object.keys(files).flatMap((path) => (path.startsWith(`${folder}/`) ? [path.slice(folder.length + 1)] : [])),
    locked: true,
    base: {},
  };
}
const plan = (files: Readonly<Record<string, string>>) => {
  const { files: written, notes } = systemd.plan(machine(files));
  return { text: written.find(({ path }) => path === NFTABLES_DROP_IN)?.text, notes: notes.join('\n') };
};

describe('beside nftables.service', () => {
  test.each([
    ['Debian', DEBIAN, ['include "/etc/nftables.conf"', 'include "/etc/nftables.conf"', 'flush ruleset'], '/usr/sbin/nft'],
    [
      'Fedora',
      FEDORA,
      ['include "/etc/sysconfig/nftables.conf"', 'flush ruleset; include "/etc/sysconfig/nftables.conf"', 'flush ruleset'],
      '/sbin/nft',
    ],
  ])('each command of %s loads the base in its own transaction, and has iptables loaded again after it', (_, text, scripts, nft) => {
    const lines = ['ExecStart', 'ExecReload', 'ExecStop'].flatMap((key, index) => [
      `${key}=`,
      `${key}=${nft} '${scripts[index]};; ${OURS}'`,
      `${key}=${THEN}`,
    ]);
    const { text: dropIn, notes } = plan({ [UNIT]: text });
    expect(dropIn?.split('\n')).toEqual([expect.stringMatching(/^# /), '[Service]', ...lines, '']);
    expect(notes).toContain('open nothing');
  });

  test('nothing is written where the service is not installed', () => {
    const { text, notes } = plan({});
    expect(text).toBeUndefined();
    expect(notes).not.toContain('nftables.service');
  });

  test('what the unit of the machine says counts before that of the package, and our own drop-in is nobody else’s', () => {
    const own = unit('ExecStart=/opt/nft -f /etc/mine.nft');
    expect(plan({ [UNIT]: DEBIAN, '/etc/systemd/system/nftables.service': own }).text).toContain(
      `ExecStart=/opt/nft 'include "/etc/mine.nft";; `,
    );
    const { text } = plan({ [UNIT]: DEBIAN });
    expect(plan({ [UNIT]: DEBIAN, [NFTABLES_DROP_IN]: text ?? '' }).text).toBe(text);
  });

  test.each<readonly [string, Readonly<Record<string, string>>]>([
    [
      'a person has given it other commands',
      { [UNIT]: DEBIAN, '/etc/systemd/system/nftables.service.d/override.conf': '[Service]\nExecStop=\n' },
    ],
    ['it runs a script', { [UNIT]: unit('ExecStart=/usr/local/bin/load-rules') }],
    ['it says more to nft than is known', { [UNIT]: unit('ExecStart=/usr/sbin/nft -I /srv -f /etc/nftables.conf') }],
    ['a word in it could end the quotes', { [UNIT]: unit(`ExecStart=/usr/sbin/nft -f /etc/it's.conf`) }],
    ['it may have only one command', { [UNIT]: DEBIAN.replace('oneshot', 'simple') }],
    ['it has no command', { [UNIT]: unit() }],
    ['it has two commands for one thing', { [UNIT]: DEBIAN.replace('ExecReload', 'ExecStart') }],
  ])('it is left alone, and "boot enable" says that it opens, when %s', (_, files) => {
    const { text, notes } = plan(files);
    expect(text).toBeUndefined();
    expect(notes).toContain('opens until "lock"');
  });
});

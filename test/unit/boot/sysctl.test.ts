import { describe, expect, test } from 'vitest';
import {
  keepValues,
  keptText,
  parseSysctls,
  type Sysctl,
  sysctlsOf,
  sysctlText,
} from '../../../src/boot/sysctl.ts';
import { readSettings, type Settings } from '../../../src/policy/settings.ts';
import { settingsText } from '../../../src/policy/settings-text.ts';

function settings(...lines: readonly string[]): Settings {
  const result = readSettings(settingsText(lines.join('\n')));
  if ('issues' in result) throw new Error('the settings do not parse');
  return result.settings;
}

const keys = (sysctls: readonly Sysctl[]) => sysctls.map(({ key, value }) => `${key}=${value}`);

describe('kernel settings', () => {
  test('with KILLSWITCH_IPV6=block switch IPv6 off for all, default, lo and each card, also one with a dot in its name', () => {
    expect(keys(sysctlsOf(settings('KILLSWITCH_IPV6=block'), ['lo', 'eth0', 'eth0.7']))).toEqual([
      'net/ipv6/conf/all/disable_ipv6=1',
      'net/ipv6/conf/default/disable_ipv6=1',
      'net/ipv6/conf/lo/disable_ipv6=1',
      'net/ipv6/conf/eth0/disable_ipv6=1',
      'net/ipv6/conf/eth0.7/disable_ipv6=1',
      'net/ipv4/conf/all/arp_ignore=1',
    ]);
  });

  test('with KILLSWITCH_IPV6=tunnel leave IPv6 alone, so that the tunnel has it', () => {
    expect(keys(sysctlsOf(settings(), ['lo', 'eth0']))).toEqual(['net/ipv4/conf/all/arp_ignore=1']);
  });

  test('let answers in when a mark leads the client by another route', () => {
    expect(keys(sysctlsOf(settings('KILLSWITCH_ENDPOINT_OWNER=mark:0x1'), ['lo']))).toEqual([
      'net/ipv4/conf/all/arp_ignore=1',
      'net/ipv4/conf/all/src_valid_mark=1',
      'net/ipv4/conf/all/rp_filter=2',
    ]);
  });

  test('forward only when KILLSWITCH_FORWARD names somebody', () => {
    expect(keys(sysctlsOf(settings('KILLSWITCH_FORWARD=docker0'), ['lo']))).toContain(
      'net/ipv4/ip_forward=1',
    );
    expect(keys(sysctlsOf(settings(), ['lo'])).filter((key) => key.includes('forward'))).toEqual(
      [],
    );
  });

  test('stand in the file as sysctl.d(5) takes them: with slashes, and no error for a card that is gone', () => {
    expect(sysctlText([{ key: 'net/ipv6/conf/eth0.7/disable_ipv6', value: '1' }])).toMatch(
      /\n-net\/ipv6\/conf\/eth0\.7\/disable_ipv6 = 1\n$/,
    );
  });
});

test('a file of kernel settings is read as it was written, whatever else somebody has put there', () => {
  const sysctls = sysctlsOf(settings('KILLSWITCH_IPV6=block', 'KILLSWITCH_FORWARD=docker0'), [
    'lo',
    'eth0.7',
  ]);
  expect(parseSysctls(`${sysctlText(sysctls)}vm.swappiness = 10\n-kernel/panic = 5\n`)).toEqual(
    sysctls,
  );
});

describe('values to restore', () => {
  const values: Record<string, string> = {
    'net/ipv4/ip_forward': '0',
    'net/ipv4/conf/all/accept_redirects': '1',
    'net/ipv4/conf/all/arp_ignore': '0',
  };
  const now = (key: string) => values[key];
  const forward: Sysctl = { key: 'net/ipv4/ip_forward', value: '1' };
  const arp: Sysctl = { key: 'net/ipv4/conf/all/arp_ignore', value: '1' };

  test('are those before the first run, also of what the kernel changes by itself with forwarding', () => {
    const kept = keptText(keepValues([arp, forward], '', now));
    expect(kept).toBe(
      'net/ipv4/conf/all/arp_ignore 1 0\nnet/ipv4/ip_forward 1 0\nnet/ipv4/conf/all/accept_redirects 0 1\n',
    );
    expect(keptText(keepValues([arp, forward], kept, () => '1'))).toBe(kept);
  });

  test('are none for what this kernel does not have', () => {
    expect(keepValues([{ key: 'net/ipv6/conf/all/disable_ipv6', value: '1' }], '', now)).toEqual(
      [],
    );
  });
});

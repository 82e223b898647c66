import { describe, expect, test } from 'vitest';
import { readUplink } from '../../../src/machine/uplink.ts';
import { fakeHost } from '../../support/fake-host.ts';

const HEAD = 'Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n';
/**
 * Lines as Linux has them: 192.168.77.0/24 and its gateway by wlan0, 10.0.0.0/8 and another by
 * eth0.
 */
const [WLAN_DEFAULT, WLAN] = [
  'wlan0\t00000000\t014DA8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n',
  'wlan0\t004DA8C0\t00000000\t0001\t0\t0\t600\t00FFFFFF\t0\t0\t0\n',
];
const [ETH_DEFAULT, ETH] = [
  'eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n',
  'eth0\t0000000A\t00000000\t0001\t0\t0\t100\t000000FF\t0\t0\t0\n',
];
const uplinkOf = (...lines: readonly string[]) => {
  const found = readUplink(fakeHost({ files: { '/proc/net/route': HEAD + lines.join('') } }));
  return found && [found.device, found.gateway.text, found.network?.text];
};

describe('the uplink', () => {
  test('is where the default route leads, with the network that its gateway lies in', () => {
    expect(uplinkOf(WLAN_DEFAULT, WLAN)).toEqual(['wlan0', '192.168.77.1', '192.168.77.0/24']);
  });

  test('is that of the least metric where there are several', () => {
    expect(uplinkOf(WLAN_DEFAULT, WLAN, ETH_DEFAULT, ETH)).toEqual([
      'eth0',
      '10.0.0.1',
      '10.0.0.0/8',
    ]);
  });

  test('has no network where none that is connected there holds the gateway', () => {
    expect(uplinkOf(WLAN_DEFAULT, ETH)).toEqual(['wlan0', '192.168.77.1', undefined]);
  });

  test.each([
    ['without routes', []],
    ['without a default route', [WLAN, ETH]],
    ['when the default route is down', [WLAN_DEFAULT.replace('0003', '0002'), WLAN]],
    [
      'when the default route leads to no gateway',
      [WLAN_DEFAULT.replace('014DA8C0\t0003', '00000000\t0001'), WLAN],
    ],
    ['when the lines are none', ['wlan0\n', 'x\ty\tz\n']],
  ])('is none %s', (_, lines) => {
    expect(uplinkOf(...lines)).toBeUndefined();
  });
});

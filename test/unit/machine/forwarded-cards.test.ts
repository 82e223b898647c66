import { describe, expect, test } from 'vitest';
import { forwardedCards } from '../../../src/machine/forwarded-cards.ts';
import { parseInterfaces } from '../../../src/net/interface-pattern.ts';
import { fakeHost } from '../../support/fake-host.ts';

const ROUTE = 'Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n';
const CLASS = '/sys/class/net';
const host = fakeHost({
  files: {
    '/proc/net/route': `${ROUTE}wifi0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n`,
    [`${CLASS}/wifi0/flags`]: '0x1',
    [`${CLASS}/enp3s0/device/vendor`]: '',
    [`${CLASS}/br-lan/brif/enp3s0/state`]: '',
    [`${CLASS}/br-0123/brif/veth1/state`]: '',
    [`${CLASS}/veth1/flags`]: '0x1',
    [`${CLASS}/vpn0/flags`]: '0x1',
  },
});
const of = (...texts: readonly string[]) =>
  forwardedCards(host, { forward: texts.flatMap((text) => parseInterfaces(text) ?? []) }, [
    'vpn0',
  ]).map(({ pattern, device, what }) => `${pattern} means ${device}: ${what}`);

describe('what a pattern of KILLSWITCH_FORWARD may not mean', () => {
  test('is an uplink, a tunnel, a network card, and a bridge with one', () => {
    expect(of('wi*', 'vpn*', 'enp*', 'br-*')).toEqual([
      'wi* means wifi0: an uplink',
      'vpn* means vpn0: a tunnel',
      'enp* means enp3s0: a network card',
      'br-* means br-lan: a bridge with the network card enp3s0',
    ]);
  });

  test('is nothing else, nor what is named in full', () => {
    expect(of('br-0*', 'veth*', 'wifi0', 'enp3s0', 'br-lan', 'none*')).toEqual([]);
  });
});

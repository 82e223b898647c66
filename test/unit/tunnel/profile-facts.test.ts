import { describe, expect, test } from 'vitest';
import { type ProfileFacts, readProfileFacts } from '../../../src/tunnel/profile-facts.ts';

describe('the facts of a profile', () => {
  test.each<readonly [string, Partial<ProfileFacts>]>([
    [
      '',
      {
        commands: {},
        scriptSecurity: 1,
        user: undefined,
        persistTun: false,
        upRestart: false,
        downRoot: [],
        pulls: false,
      },
    ],
    ['up /a\ndown /b\nroute-up /c', { commands: { up: '/a', down: '/b', 'route-up': '/c' } }],
    ['up "/a b c"\nup \'/d e\'', { commands: { up: '/d e' } }],
    ['up ""', { commands: {} }],
    ['# up /a\nup-delay\nup-restart\nroute-pre-down /x', { commands: {}, upRestart: true }],
    ['<ca>\nup /a\n</ca>', { commands: {} }],
    ['<connection>\nremote a\nup /a\n</connection>\ndown /b', { commands: { down: '/b' } }],
    ['script-security 2', { scriptSecurity: 2 }],
    ['script-security 3\nscript-security 0', { scriptSecurity: 0 }],
    ['script-security x', { scriptSecurity: 1 }],
    ['user nobody\ngroup nogroup', { user: 'nobody', group: 'nogroup' }],
    ['chroot /srv/jail', { chroot: '/srv/jail' }],
    ['persist-tun\npersist-key', { persistTun: true }],
    ['plugin openvpn-plugin-down-root.so "/etc/down x"', { downRoot: ['/etc/down x'] }],
    ['plugin /usr/lib/openvpn/openvpn-down-root.so x\nplugin other.so', { downRoot: ['x'] }],
    ['plugin openvpn-plugin-auth-pam.so login', { downRoot: [] }],
    ['remote-random', { remoteRandom: true, remoteRandomHostname: false }],
    ['remote-random-hostname', { remoteRandom: false, remoteRandomHostname: true }],
    ['client', { pulls: true }],
    ['tls-client\npull', { pulls: true }],
    [
      'pull-filter ignore "route-delay"\npull-filter reject verb\npull-filter accept route',
      { filtered: ['route-delay', 'verb'] },
    ],
    ['config other.conf\nconfig more.conf', { configs: ['other.conf', 'more.conf'] }],
    ['<connection>\nremote a\nsocks-proxy b\n</connection>', { socksProxy: true }],
    ['dev vpn0\ndev-type tun\nmark 7', { device: 'vpn0', deviceType: 'tun', mark: '7' }],
  ])('%j', (text, facts) => {
    expect(readProfileFacts(text)).toMatchObject(facts);
  });
});

import { describe, expect, test } from 'vitest';
import { PULL_FILTERS } from '../../../src/tunnel/attachment.ts';
import { readProfile } from '../../../src/tunnel/profile.ts';
import { readProfileFacts } from '../../../src/tunnel/profile-facts.ts';
import { warningsOf } from '../../../src/tunnel/profile-warnings.ts';

const warnings = (text: string, harden = false) =>
  warningsOf({
    profile: readProfile(text),
    facts: readProfileFacts(text),
    folder: '/hooks',
    harden,
  });

describe('a profile is warned of', () => {
  test.each<readonly [string, RegExp, string]>([
    [
      'remote a\nuser nobody',
      /becomes nobody .* That is safe/,
      'add: plugin openvpn-plugin-down-root.so "/hooks/down"',
    ],
    [
      'remote a\nuser nobody\nplugin down-root.so "/etc/own x"',
      /becomes nobody/,
      `call ours first in that plugin's line: "/hooks/down --then /etc/own x"`,
    ],
    [
      'remote a\ngroup nogroup',
      /becomes nogroup/,
      'add: plugin openvpn-plugin-down-root.so "/hooks/down"',
    ],
    [
      'remote a\nuser nobody\nchroot /srv',
      /chroot \/srv .* "down" never runs/,
      'remove: chroot /srv',
    ],
    ['remote a\nremote b\npersist-tun', /2 servers.* never reconnects/, 'remove: persist-tun'],
    [
      'remote a\nremote-random-hostname',
      /a new name at each connect/,
      'remove: remote-random-hostname; a server of AWS Client VPN wants a label before its name, and a fixed one will do: remote fixed.a',
    ],
    [
      'remote a\nconfig more.conf',
      /reads options from another file/,
      'put the lines of more.conf in place of: config more.conf',
    ],
    [
      'remote a 443 tcp\nsocks-proxy p',
      /only TCP may use a SOCKS proxy/,
      'use, if you do not already: proto tcp-client',
    ],
    [
      'remote a\nscript-security 2\nup /etc/openvpn/update-resolv-conf\ndown /etc/openvpn/update-resolv-conf',
      /update-resolv-conf sets the system's resolvers after ours/,
      'remove the up and down lines that call /etc/openvpn/update-resolv-conf',
    ],
    [
      'remote a\nup /x',
      /script-security is 1/,
      'remove the up, down and route-up lines that you do not want',
    ],
    [
      'client\nremote a',
      /^the server may push options that open nothing.*hardened\.ovpn/,
      'run attach with --harden',
    ],
  ])('%j', (text, what, fix) => {
    expect(warnings(text)).toEqual([{ what: expect.stringMatching(what), fix }]);
  });

  test.each([
    ['an ordinary one', 'remote a\nproto udp'],
    ['one whose random names are for an address', 'remote 203.0.113.5\nremote-random-hostname'],
    [
      'one that keeps root for down',
      'remote a\nuser nobody\nplugin openvpn-plugin-down-root.so "/hooks/down"',
    ],
    ['persist-tun with one server on several ports', 'remote a 1\nremote a 2\npersist-tun'],
    ['several servers without persist-tun', 'remote a\nremote b'],
    ['hooks that ran before', 'remote a\nscript-security 2\nup /x'],
    [
      'a client that refuses all of it',
      `client\nremote a\n${PULL_FILTERS.map((start) => `pull-filter ignore "${start}"\n`).join('')}`,
    ],
    ['a client that takes no options', 'tls-client\nremote a'],
  ])('nothing: %s', (_, text) => {
    expect(warnings(text)).toEqual([]);
  });

  test('nothing that --harden takes care of', () => {
    expect(warnings('client\nremote a', true)).toEqual([]);
  });
});

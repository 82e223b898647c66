import { describe, expect, test } from 'vitest';
import { CHECKS } from '../../../src/view/doctor/checks.ts';
import { readDoctorFacts } from '../../../src/view/doctor/facts.ts';
import { AILMENTS, found, HEALTHY, HOOKS, LOCKED, ROOMY } from '../../support/ailments.ts';
import { type FakeMachine, fakeHost } from '../../support/fake-host.ts';

/** Self-signed, with the subject CN=test. */
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBdTCCARugAwIBAgIUbbOzMSZeGZSipzw1DRcSkxSExm8wCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjIxNDIwNDNaGA8yMTI2MTAyOTE0MjA0
M1owDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABMVe
3Evogf/78yfQZvtGynrTaSqq7hBsi+U2Bjwoajj25st83hMVAE3A33UEjpAra4Qn
6YNROrrJSgUkZMiugZmjUzBRMB0GA1UdDgQWBBTYLfG5hyvTJ4YsU0o9TNhvG9M2
FTAfBgNVHSMEGDAWgBTYLfG5hyvTJ4YsU0o9TNhvG9M2FTAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0gAMEUCIEuIwSpR60ql0EiErMXBjpG1S/hkXP5/bvin
aZpvDb4HAiEAjQaA9IpC/CTDg/IFpGfkC3YnOr0o0FQ340Wwcf7gvOk=
-----END CERTIFICATE-----
`;

test('on a healthy machine nothing is wrong', () => {
  expect(found(HEALTHY)).toEqual([]);
});

describe('doctor finds', () => {
  test.each(AILMENTS)('%s, and what fixes it', (_ailment, change, what, fix) => {
    const findings = found({ ...HEALTHY, ...change });
    expect(findings).toHaveLength(1);
    expect(findings[0]?.what).toMatch(what);
    expect(findings[0]?.fix).toMatch(fix);
  });

  test('something for each of its checks', () => {
    const titles = new Set(
      AILMENTS.flatMap(([, change]) => found({ ...HEALTHY, ...change })).map(({ title }) => title),
    );
    // IPv6 without ip6tables concerns the other backend: see below.
    expect(CHECKS.map(({ title }) => title).filter((title) => !titles.has(title))).toEqual([
      'the rules cover IPv6',
    ]);
  });

  const { choice } = LOCKED;
  const iptables = {
    ...LOCKED,
    choice: { ...choice, backend: { ...choice.backend, name: 'iptables' } },
  } as const;

  test('the modules of the backend that is used', () => {
    const refused = { ...HEALTHY, refusal: 'no' };
    expect(found(refused)[0]?.fix).toMatch(/nf_tables/);
    expect(found({ ...refused, report: iptables })[0]?.fix).toMatch(/iptable_filter/);
  });

  test('nothing in a folder that only root may enter, when no hook is in there', () => {
    expect(
      found({
        ...HEALTHY,
        guarded: [{ path: '/var/lib/ovpn-killswitch', uid: 0, mode: 0o700, kind: 'folder' }],
      }),
    ).toEqual([]);
  });

  test('IPv6 that no ip6tables guards, with iptables alone', () => {
    const without = { ...HEALTHY, hasIp6tables: false };
    expect(found({ ...without, report: iptables })[0]?.what).toMatch(/no ip6tables/);
    expect(found(without)).toEqual([]);
  });
});

describe('what doctor looks at', () => {
  const machine = (more: FakeMachine = {}) =>
    readDoctorFacts(
      fakeHost({
        programs: ['nft', 'flock'],
        ...more,
        answer: (command, host) =>
          more.answer?.(command, host) ??
          (command.program === 'nft' ? { stdout: '{"nftables":[]}' } : {}),
        files: {
          [`${HOOKS}/up`]:
            '#!/usr/bin/env -S -u NODE_OPTIONS /usr/local/lib/ovpn-killswitch/node --v8-pool-size=0\n',
          '/usr/local/lib/ovpn-killswitch/node': '',
          ...more.files,
        },
      }),
      HEALTHY.program,
    );

  test('is the interpreter that the hooks name, not env', () => {
    expect(machine().interpreter).toEqual({
      path: '/usr/local/lib/ovpn-killswitch/node',
      isThere: true,
    });
  });

  test('is every folder above the hooks up to the root', () => {
    const paths = machine().guarded.map(({ path }) => path);
    expect(paths).toEqual(
      expect.arrayContaining(['/usr', '/usr/local/lib/ovpn-killswitch/hooks', `${HOOKS}/up`]),
    );
  });

  test('is every file that root runs or believes, whatever it is called', () => {
    const files = [
      '/usr/local/lib/ovpn-killswitch/hooks.js',
      '/var/lib/ovpn-killswitch/base.nft',
      '/run/ovpn-killswitch/tunnels/tun0',
    ];
    const paths = machine({
      files: Object.fromEntries(files.map((path) => [path, ''])),
    }).guarded.map(({ path }) => path);
    expect(paths).toEqual(expect.arrayContaining(files));
  });

  test('is the least that any unit file says, drop-ins included', () => {
    const files = {
      '/usr/lib/systemd/system/openvpn@.service': '[Service]\nTasksMax=10\nLimitNPROC=100\n',
      '/etc/systemd/system/openvpn@.service.d/mine.conf': '[Service]\nTasksMax=4\n',
    };
    expect(machine({ files }).units).toEqual([{ ...ROOMY, tasks: 4, processes: 100 }]);
  });

  test('is also a unit of one connection alone, with what its template says', () => {
    const files = {
      '/usr/lib/systemd/system/openvpn-client@.service':
        '[Service]\nLimitNPROC=10\nProtectSystem=true\n',
      '/etc/systemd/system/openvpn-client@me.service.d/hard.conf':
        '[Service]\nProtectSystem=strict\nReadWritePaths=-/run /var\nMemoryDenyWriteExecute=yes\n',
      '/usr/lib/systemd/system/openvpn-server@.service': '[Service]\nTasksMax=1\n',
    };
    const client = { ...ROOMY, name: 'openvpn-client@.service', tasks: undefined, processes: 10 };
    expect(machine({ files }).units).toEqual([
      client,
      { ...client, name: 'openvpn-client@me.service', refusesCompilers: true, readOnly: ['/etc'] },
    ]);
  });

  test('are chains of others that drop what leaves, and not those that accept it or look elsewhere', () => {
    const chain = (table: string, hook: string, policy: string) => ({
      chain: { family: 'inet', table, name: hook, hook, policy },
    });
    const chains = [
      chain('mine', 'output', 'drop'),
      chain('calm', 'output', 'accept'),
      chain('fw', 'input', 'drop'),
    ];
    const stdout = JSON.stringify({
      nftables: [...chains, chain('ovpn_killswitch', 'output', 'drop')],
    });
    const answer: FakeMachine['answer'] = ({ args }) => ({
      stdout: args.includes('chains') ? stdout : '{"nftables":[]}',
    });
    expect(machine({ answer }).otherDrops).toEqual(['inet mine output']);
  });

  test('is whether the modules of the running kernel are there, where there are any', () => {
    const kernel = { '/proc/sys/kernel/osrelease': '6.1.0-99\n' };
    expect(machine({ files: kernel }).hasModules).toBe(true);
    expect(
      machine({ files: { ...kernel, '/lib/modules/6.1.0-98/modules.dep': '' } }).hasModules,
    ).toBe(false);
    expect(
      machine({ files: { ...kernel, '/lib/modules/6.1.0-99/modules.dep': '' } }).hasModules,
    ).toBe(true);
  });

  test('is whether the resolvers can be set as the settings say', () => {
    const files = { '/etc/ovpn-killswitch/killswitch.env': 'KILLSWITCH_RESOLVER=resolvconf\n' };
    expect(machine({ files }).resolvers).toMatchObject({ code: 'RESOLVERS' });
  });

  test('are the certificates inside profiles and beside them', () => {
    const files = {
      '/etc/openvpn/client/a.conf': `client\n<ca>\n${CERTIFICATE}</ca>\ncert me.crt\n`,
      '/etc/openvpn/client/me.crt': CERTIFICATE,
    };
    const from = Date.UTC(2026, 10, 22) / 1000;
    const all = machine({ files }).certificates;
    expect(all.map(({ profile }) => profile)).toEqual([
      '/etc/openvpn/client/a.conf',
      '/etc/openvpn/client/a.conf',
    ]);
    for (const certificate of all)
      expect(Math.abs(certificate.from - from)).toBeLessThan(2 * 86_400);
  });

  test('is what the kernel says when it only checks the rules', () => {
    const answer: FakeMachine['answer'] = ({ program, args }) =>
      program === 'nft' && args.includes('--check')
        ? { status: 1, stderr: 'Error: no such type\n' }
        : { stdout: '{"nftables":[]}' };
    expect(machine({ answer }).refusal).toBe('nft: Error: no such type');
  });

  test('is what was denied to OpenVPN, and to nobody else', () => {
    const denied = (name: string) =>
      `[1.0] audit: apparmor="DENIED" operation="exec" profile="/usr/sbin/${name}"`;
    const answer: FakeMachine['answer'] = ({ program }) =>
      program === 'dmesg'
        ? { stdout: `${denied('openvpn')}\n${denied('cupsd')}\n` }
        : { stdout: '{"nftables":[]}' };
    expect(machine({ answer }).denials).toEqual([denied('openvpn')]);
  });
});

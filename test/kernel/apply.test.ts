import { describe, expect, test } from 'vitest';
import { differencesOf } from '../../src/backend/image.ts';
import { explainError } from '../../src/errors.ts';
import type { Command, Output } from '../../src/host/command.ts';
import type { Sandbox } from '../../src/host/sandbox.ts';
import { compile } from '../../src/ruleset/compile.ts';
import type { Ruleset } from '../../src/ruleset/ruleset.ts';
import { apply, look, removeRules } from '../../src/transaction/apply.ts';
import { backendOf, KINDS } from '../support/kinds.ts';
import { machineWith } from '../support/machine.ts';
import { onlyLists } from '../support/only-lists.ts';
import { POLICIES } from '../support/policies.ts';
import { sandboxHost } from '../support/sandbox-host.ts';
import { thrownBy } from '../support/thrown-by.ts';

const BLOCKED: Ruleset = compile(POLICIES['blocked, endpoints of both families']);
const CONNECTED: Ruleset = compile(POLICIES.connected);

const changes = ({ program }: Command) => program === 'nft' || program.endsWith('-restore');
const isCheck = (command: Command) =>
  changes(command) && command.args.some((word) => word === '--check' || word === '--test');
const isCommit = (command: Command) =>
  changes(command) && command.stdin !== undefined && !isCheck(command) && !onlyLists(command);

const FAILURE: Output = {
  status: 4,
  stdout: '',
  stderr: 'line 7 failed: \u001b[31mno such thing\n',
};

describe.each(KINDS)('%s', (kind) => {
  const machine = machineWith(kind);
  const backend = backendOf(kind);
  const families = kind === 'nftables' ? 1 : 2;

  /** A machine that is blocked, exactly. */
  function blocked(sandbox: Sandbox): void {
    apply(sandboxHost(sandbox), backend, BLOCKED);
  }
  const differences = (sandbox: Sandbox, ruleset: Ruleset) =>
    differencesOf(backend.image(ruleset), look(sandboxHost(sandbox), backend).image);
  const shell = (sandbox: Sandbox, script: string) => {
    const { status, stderr } = sandbox.run(['sh', '-ec', script]);
    if (status !== 0) throw new Error(`${script}: ${stderr}`);
  };

  test('a change is checked whole, then committed once for each family, IPv6 first', (context) => {
    const sandbox = machine.withUsers(context);
    blocked(sandbox);
    const host = sandboxHost(sandbox);
    expect(apply(host, backend, CONNECTED, BLOCKED)).toBe('added');
    const asked = host.commands.filter((command) => isCheck(command) || isCommit(command));
    expect(asked.map((command) => isCheck(command))).toEqual([
      ...Array(families).fill(true),
      ...Array(families).fill(false),
    ]);
    if (kind !== 'nftables')
      expect(asked.map(({ program }) => program)).toEqual([
        'ip6tables-restore',
        'iptables-restore',
        'ip6tables-restore',
        'iptables-restore',
      ]);
    expect(differences(sandbox, CONNECTED)).toEqual([]);
  });

  test('what is there already is not touched', (context) => {
    const sandbox = machine.withUsers(context);
    blocked(sandbox);
    const host = sandboxHost(sandbox);
    expect(apply(host, backend, BLOCKED)).toBe('unchanged');
    expect(host.commands.filter((command) => isCheck(command) || isCommit(command))).toEqual([]);
  });

  test('when the check fails, nothing is committed and the error says which command, what it said and what to do', (context) => {
    const sandbox = machine.withUsers(context);
    blocked(sandbox);
    const host = sandboxHost(sandbox, {
      intercept: (command, run) => (isCheck(command) ? FAILURE : run(command)),
    });
    const error = thrownBy(() => apply(host, backend, CONNECTED, BLOCKED));
    expect(error.code).toBe('REFUSED');
    expect(host.commands.filter(isCommit)).toEqual([]);
    expect(differences(sandbox, BLOCKED)).toEqual([]);
    const text = explainError(error).join('\n');
    expect(text).toMatch(
      kind === 'nftables'
        ? /nft --check -f -: exit status 4/
        : /ip6tables-restore --noflush -w 5 --test: exit status 4/,
    );
    expect(text).toContain('line 7 failed: \\x1b[31mno such thing');
    expect(text).toContain('Still safe: The rules that were loaded stay loaded.');
    expect(text).toMatch(/What to do: Fix the error in the lines above/);
  });

  test('when every commit fails, the rules that were there stay', (context) => {
    const sandbox = machine.withUsers(context);
    blocked(sandbox);
    const host = sandboxHost(sandbox, {
      intercept: (command, run) => (isCommit(command) ? FAILURE : run(command)),
    });
    const error = thrownBy(() => apply(host, backend, CONNECTED, BLOCKED));
    expect(error.code).toBe('REFUSED');
    expect(error.message).toContain('commit');
    expect(differences(sandbox, BLOCKED)).toEqual([]);
  });

  test('a commit that fails once is tried again', (context) => {
    const sandbox = machine.withUsers(context);
    blocked(sandbox);
    let commits = 0;
    const host = sandboxHost(sandbox, {
      intercept: (command, run) =>
        isCommit(command) && ++commits === families ? FAILURE : run(command),
    });
    expect(apply(host, backend, CONNECTED, BLOCKED)).not.toBe('unchanged');
    expect(differences(sandbox, CONNECTED)).toEqual([]);
  });

  test('a child that does not end in time is stopped, and the error says so', (context) => {
    const sandbox = machine.withUsers(context);
    blocked(sandbox);
    const slow = sandboxHost(sandbox, { milliseconds: 200 });
    const host = sandboxHost(sandbox, {
      intercept: (command, run) =>
        isCommit(command) ? slow.run({ program: 'sh', args: ['-c', 'sleep 2'] }) : run(command),
    });
    const error = thrownBy(() => apply(host, backend, CONNECTED, BLOCKED));
    expect(error.code).toBe('REFUSED');
    expect(error.detail.join('\n')).toContain('did not end by itself');
    expect(differences(sandbox, BLOCKED)).toEqual([]);
  });

  /** A change by another party between our look and our commit. */
  const OUTSIDERS: Readonly<Record<string, string>> =
    kind === 'nftables'
      ? {
          'deletes our table': 'nft delete table inet ovpn_killswitch',
          'flushes a chain of ours': 'nft flush chain inet ovpn_killswitch postrouting',
          'makes the chain we are about to make':
            'nft add chain inet ovpn_killswitch postrouting-tun0',
        }
      : {
          'removes our jump': 'iptables -D OUTPUT -j KILLSWITCH-OUTPUT',
          'flushes everything': 'iptables -F; ip6tables -F',
          'flushes and deletes everything': 'ip6tables -F; ip6tables -X',
          'puts a rule above our jump': 'iptables -I OUTPUT 1 -p tcp --dport 80 -j ACCEPT',
          'makes the chain we are about to make': 'ip6tables -N KILLSWITCH-O-tun0',
        };

  describe.each(Object.entries(OUTSIDERS))(
    'when another party %s between the look and the commit',
    (_, script) => {
      const meddle = (sandbox: Sandbox) => {
        let done = false;
        return sandboxHost(sandbox, {
          intercept: (command, run) => {
            if (isCommit(command) && !done) {
              done = true;
              shell(sandbox, script);
            }
            return run(command);
          },
        });
      };

      test('adding a tunnel ends with exactly the rules that should be there', (context) => {
        const sandbox = machine.withUsers(context);
        blocked(sandbox);
        apply(meddle(sandbox), backend, CONNECTED, BLOCKED);
        expect(differences(sandbox, CONNECTED)).toEqual([]);
        if (kind !== 'nftables')
          shell(sandbox, 'iptables -D OUTPUT -p tcp --dport 80 -j ACCEPT 2>/dev/null || :');
      });

      test('replacing everything does too', (context) => {
        const sandbox = machine.withUsers(context);
        apply(sandboxHost(sandbox), backend, compile(POLICIES['blocked, no IPv6']));
        apply(meddle(sandbox), backend, CONNECTED);
        expect(differences(sandbox, CONNECTED)).toEqual([]);
        if (kind !== 'nftables')
          shell(sandbox, 'iptables -D OUTPUT -p tcp --dport 80 -j ACCEPT 2>/dev/null || :');
      });
    },
  );

  test('when another party spoils every commit, the error says what is there instead', (context) => {
    const sandbox = machine.withUsers(context);
    blocked(sandbox);
    const spoil =
      kind === 'nftables'
        ? 'nft flush chain inet ovpn_killswitch tunnel-networks'
        : 'ip6tables -F KILLSWITCH-FIRST-NETWORKS';
    const host = sandboxHost(sandbox, {
      intercept: (command, run) => {
        const output = run(command);
        if (isCommit(command)) shell(sandbox, spoil);
        return output;
      },
    });
    const error = thrownBy(() => apply(host, backend, CONNECTED, BLOCKED));
    expect(error.code).toBe('VERIFY');
    expect(error.detail.join('\n')).toMatch(/tunnel-networks.*missing/i);
    expect(host.commands.filter(isCommit).length).toBeLessThan(50);
  });

  test('removing takes everything of ours, and a second time finds nothing to do', (context) => {
    const sandbox = machine.withUsers(context);
    blocked(sandbox);
    const host = sandboxHost(sandbox);
    const open = look(host, backend).policies.map((each) => ({
      ...each,
      policy: 'ACCEPT' as const,
    }));
    expect(removeRules(host, backend, open)).toBe('removed');
    expect(look(host, backend).present).toBe(false);
    expect(removeRules(host, backend, open)).toBe('unchanged');
  });

  test('when removing fails, the error is raised and the rules are still there', (context) => {
    const sandbox = machine.withUsers(context);
    blocked(sandbox);
    const host = sandboxHost(sandbox, {
      intercept: (command, run) => (isCommit(command) ? FAILURE : run(command)),
    });
    expect(thrownBy(() => removeRules(host, backend, [])).code).toBe('REFUSED');
    expect(differences(sandbox, BLOCKED)).toEqual([]);
  });
});

describe.each(['iptables-nft', 'iptables-legacy'] as const)('%s has two families', (kind) => {
  const machine = machineWith(kind);
  const backend = backendOf(kind);

  test.for([
    ['IPv6', 'ip6tables-restore', 'ipv6'],
    ['IPv4', 'iptables-restore', 'ipv4'],
  ] as const)(
    'when the kernel refuses the rules of %s for good, the other family is locked and the error says so',
    ([, program, family], context) => {
      const sandbox = machine.withUsers(context);
      const open = look(sandboxHost(sandbox), backend).policies.map((each) => ({
        ...each,
        policy: 'ACCEPT' as const,
      }));
      removeRules(sandboxHost(sandbox), backend, open);
      const host = sandboxHost(sandbox, {
        intercept: (command, run) =>
          isCommit(command) && command.program === program ? FAILURE : run(command),
      });
      const error = thrownBy(() => apply(host, backend, CONNECTED));
      expect(error.detail.join('\n')).toContain(`${program} --noflush -w 5: exit status 4`);
      const wrong = differencesOf(
        backend.image(CONNECTED),
        look(sandboxHost(sandbox), backend).image,
      );
      expect([...new Set(wrong.map((each) => each.family))]).toEqual([family]);
      expect(error.code).toBe('PARTLY');
    },
  );
});

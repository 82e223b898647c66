import { describe, expect, test } from 'vitest';
import type { Backend, Transaction } from '../../../src/backend/backend.ts';
import type { Image } from '../../../src/backend/image.ts';
import { KillswitchError } from '../../../src/errors.ts';
import type { Command, Output } from '../../../src/host/command.ts';
import { decide } from '../../../src/policy/policy.ts';
import { compile } from '../../../src/ruleset/compile.ts';
import type { Ruleset } from '../../../src/ruleset/ruleset.ts';
import { apply, differenceLines, look, removeRules } from '../../../src/transaction/apply.ts';
import { type FakeHost, fakeHost } from '../../support/fake-host.ts';
import { POLICIES, TUN0, TUN1 } from '../../support/policies.ts';
import { thrownBy } from '../../support/thrown-by.ts';

/**
 * A backend of two families whose kernel is a list in memory: a look prints it, a check does
 * nothing, a commit writes one family of it. A command's first argument says what it does.
 */
const families = ['ipv4', 'ipv6'] as const;
const imageOf = (ruleset: Ruleset): Image =>
  families.flatMap((family) =>
    ruleset.map(({ name, rules }) => ({
      family,
      name,
      policy: undefined,
      ordered: true,
      rules: rules.map((rule) => ({ id: rule.id, text: JSON.stringify(rule) })),
    })),
  );

function transaction(kind: 'replace' | 'add', image: Image): Transaction {
  const command = (step: 'check' | 'commit', family: string): Command => ({
    program: family === 'ipv4' ? 'iptables-restore' : 'ip6tables-restore',
    args: [step, kind, family],
    stdin: JSON.stringify(image.filter((chain) => chain.family === family)),
  });
  return {
    check: families.map((family) => command('check', family)),
    commit: families.map((family) => command('commit', family)),
  };
}

const BACKEND: Backend = {
  name: 'iptables',
  look: [{ program: 'iptables-save', args: ['look'] }],
  restores: [],
  survey: ([output]) => {
    const image = JSON.parse(output?.stdout ?? '[]') as Image;
    return { image, policies: [], present: image.length > 0 };
  },
  image: imageOf,
  replace: (ruleset) => transaction('replace', imageOf(ruleset)),
  add: (_, to) => transaction('add', imageOf(to)),
  fingerprint: [],
  fingerprintOf: () => '',
  amend: () => [],
  amended: () => undefined,
  remove: (found) => (found.present ? transaction('replace', []) : { check: [], commit: [] }),
  bootText: () => ({}),
};

/**
 * A kernel that does what it is told, but for what `trouble` says; `trouble` may also change it
 * behind our back.
 */
interface Kernel {
  image: Image;
}
type Trouble = (command: Command, kernel: Kernel, times: number) => Partial<Output> | undefined;

function machine(
  start: Image,
  trouble: Trouble = () => undefined,
): { readonly host: FakeHost; readonly kernel: Kernel; readonly steps: () => readonly string[] } {
  const kernel: Kernel = { image: start };
  const times = new Map<string, number>();
  const host = fakeHost({
    answer: (command) => {
      const step = command.args.join(' ');
      times.set(step, (times.get(step) ?? 0) + 1);
      const answer = trouble(command, kernel, times.get(step) ?? 0);
      if (answer !== undefined) return answer;
      const [kind, , family] = command.args;
      if (kind === 'commit')
        kernel.image = [
          ...kernel.image.filter((chain) => chain.family !== family),
          ...(JSON.parse(command.stdin ?? '[]') as Image),
        ];
      return { stdout: JSON.stringify(kernel.image) };
    },
  });
  return { host, kernel, steps: () => host.commands.map(({ args }) => args.join(' ')) };
}

const { base } = POLICIES.connected;
const BLOCKED = compile(decide(base, []));
const ONE = compile(decide(base, [TUN0]));
const TWO = compile(decide(base, [TUN0, TUN1]));
const REPLACED = [
  'look',
  'check replace ipv4',
  'check replace ipv6',
  'commit replace ipv4',
  'commit replace ipv6',
  'look',
];
const REFUSED = { status: 2, stderr: 'line 3 failed\n\u001b[31m' };

describe('bringing the kernel to a ruleset', () => {
  test('does nothing when it is there already', () => {
    const { host, steps } = machine(imageOf(ONE));
    expect(apply(host, BACKEND, ONE)).toBe('unchanged');
    expect(steps()).toEqual(['look']);
  });

  test('looks, checks all, commits all, and looks again', () => {
    const { host, kernel, steps } = machine([]);
    expect(apply(host, BACKEND, ONE)).toBe('replaced');
    expect(steps()).toEqual(REPLACED);
    expect(kernel.image).toEqual(imageOf(ONE));
  });

  test('only adds when the kernel holds exactly what was grown from', () => {
    const { host, kernel, steps } = machine(imageOf(ONE));
    expect(apply(host, BACKEND, TWO, ONE)).toBe('added');
    expect(steps().filter((step) => step.startsWith('commit'))).toEqual([
      'commit add ipv4',
      'commit add ipv6',
    ]);
    expect(kernel.image).toEqual(imageOf(TWO));
  });

  test('replaces when the kernel holds anything else', () => {
    const { host, steps } = machine(imageOf(BLOCKED));
    expect(apply(host, BACKEND, TWO, ONE)).toBe('replaced');
    expect(steps()).toEqual(REPLACED);
  });

  test('replaces when adding failed', () => {
    const { host, kernel } = machine(imageOf(ONE), ({ args }) =>
      args[1] === 'add' ? REFUSED : undefined,
    );
    expect(apply(host, BACKEND, TWO, ONE)).toBe('replaced');
    expect(kernel.image).toEqual(imageOf(TWO));
  });

  test('commits nothing when a check fails, and says so after one more try', () => {
    const { host, kernel, steps } = machine(imageOf(ONE), ({ args }) =>
      args.join(' ') === 'check replace ipv6' ? REFUSED : undefined,
    );
    const { code, message, detail } = thrownBy(() => apply(host, BACKEND, TWO));
    expect([code, message]).toEqual(['REFUSED', 'the kernel refused the rules (check)']);
    expect(detail).toEqual([
      'ip6tables-restore check replace ipv6: exit status 2',
      'line 3 failed',
      '\\x1b[31m',
    ]);
    expect(steps().filter((step) => step.startsWith('commit'))).toEqual([]);
    expect(steps().filter((step) => step === 'check replace ipv6').length).toBe(2);
    expect(kernel.image).toEqual(imageOf(ONE));
  });

  test('locks the other family when one cannot be, and says that it is partly done', () => {
    const { host, kernel } = machine([], ({ args }) =>
      args.join(' ') === 'commit replace ipv4' ? REFUSED : undefined,
    );
    const { code, detail } = thrownBy(() => apply(host, BACKEND, ONE));
    expect(code).toBe('PARTLY');
    expect(detail[0]).toBe('iptables-restore commit replace ipv4: exit status 2');
    expect(kernel.image).toEqual(imageOf(ONE).filter(({ family }) => family === 'ipv6'));
  });

  test('says that no rules were taken when every commit fails', () => {
    const { host } = machine([], ({ args }) => (args[0] === 'commit' ? REFUSED : undefined));
    expect(thrownBy(() => apply(host, BACKEND, ONE))).toMatchObject({
      code: 'REFUSED',
      message: 'the kernel refused the rules (commit)',
    });
  });

  test('says of a program that was stopped that it did not end by itself', () => {
    const { host } = machine([], ({ args }) =>
      args[0] === 'check' ? { status: null } : undefined,
    );
    expect(thrownBy(() => apply(host, BACKEND, ONE)).detail[0]).toMatch(
      /^iptables-restore .*: did not end by itself$/,
    );
  });

  test('is refused when the kernel accepted the rules but lists different ones', () => {
    const { host } = machine([], ({ args }, kernel) => {
      if (args[0] !== 'commit') return undefined;
      kernel.image = imageOf(BLOCKED);
      return {};
    });
    const { code, detail } = thrownBy(() => apply(host, BACKEND, ONE));
    expect(code).toBe('VERIFY');
    expect(detail.length).toBeGreaterThan(0);
  });

  test('is refused when a commit claims to have worked and changed nothing', () => {
    const { host, steps } = machine([], ({ args }) => (args[0] === 'commit' ? {} : undefined));
    expect(thrownBy(() => apply(host, BACKEND, ONE)).code).toBe('VERIFY');
    expect(steps().filter((step) => step === 'look').length).toBeLessThan(5);
  });

  test('is tried again when somebody else was faster: what was looked at no longer holds', () => {
    const { host, kernel, steps } = machine([], ({ args }, now, times) => {
      if (args.join(' ') !== 'commit replace ipv4' || times > 3) return undefined;
      now.image = [
        ...imageOf(BLOCKED),
        { family: undefined, name: `other ${times}`, policy: undefined, ordered: true, rules: [] },
      ];
      return REFUSED;
    });
    // The other one's chain is of no family, so that a commit of both leaves it: what we verify is
    // ours.
    const ours: Backend = {
      ...BACKEND,
      survey: (outputs) => {
        const survey = BACKEND.survey(outputs);
        return steps().filter((step) => step === 'look').length > 4
          ? { ...survey, image: survey.image.filter(({ family }) => family !== undefined) }
          : survey;
      },
    };
    expect(apply(host, ours, ONE)).toBe('replaced');
    expect(steps().filter((step) => step === 'commit replace ipv4').length).toBe(4);
    expect(kernel.image.filter(({ family }) => family !== undefined)).toEqual(
      expect.arrayContaining([...imageOf(ONE)]),
    );
  });

  test('ends when somebody else is always faster', () => {
    const { host, steps } = machine([], ({ args }, kernel, times) => {
      if (args[0] !== 'look') return undefined;
      kernel.image = [
        { family: 'ipv4', name: `other ${times}`, policy: undefined, ordered: true, rules: [] },
      ];
      return { stdout: JSON.stringify(kernel.image) };
    });
    expect(thrownBy(() => apply(host, BACKEND, ONE)).code).toBe('VERIFY');
    expect(steps().filter((step) => step === 'look').length).toBeLessThan(30);
  });

  test('is done, with a warning, when each rule is in its place in words that are new to us', () => {
    const { host } = machine([], ({ args }, kernel) => {
      if (args[0] !== 'look') return undefined;
      const spelled = kernel.image.map((chain) => ({
        ...chain,
        rules: chain.rules.map((rule) => ({ ...rule, text: `new ${rule.text}` })),
      }));
      return { stdout: JSON.stringify(spelled) };
    });
    expect(apply(host, BACKEND, ONE)).toBe('replaced');
    expect(host.logged).toMatchObject([{ level: 'warn', event: 'spelling' }]);
  });

  test('is not done when such words were there before us: nothing says that they are ours', () => {
    const spelled = imageOf(ONE).map((chain) => ({
      ...chain,
      rules: chain.rules.map((rule) => ({ ...rule, text: `new ${rule.text}` })),
    }));
    const { host } = machine(spelled, ({ args }) => (args[0] === 'check' ? REFUSED : undefined));
    expect(thrownBy(() => apply(host, BACKEND, ONE)).code).toBe('REFUSED');
  });

  test('ends at once when the time is up, with the rules as they were', () => {
    const { host, kernel } = machine(imageOf(ONE));
    const late: FakeHost = {
      ...host,
      run: (command) => {
        if (command.args[0] === 'commit')
          throw new KillswitchError('DEADLINE', 'the time is up', 'Try again.');
        return host.run(command);
      },
    };
    expect(thrownBy(() => apply(late, BACKEND, TWO)).code).toBe('DEADLINE');
    expect(kernel.image).toEqual(imageOf(ONE));
  });
});

describe('half a commit', () => {
  test('is told as such when the time is up before the other half', () => {
    const { host } = machine(imageOf(ONE));
    const halves: Backend = {
      ...BACKEND,
      replace: (ruleset, found) => {
        const { check, commit } = BACKEND.replace(ruleset, found);
        return { check, commit: [...commit, ...commit] };
      },
    };
    let commits = 0;
    let late = false;
    const slow: FakeHost = {
      ...host,
      run: (command) => {
        if (command.args[0] === 'commit') late = ++commits > 1;
        if (late) throw new KillswitchError('DEADLINE', 'the time is up', 'Try again.');
        return host.run(command);
      },
    };
    const told = thrownBy(() => apply(slow, halves, TWO));
    expect(told.code).toBe('PARTLY');
    expect(told.detail.join(' ')).toContain('the time is up');
  });
});

describe('looking', () => {
  test('runs what the backend says and nothing else', () => {
    const { host, steps } = machine(imageOf(ONE));
    expect(look(host, BACKEND)).toMatchObject({
      present: true,
      image: JSON.parse(JSON.stringify(imageOf(ONE))),
    });
    expect(steps()).toEqual(['look']);
  });
});

describe('taking the rules away', () => {
  test('does nothing where there are none', () => {
    const { host, steps } = machine([]);
    expect(removeRules(host, BACKEND, [])).toBe('unchanged');
    expect(steps()).toEqual(['look']);
  });

  test('leaves none', () => {
    const { host, kernel } = machine(imageOf(ONE));
    expect(removeRules(host, BACKEND, [])).toBe('removed');
    expect(kernel.image).toEqual([]);
  });

  test('is tried again, and then an error', () => {
    const once = machine(imageOf(ONE), ({ args }, _, times) =>
      args.join(' ') === 'check replace ipv4' && times === 1 ? REFUSED : undefined,
    );
    expect(removeRules(once.host, BACKEND, [])).toBe('removed');
    const never = machine(imageOf(ONE), ({ args }) => (args[0] === 'check' ? REFUSED : undefined));
    expect(thrownBy(() => removeRules(never.host, BACKEND, [])).code).toBe('REFUSED');
    const pretends = machine(imageOf(ONE), ({ args }) => (args[0] === 'commit' ? {} : undefined));
    expect(thrownBy(() => removeRules(pretends.host, BACKEND, [])).code).toBe('VERIFY');
  });
});

describe('differences as lines', () => {
  test('name family, chain and reason, and how many more there are', () => {
    const difference = { family: 'ipv6', chain: 'OUT', id: 'lan', what: 'missing: x' } as const;
    expect(
      differenceLines([difference, { ...difference, family: undefined, id: undefined }]),
    ).toEqual(['ipv6 OUT (lan): missing: x', 'OUT: missing: x']);
    expect(differenceLines(Array.from({ length: 10 }, () => difference))).toHaveLength(9);
    expect(differenceLines(Array.from({ length: 10 }, () => difference)).at(-1)).toBe('and 2 more');
  });
});

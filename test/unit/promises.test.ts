import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

const ROOT = new URL('../../', import.meta.url).pathname;
/** Its paragraphs and items, a line each. */
const unwrapped = (text: string) => text.replace(/\n {2,3}(?=\S)|(?<=\S)\n(?=[^\n*\d#-])/g, ' ');
const textOf = (path: string) => readFileSync(join(ROOT, path), 'utf8');

/** The page that makes the promises. */
const GUARANTEES = 'docs/explanation/guarantees.md';

/** A test that would fail if the promise did not hold: its file, and the beginning of its name. */
type Holder = readonly [file: string, name: string];

/** A sentence of a document, as it stands there, and what holds it. */
interface Promised {
  readonly document: typeof GUARANTEES;
  readonly sentence: string;
  readonly heldBy: readonly Holder[];
}

const LEAKS = 'test/e2e/leaks.ts';
const INVARIANTS: Holder = ['test/unit/ruleset/leaks.test.ts', 'over the full product of packets'];
const SPECIFICATION: Holder = ['test/unit/ruleset/promises.test.ts', 'gets what is promised'];
const MUTANTS: Holder = [
  'test/unit/ruleset/mutation.test.ts',
  'never lets more pass without breaking',
];
const KERNEL: Holder = ['test/support/decisions.ts', 'the kernel decides as the evaluation does'];

const PROMISES: readonly Promised[] = [
  {
    document: GUARANTEES,
    sentence: 'It does not matter whether OpenVPN runs, reconnects, crashes or is stopped.',
    heldBy: [
      [LEAKS, 'nothing leaves once it is locked, before the first connection'],
      [LEAKS, 'nothing leaves in clear while it connects and while it is connected'],
      [LEAKS, ', and it connects again'],
      ['test/lab/watch-killed-client.test.ts', ''],
    ],
  },
  {
    document: GUARANTEES,
    sentence: 'While it is locked, these packets may leave, and no others:',
    heldBy: [INVARIANTS, SPECIFICATION, MUTANTS, KERNEL],
  },
  {
    document: GUARANTEES,
    sentence: '* Packets of this machine to itself.',
    heldBy: [['test/support/decisions.ts', 'this machine talks to itself, both ways']],
  },
  {
    document: GUARANTEES,
    sentence: '* DHCP and IPv6 neighbour discovery. No network works without them.',
    heldBy: [
      INVARIANTS,
      ['test/support/leak-invariants.ts', 'DHCP leaves towards servers of the link alone'],
      ['test/support/leak-invariants.ts', 'neighbour messages leave as the protocol has them'],
    ],
  },
  {
    document: GUARANTEES,
    sentence:
      "* The OpenVPN client's own packets to its endpoints. Address, port and transport must match. By default, the account must be root or the client's own.",
    heldBy: [
      [LEAKS, 'the prober is not root, so that it may not speak to the endpoint'],
      ['test/regressions/CVE-2023-36673-tunnelcrack-serverip.test.ts', ''],
      [
        'test/unit/ruleset/leaks.test.ts',
        'opens nothing beside itself but its endpoints, to the client alone',
      ],
    ],
  },
  {
    document: GUARANTEES,
    sentence: '* The SSH session in which you ran `lock`, if you used SSH.',
    heldBy: [
      ['test/lab/ssh-session.test.ts', 'lock, said in an SSH session from the internet'],
      ['test/regressions/an-ordinary-connection-is-no-ssh-session.test.ts', ''],
    ],
  },
  {
    document: GUARANTEES,
    sentence:
      "* For some minutes after `portal`: one user's packets to the web and DNS of [a network with a login page](../how-to/login-page.md).",
    heldBy: [
      ['test/lab/portal.test.ts', 'in a portal one user reaches the web'],
      ['test/lab/portal.test.ts', 'closes by itself at its time'],
    ],
  },
  {
    document: GUARANTEES,
    sentence:
      '* Packets to the LAN. By default, that is every private address, local multicast and broadcast, without DNS (ports 53, 853 and 5355). Settings can shut the LAN, or allow one resolver there.',
    heldBy: [
      [LEAKS, 'ping, TCP and UDP work on the LAN'],
      [LEAKS, 'no resolver of the LAN or the ISP answers'],
    ],
  },
  {
    document: GUARANTEES,
    sentence:
      "* Packets into a live tunnel. DNS goes only to the tunnel's own resolvers, and IPv6 only into a tunnel with an IPv6 address.",
    heldBy: [[LEAKS, 'ping, TCP, UDP and DNS work through the tunnel'], INVARIANTS],
  },
  {
    document: GUARANTEES,
    sentence:
      '* Frames between two ports of one bridge. This machine neither routes nor sends them.',
    heldBy: [
      SPECIFICATION,
      [
        'test/regressions/a-bridge-passes-its-own-frames.test.ts',
        'frames of one bridge pass, and nothing that the machine routes or sends',
      ],
    ],
  },
  {
    document: GUARANTEES,
    sentence: '1. **The base rules outlive everything.**',
    heldBy: [
      ['test/hooks/kill.test.ts', 'after kill -9 at any of'],
      ['test/lab/boot-minute.test.ts', ''],
      ['test/lab/boot-life.test.ts', ''],
    ],
  },
  {
    document: GUARANTEES,
    sentence: '2. **No hook ever opens the network.**',
    heldBy: [
      ['test/unit/ruleset/leaks.test.ts', 'opens nothing beside itself but its endpoints'],
      ['test/hooks/convergence.test.ts', 'an unlock in the middle of ups leaves the machine open'],
      ['test/lab/timed.test.ts', 'a lock that nobody confirms is taken back'],
    ],
  },
  {
    document: GUARANTEES,
    sentence: '3. **All or nothing.**',
    heldBy: [
      ['test/kernel/apply.test.ts', 'when the check fails, nothing is committed'],
      ['test/kernel/apply.test.ts', 'when every commit fails, the rules that were there stay'],
      ['test/hooks/kill.test.ts', 'after kill -9 at any of'],
    ],
  },
  {
    document: GUARANTEES,
    sentence: "4. **Other programs' rules are not touched.**",
    heldBy: [
      [
        'test/kernel/rules-of-others.test.ts',
        'nothing of theirs changes through lock, up, down and unlock',
      ],
      [
        'test/kernel/rules-of-others.test.ts',
        'what others change while it is locked stays after unlock',
      ],
    ],
  },
  {
    document: GUARANTEES,
    sentence: '5. **`status` reads its answer from the kernel, at that moment.**',
    heldBy: [
      [
        'test/support/tampering.ts',
        'status says where, to programs and people, and lock repairs it',
      ],
      ['test/regressions/a-failed-command-says-what-the-kernel-holds.test.ts', ''],
    ],
  },
];

/** The promises that the table has to have: those of the page's two lists, all of them. */
function promisesOf(text: string): readonly string[] {
  const [, list = ''] = text.split('these packets may leave, and no others:\n\n');
  return [
    ...(list.split('\n\n')[0] ?? '').split('\n'),
    ...[...text.matchAll(/^\d\. \*\*[^*]*\*\*/gm)].map(([head]) => head),
  ];
}

const page = (): string =>
  [
    '# Promises and tests\n',
    'Each heading is a promise of [Guarantees](guarantees.md). Below it are the tests that fail if the promise does not hold.\n',
    '`npx vitest run test/unit/promises.test.ts -u` writes this page from the table in that file. The test also checks that each sentence and each test exists.\n',
    ...PROMISES.map(
      ({ sentence, heldBy }) =>
        `## ${sentence
          .replace(/^(\* |\d\. )/, '')
          .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
          .replace(/\*\*/g, '')}\n\n${heldBy
          .map(
            ([file, name]) =>
              `* \`${file}\`${name === '' ? '' : `: ${name.replace(/^, /, 'nothing leaves in clear on each fault, ')}`}`,
          )
          .join('\n')}\n`,
    ),
  ].join('\n');

describe.each(PROMISES)('$sentence', ({ document, sentence, heldBy }) => {
  test('is made by its document', () => {
    expect(unwrapped(textOf(document))).toContain(sentence);
  });

  test.each(heldBy)('is held by %s "%s"', (file, name) => {
    const text = textOf(file);
    if (name === '') expect(text).toMatch(/\btest[.(]/);
    else expect(text).toContain(name);
  });
});

test('every promise of the guarantees is in the table', () => {
  const made = promisesOf(unwrapped(textOf(GUARANTEES)));
  expect(made.filter((sentence) => sentence.startsWith('* ')).length).toBeGreaterThan(4);
  expect(made.filter((sentence) => /^\d/.test(sentence)).length).toBeGreaterThan(4);
  expect(PROMISES.map(({ sentence }) => sentence)).toEqual(expect.arrayContaining([...made]));
});

test('docs/explanation/promises.md is made from the table', async () => {
  await expect(page()).toMatchFileSnapshot('../../docs/explanation/promises.md');
});

import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { openSandbox, type Ran, type Sandbox, sandboxObstacle } from '../../src/host/sandbox.ts';
import type { BackendName } from '../../src/policy/settings.ts';
import type { HookName } from '../../src/tunnel/hook-event.ts';

export const LIBRARY = '/usr/local/lib/ovpn-killswitch';
export const SETTINGS = '/etc/ovpn-killswitch/killswitch.env';
export const STATE = '/var/lib/ovpn-killswitch';
export const TUNNELS = '/run/ovpn-killswitch/tunnels';
export const FORMER = '/run/ovpn-killswitch/former';
export const LOG = '/var/log/ovpn-killswitch.log';
export const BACKENDS: readonly BackendName[] = ['iptables', 'nftables'];

/** The built command, before it is installed. */
export const BUILT_COMMAND = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));

/** OpenVPN's input to a hook: its arguments after `$0`, and the whole environment. */
export interface Call {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Rules by chain, as the kernel lists them: `ipv4 OUTPUT`, `nft output`. A policy is the chain's
 * first line.
 */
export type Rules = Readonly<Record<string, readonly string[]>>;

/** Version 1 of `status --json`. */
export interface Status {
  readonly state: 'unlocked' | 'open' | 'blocked' | 'portal' | 'connected';
  readonly exact: boolean;
  readonly settingsChanged: boolean;
  readonly backend: BackendName;
  readonly trace: readonly string[];
  readonly endpoints: readonly string[];
  readonly tunnels: readonly {
    readonly device: string;
    /** Seconds since 1970. */
    readonly since: number;
    readonly endpoints: readonly string[];
    readonly addresses: readonly string[];
    readonly resolvers: readonly string[];
    readonly networks: readonly string[];
    readonly stale: boolean;
  }[];
  readonly former: readonly {
    readonly kind: string;
    readonly device: string;
    readonly networks: readonly string[];
  }[];
  readonly boot: {
    readonly with: string | null;
    readonly sysctl: boolean;
    readonly problems: readonly string[];
  };
  readonly watch: { readonly enabled: boolean; readonly running: boolean };
  readonly differences: readonly unknown[];
}

/** A sandbox in which ovpn-killswitch is installed. */
export interface Machine {
  readonly sandbox: Sandbox;
  /** Runs argv in the sandbox. */
  run(...argv: readonly string[]): Ran;
  sh(script: string): Ran;
  /** A hook as OpenVPN runs it: the environment is the call's and nothing else. */
  hook(name: HookName, call: Call): Ran;
  /** The same, without waiting for its end. */
  startHook(name: HookName, call: Call): Promise<Ran>;
  command(...args: readonly string[]): Ran;
  status(): Status;
  rules(): Rules;
  read(path: string): string;
  write(path: string, text: string | Uint8Array): void;
  exists(path: string): boolean;
  list(path: string): readonly string[];
  /** The entries of the log file from here on. */
  logMark(): () => readonly LogLine[];
  settings(...lines: readonly string[]): void;
  /** Forgets every tunnel, writes these settings and locks. */
  relock(...lines: readonly string[]): void;
}

export interface LogLine {
  readonly level: number;
  readonly name: string;
  readonly event: string;
  readonly msg: string;
  readonly applied?: 'unchanged' | 'added' | 'removed' | 'replaced';
}

export function hookArgv(name: HookName, { argv, env }: Call): readonly string[] {
  // OpenVPN always says why a tunnel goes down: a call that does not is the end of its client.
  const told = name === 'down' ? { signal: 'sigterm', ...env } : env;
  return [
    '/usr/bin/env',
    '-i',
    ...Object.entries(told).map(([key, value]) => `${key}=${value}`),
    `${LIBRARY}/hooks/${name}`,
    ...argv,
  ];
}

function chainsOfSave(family: string, text: string): Rules {
  const chains: Record<string, string[]> = {};
  for (const line of text.split('\n')) {
    const [, declared, policy] = /^:(\S+) (\S+)/.exec(line) ?? [];
    if (declared !== undefined)
      chains[`${family} ${declared}`] = policy === '-' ? [] : [`policy ${policy}`];
    const [, chain, rule] = /^-A (\S+) (.*)$/.exec(line) ?? [];
    if (chain !== undefined && rule !== undefined) chains[`${family} ${chain}`]?.push(rule);
  }
  return chains;
}

function chainsOfNft(text: string): Rules {
  const chains: Record<string, string[]> = {};
  let chain: string[] = [];
  for (const line of text.split('\n').map((each) => each.trim())) {
    const [, name] = /^chain (\S+) \{$/.exec(line) ?? [];
    if (name !== undefined) {
      chain = [];
      chains[`nft ${name}`] = chain;
    } else if (line !== '' && line !== '}' && !line.startsWith('table ')) chain.push(line);
  }
  return chains;
}

/** Every line of the rules with its chain. */
export function ruleLines(rules: Rules): readonly string[] {
  return Object.entries(rules).flatMap(([chain, each]) => [
    `${chain} {}`,
    ...each.map((line) => `${chain} ${line}`),
  ]);
}

/** The lines of `after` that `before` does not have. */
export function addedLines(before: Rules, after: Rules): readonly string[] {
  const known = new Set(ruleLines(before));
  return ruleLines(after).filter((line) => !known.has(line));
}

/**
 * Rules without the addresses that ended tunnels keep shut. A rule that names `device` stays.
 */
export function withoutEnded(rules: Rules, device?: string): Rules {
  const names = (line: string) => device !== undefined && line.includes(device);
  return Object.fromEntries(
    Object.entries(rules).map(([chain, lines]) => [
      chain,
      /tunnel-(address|source)$/i.test(chain) ? lines.filter(names) : lines,
    ]),
  );
}

/**
 * Rules whose order decides nothing, in one order: those that tunnels add to the chains that all of
 * them share.
 */
export function unordered(rules: Rules): Rules {
  return Object.fromEntries(
    Object.entries(rules)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([chain, lines]) => [
        chain,
        /(live-endpoint|tunnel-[a-z]+|from-tunnel|first-[a-z]+)$/i.test(chain)
          ? [...lines].sort()
          : lines,
      ]),
  );
}

const READ_RULES =
  'iptables-save -t filter; echo ====; ip6tables-save -t filter; echo ====; nft -s list table inet ovpn_killswitch 2>/dev/null; true';

export function ran(process: Ran): string {
  return `status ${process.status}\n${process.stdout}${process.stderr}`;
}

/** @throws Error with what the program said, unless it ended with 0. */
export function must(process: Ran): Ran {
  if (process.status !== 0) throw new Error(ran(process));
  return process;
}

export async function installMachine(): Promise<Machine> {
  const sandbox = await openSandbox();
  const path = (inside: string) => `/proc/${sandbox.pid}/root${inside}`;
  const run = (...argv: readonly string[]) => sandbox.run(argv);
  const sh = (script: string) => run('sh', '-c', script);
  // The captured environments name a daemon by its number, and none is between 12705 and 22997: no
  // process here has one of theirs by chance.
  sh('echo 12705 > /proc/sys/kernel/ns_last_pid');
  must(run(process.execPath, BUILT_COMMAND, 'install'));
  const command = (...args: readonly string[]) => run(`${LIBRARY}/cli.js`, ...args);
  const machine: Machine = {
    sandbox,
    run,
    sh,
    command,
    hook: (name, call) => sandbox.run(hookArgv(name, call)),
    startHook: async (name, call) => {
      const child = sandbox.start(hookArgv(name, call));
      let stdout = '';
      let stderr = '';
      child.stdout?.on('data', (chunk) => {
        stdout += String(chunk);
      });
      child.stderr?.on('data', (chunk) => {
        stderr += String(chunk);
      });
      await once(child, 'close');
      return { status: child.exitCode, stdout, stderr };
    },
    status: () => {
      const process = command('status', '--json');
      if (process.stdout === '') throw new Error(ran(process));
      return JSON.parse(process.stdout) as Status;
    },
    rules: () => {
      const [four = '', six = '', nft = ''] = must(sh(READ_RULES)).stdout.split('====\n');
      return { ...chainsOfSave('ipv4', four), ...chainsOfSave('ipv6', six), ...chainsOfNft(nft) };
    },
    read: (inside) => readFileSync(path(inside), 'utf8'),
    write: (inside, text) => {
      mkdirSync(dirname(path(inside)), { recursive: true });
      writeFileSync(path(inside), text);
    },
    exists: (inside) => existsSync(path(inside)),
    list: (inside) => (existsSync(path(inside)) ? readdirSync(path(inside)).sort() : []),
    logMark: () => {
      const length = () => (existsSync(path(LOG)) ? readFileSync(path(LOG), 'utf8') : '');
      const before = length().length;
      return () =>
        length()
          .slice(before)
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => JSON.parse(line) as LogLine);
    },
    settings: (...lines) =>
      writeFileSync(path(SETTINGS), lines.map((line) => `${line}\n`).join('')),
    relock: (...lines) => {
      for (const folder of [TUNNELS, FORMER])
        rmSync(path(folder), { recursive: true, force: true });
      machine.settings(...lines);
      must(command('lock', '--force'));
    },
  };
  return machine;
}

let obstacle: { readonly why: string | undefined } | undefined;

/** Why no sandbox can be made here; asked once for each file. */
export function machineObstacle(): string | undefined {
  obstacle ??= { why: sandboxObstacle() };
  return obstacle.why;
}

/**
 * One machine for all tests of a `describe` or a file. Where none can be made its tests are skipped
 * with the reason.
 */
export function useMachine(prepare?: (machine: Machine) => void): () => Machine {
  let machine: Machine | undefined;
  beforeAll(async () => {
    if (machineObstacle() !== undefined) return;
    machine = await installMachine();
    prepare?.(machine);
  });
  beforeEach((context) => {
    const why = machineObstacle();
    if (why !== undefined) context.skip(why);
  });
  afterAll(() => machine?.sandbox.close());
  return () => {
    if (machine === undefined) throw new Error('there is no machine');
    return machine;
  };
}

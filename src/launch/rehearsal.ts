import { readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { PATHS } from '../host/paths.ts';
import { BACKENDS, compileHooks, hooksOf, readProgram } from './hook-program.ts';

/**
 * A program of its own. It runs a connection with every hook, so that V8 compiles the functions
 * they use. Then it writes the code caches of the program named by its argument to stdout. Each
 * backend that works here gets one line: its name and the cache in Base64. `rehearse` starts it in
 * private namespaces, with private rules and files.
 */
const DEVICE = 'rehearsal0';
const CONNECTION: Readonly<Record<string, string>> = {
  dev: DEVICE,
  script_context: 'init',
  trusted_ip: '203.0.113.10',
  trusted_port: '1194',
  remote_1: '203.0.113.10',
  remote_port_1: '1194',
  proto_1: 'udp',
  ifconfig_local: '10.8.0.2',
  ifconfig_netmask: '255.255.255.0',
  foreign_option_1: 'dhcp-option DNS 10.8.0.1',
};

/** The calls once the machine is locked. */
const CALLS = ['down', 'up', 'route-up', 'down'] as const;

/** The machine's own namespaces, in the order of the arguments after the program. */
const SPACES = ['net', 'mnt'] as const;

const [, , program = '', ...outside] = process.argv;
const inside = SPACES.map((space) => readlinkSync(`/proc/self/ns/${space}`));
// It removes kept files and locks: no person may start it by hand.
if (outside.length !== inside.length || inside.some((space, index) => space === outside[index]))
  throw new Error('only "ovpn-killswitch install" starts this, in namespaces of its own');
const source = readProgram(program);
/**
 * V8 ties compiled code to a text under a name: each backend has its own, with nothing of the
 * other.
 */
const scripts = BACKENDS.map((backend) => ({ backend, script: compileHooks(source, backend) }));
// The lock runs in a program of its own: a cache with functions that only `lock` uses would take
// longer to load than it saves.
const { HOOKS: LOCKING } = hooksOf(compileHooks(source, 'locking'), require);
Object.assign(process.env, CONNECTION);

/** Runs a hook. Returns whether it succeeded. */
function call(hooks: typeof LOCKING, hook: string, args: readonly string[]): boolean {
  process.exitCode = 0;
  process.argv = [...process.argv.slice(0, 2), ...args];
  process.env['script_type'] = hook;
  hooks[hook]?.();
  return process.exitCode === 0;
}

const ARGUMENTS = [DEVICE, '1500', '0', '10.8.0.2', '255.255.255.0', 'init'];
const rehearsed = scripts.filter(({ backend, script }) => {
  const { HOOKS } = hooksOf(script, require);
  for (const folder of [PATHS.state, PATHS.runtime])
    rmSync(folder, { recursive: true, force: true });
  writeFileSync(
    PATHS.settings,
    `KILLSWITCH_BACKEND=${backend}\nKILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp\nKILLSWITCH_RESOLVER=off\n`,
  );
  // The backend may not be installed here, or the kernel may lack it.
  return (
    call(LOCKING, 'up', ARGUMENTS) &&
    CALLS.every((hook) => call(HOOKS, hook, hook === 'route-up' ? [] : ARGUMENTS))
  );
});
process.exitCode = rehearsed.length === 0 ? 1 : 0;
for (const { backend, script } of rehearsed)
  process.stdout.write(`${backend} ${script.createCachedData().toString('base64')}\n`);

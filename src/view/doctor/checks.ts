import { dirname } from 'node:path';
import { KillswitchError } from '../../errors.ts';
import { PATHS } from '../../host/paths.ts';
import { printable } from '../../net/printable.ts';
import { shellFile, shellWord } from '../../net/shell-word.ts';
import { visibleLine } from '../../net/visible.ts';
import { GET_CONNTRACK } from '../../transaction/end-offloaded.ts';
import { detach } from '../../tunnel/attachment.ts';
import { readProfile, unreachedRemotes, unreachedText } from '../../tunnel/profile.ts';
import { readProfileFacts } from '../../tunnel/profile-facts.ts';
import { words } from '../../tunnel/profile-options.ts';
import { warningsOf } from '../../tunnel/profile-warnings.ts';
import { shutLoginText } from '../shut-login-text.ts';
import type { DoctorFacts, Guarded } from './facts.ts';
import type { Check, Finding } from './finding.ts';

const LOCK = 'sudo ovpn-killswitch lock';
/** The fewest tasks that OpenVPN and one hook need together. */
const TASKS = 10;
/** Folders that a unit with ProtectHome= or PrivateTmp= cannot see (systemd.exec(5)). */
const HIDDEN = ['/home/', '/root/', '/run/user/', '/tmp/', '/var/tmp/'];
const HOOKS = ['up', 'down', 'route-up'] as const;

const problem = (what: string, fix: string): Finding => ({ weight: 'problem', what, fix });
const warning = (what: string, fix: string): Finding => ({ weight: 'warning', what, fix });
const problemOf = ({ message, detail, next }: KillswitchError): Finding =>
  problem([message, ...detail].map(printable).join(': '), next);

function ownershipOf({ path, uid, mode, kind }: Guarded): readonly Finding[] {
  if (uid !== 0)
    return [
      problem(
        `${path} does not belong to root, but root runs or trusts it`,
        `sudo chown root:root ${shellFile(path)}`,
      ),
    ];
  // In a folder with the sticky bit only root can replace root's files; a link has no mode of its
  // own.
  const open =
    (mode & 0o022) !== 0 && kind !== 'link' && !(kind === 'folder' && (mode & 0o1000) !== 0);
  return open
    ? [problem(`non-root users can write to ${path}`, `sudo chmod go-w ${shellFile(path)}`)]
    : [];
}

/**
 * Checks one folder or file for a hook whose OpenVPN gave root up: it must reach the interpreter
 * and itself through every folder above them.
 */
function closedTo(interpreter: string, { path, mode, kind }: Guarded): readonly Finding[] {
  const needed = [interpreter, `${PATHS.library}/hooks/down`].some(
    (file) => file === path || file.startsWith(`${path}/`) || path === '/',
  );
  const bits = kind === 'folder' ? 0o001 : 0o005;
  if (!needed || kind === 'link' || (mode & bits) === bits) return [];
  return [
    warning(
      `a hook that runs without root (user nobody) cannot start: ${path} is closed to it`,
      `sudo chmod o+rx ${shellFile(path)}`,
    ),
  ];
}

function modulesFix({ hasModules, report }: DoctorFacts): string {
  if (!hasModules)
    return 'sudo reboot # the modules of the running kernel are gone, as after an update';
  return !(report instanceof KillswitchError) && report.choice.backend.name === 'iptables'
    ? 'sudo modprobe -a ip_tables ip6_tables iptable_filter ip6table_filter nft_compat xt_comment xt_conntrack xt_owner xt_mark xt_limit xt_length xt_LOG ipt_REJECT ip6t_REJECT'
    : 'sudo modprobe -a nf_tables nft_ct nft_counter nft_reject_inet nft_limit nf_log_syslog';
}

/** Returns the command that writes a drop-in of a unit. */
function dropIn(unit: string, file: string, lines: readonly string[]): string {
  const folder = shellWord(`/etc/systemd/system/${unit}.d`);
  const text = ['[Service]', ...lines].map((line) => ` ${shellWord(line)}`).join('');
  return `sudo mkdir -p ${folder}; printf '%s\\n'${text} | sudo tee ${folder}/${file}.conf; sudo systemctl daemon-reload`;
}

/**
 * Returns the command that lists a chain. nft(8) joins its arguments and reads them as one line of
 * its language: a name with other characters is not passed to it.
 */
function listChain(chain: string): string {
  return /^[a-z0-9]+( [A-Za-z][\w./-]*){2}$/.test(chain)
    ? `sudo nft list chain ${chain}`
    : 'sudo nft list ruleset';
}

function openvpnDenialFix(line: string): string {
  const [, profile] = /apparmor="DENIED".* profile="([^"]+)"/.exec(line) ?? [];
  return profile === undefined
    ? `sudo semanage fcontext -a -t openvpn_unconfined_script_exec_t '${PATHS.library}/hooks/.*'; sudo restorecon -R ${PATHS.library}; sudo setsebool -P openvpn_run_unconfined on`
    : `echo '${PATHS.library}/hooks/* Ux,' | sudo tee -a ${shellWord(`/etc/apparmor.d/local/${profile.replace(/^\//, '').replaceAll('/', '.')}`)}; sudo systemctl reload apparmor`;
}

function denialsOf(
  who: string,
  lines: readonly string[],
  fix: (line: string) => string,
): readonly Finding[] {
  const [line] = lines;
  if (line === undefined) return [];
  return [
    problem(
      `${who} was denied something ${lines.length === 1 ? 'once' : `${lines.length} times`}: ${line}`,
      fix(line),
    ),
  ];
}

/** Every check, in the order in which a person should fix the findings. */
export const CHECKS: readonly Check[] = [
  {
    title: 'the settings and the rules can be read',
    find: ({ settingsError, report }) => [
      ...(settingsError === undefined ? [] : [problemOf(settingsError)]),
      ...(report instanceof KillswitchError && report.message !== settingsError?.message
        ? [problemOf(report)]
        : []),
    ],
  },
  {
    title: 'a sandboxed OpenVPN service can run Node for the hooks',
    find: ({ interpreter, guarded, program }) => {
      const install = `sudo ${program.map(shellWord).join(' ')} install`;
      if (interpreter === undefined) return [problem('the hooks are not installed', install)];
      if (!interpreter.isThere)
        return [
          problem(
            `the hooks name ${interpreter.path}, which does not exist: no hook runs`,
            install,
          ),
        ];
      if (HIDDEN.some((folder) => interpreter.path.startsWith(folder)))
        return [problem(`a hardened OpenVPN service cannot see ${interpreter.path}`, install)];
      return guarded.flatMap((each) => closedTo(interpreter.path, each));
    },
  },
  {
    title: 'only root can change the files that root runs',
    find: ({ guarded }) => guarded.flatMap(ownershipOf),
  },
  {
    title: 'the kernel accepts the rules',
    find: (facts) =>
      facts.refusal === undefined
        ? []
        : [problem(`the kernel would refuse the rules (${facts.refusal})`, modulesFix(facts))],
  },
  {
    title: 'the kernel holds the expected rules',
    find: ({ report }) => {
      if (report instanceof KillswitchError || report.exact) return [];
      if (report.unread !== undefined)
        return [
          problem(`the rules could not be read: ${report.unread}`, 'sudo ovpn-killswitch status'),
        ];
      return [
        problem(
          'the kernel holds other rules than it should: "ovpn-killswitch status" says which',
          LOCK,
        ),
      ];
    },
  },
  {
    title: 'the machine is locked, and boots locked',
    find: ({ report, settingsError, boot, watch }) => {
      const locked =
        !(report instanceof KillswitchError) &&
        report.state !== 'unlocked' &&
        report.state !== 'unknown';
      return [
        ...(locked || report instanceof KillswitchError || report.state === 'unknown'
          ? []
          : [warning('nothing is guarded: the machine is not locked', LOCK)]),
        ...(locked && boot.strategy === undefined
          ? [warning('after a reboot nothing is guarded', 'sudo ovpn-killswitch boot enable')]
          : []),
        ...boot.problems.map((each) =>
          problem(
            `at boot: ${each}`,
            'sudo ovpn-killswitch boot enable; sudo ovpn-killswitch lock',
          ),
        ),
        ...(watch.enabled && !watch.running
          ? [
              problem(
                'the service ovpn-killswitch-watch does not run',
                'sudo ovpn-killswitch watch enable',
              ),
            ]
          : []),
        ...(report instanceof KillswitchError ||
        settingsError !== undefined ||
        !report.settingsChanged
          ? []
          : [warning('the settings have changed since the last lock', LOCK)]),
      ];
    },
  },
  {
    title: 'new SSH logins work while the machine is locked',
    find: ({ shutLogin: shut }) =>
      shut === undefined
        ? []
        : [
            warning(
              shutLoginText(shut),
              shut.lines.length === 0
                ? 'sudo ovpn-killswitch status # a network of the VPN covers that address'
                : `sudoedit ${PATHS.settings} # ${shut.lines.join(' ')}; then ${LOCK}`,
            ),
          ],
  },
  {
    title: 'the rules cover IPv6',
    find: ({ hasIpv6, hasIp6tables, report }) =>
      hasIpv6 &&
      !hasIp6tables &&
      !(report instanceof KillswitchError) &&
      report.choice.backend.name === 'iptables'
        ? [
            problem(
              'this kernel has IPv6, but there is no ip6tables to guard it',
              'sudo apt install iptables',
            ),
          ]
        : [],
  },
  {
    title: 'only one kind of iptables holds rules',
    find: ({ iptables }) =>
      iptables.legacy && iptables.nft
        ? [
            warning(
              'both iptables-legacy and iptables-nft hold rules: each program sees half of them, and a packet must pass both',
              'sudo iptables-legacy-save; sudo iptables-nft-save; sudo update-alternatives --config iptables',
            ),
          ]
        : [],
  },
  {
    title: 'no other program changes the rules, and no second kill switch runs',
    find: ({ neighbours, otherDrops }) => [
      ...neighbours.map(({ name, does, fix }) => warning(`${name} ${does}`, fix)),
      ...otherDrops.map((chain) =>
        warning(
          `the chain "${chain}" drops outgoing packets, as a second kill switch does: it may block this VPN`,
          `${listChain(chain)} # see what it accepts, and end the program that made it`,
        ),
      ),
    ],
  },
  {
    title: 'only root can change the profiles',
    find: ({ unreadProfiles }) =>
      unreadProfiles.map(({ path, error }) =>
        problem(
          `${printable(path)} was not read: ${[error.message, ...error.detail].map(printable).join(': ')}`,
          error.code === 'OWNER'
            ? `sudo ovpn-killswitch attach --copy ${shellWord(path)}`
            : error.next,
        ),
      ),
  },
  {
    title: 'no flowtable carries connections past the rules',
    find: ({ flowtables }) =>
      flowtables.map((name) =>
        problem(
          `the flowtable "${name}" carries connections past every rule, and conntrack is not installed to end them`,
          GET_CONNTRACK,
        ),
      ),
  },
  {
    title: 'the rules check packets at the interface that they leave by',
    find: ({ report }) => {
      if (
        report instanceof KillswitchError ||
        report.choice.backend.name !== 'iptables' ||
        report.choice.wall
      )
        return [];
      return [
        problem(
          'iptables has no table "mangle" here: a mark with an ip rule, a NAT rule or a chain of type route leads packets past the rules, and packets that other rules accept first leave',
          `sudoedit ${PATHS.settings} # KILLSWITCH_BACKEND=nftables; then ${LOCK}`,
        ),
      ];
    },
  },
  {
    title: 'no routing, NAT or mark rule reroutes packets',
    find: ({ reroutes }) =>
      reroutes.map(({ what, show }) =>
        warning(
          `${what} reroutes packets, as another program's split tunnel does: the last hook drops them outside the tunnel, and their program gets no error`,
          `${show} # find the program that made it; "ovpn-killswitch explain" with --leaves-by says what passes`,
        ),
      ),
  },
  {
    title: 'KILLSWITCH_FORWARD names only guests and containers',
    find: ({ forwardedCards }) =>
      forwardedCards.map(({ pattern, device, what }) =>
        problem(
          `${pattern} in KILLSWITCH_FORWARD matches ${printable(device)}, which is ${what}: all that comes from there may go into the tunnel`,
          `sudoedit ${PATHS.settings} # make the pattern longer, or name the interfaces; then ${LOCK}`,
        ),
      ),
  },
  {
    title: 'iptables can read its own tables',
    find: ({ unreadable }) =>
      unreadable.map((what) =>
        warning(
          `${what}: another program has rules of nft in a table of iptables`,
          'sudo nft list ruleset # find them, and keep to nftables: KILLSWITCH_BACKEND=nftables',
        ),
      ),
  },
  {
    title: 'guests on one bridge can talk to each other',
    find: ({ report, showsFrames }) => {
      if (
        report instanceof KillswitchError ||
        report.state === 'unlocked' ||
        report.choice.frames ||
        !showsFrames
      )
        return [];
      return [
        warning(
          'the rules drop frames between the ports of one bridge: br_netfilter came after the last lock, or iptables has no match "physdev"',
          LOCK,
        ),
      ];
    },
  },
  {
    title: 'the rules can allow every server of the profiles',
    find: ({ profiles }) =>
      profiles.flatMap(({ path, text }) =>
        unreachedRemotes(readProfile(text)).map((each) =>
          warning(unreachedText(path, each), `sudoedit ${shellFile(path)}`),
        ),
      ),
  },
  {
    title: 'every profile calls the hooks',
    find: ({ profiles }) =>
      profiles.flatMap(({ path, text }) => {
        const { commands } = readProfileFacts(text);
        const missing = HOOKS.filter(
          (hook) => words(commands[hook] ?? '')[0] !== `${PATHS.library}/hooks/${hook}`,
        );
        if (missing.length === 0) return [];
        return [
          problem(
            `${path} does not call ${missing.join(', ')}: its tunnel stays shut`,
            `sudo ovpn-killswitch attach ${shellFile(path)}`,
          ),
        ];
      }),
  },
  {
    title: 'no option in a profile causes a problem',
    find: ({ profiles, addresses }) =>
      profiles.flatMap(({ path, text }) => {
        const own = detach(text);
        const warned = {
          profile: readProfile(own),
          facts: readProfileFacts(own),
          folder: `${PATHS.library}/hooks`,
          harden: true,
          addresses,
        };
        return warningsOf(warned).map(({ what, fix }) =>
          warning(`${path}: ${what}`, `sudoedit ${shellFile(path)} # ${visibleLine(fix)}`),
        );
      }),
  },
  {
    title: 'the clock is past the start of every certificate',
    find: ({ certificates, now }) =>
      certificates
        .filter(({ from }) => from > now)
        .map(({ profile, from }) =>
          problem(
            `the clock says ${new Date(now * 1000).toISOString()}, and a certificate of ${profile} is valid only from ${new Date(from * 1000).toISOString()}: OpenVPN refuses it, and a locked machine can ask no time server`,
            `sudo date -u -s '${new Date(from * 1000).toISOString()}'`,
          ),
        ),
  },
  {
    title: 'neither SELinux nor AppArmor blocks the hooks',
    find: ({ denials }) => {
      const dispatcher = denials.filter((line) => line.includes('NetworkManager_dispatcher'));
      const openvpn = denials.filter((line) => !dispatcher.includes(line));
      return [
        ...denialsOf(
          "NetworkManager's dispatcher",
          dispatcher,
          () => `sudo restorecon -R ${dirname(PATHS.dispatcher)} ${PATHS.library}`,
        ),
        ...denialsOf('OpenVPN', openvpn, openvpnDenialFix),
      ];
    },
  },
  {
    title: 'the system asks the expected resolvers',
    find: ({ resolvers, report }) => {
      if (!(resolvers instanceof KillswitchError))
        return resolvers.differences.map((each) => problem(each, LOCK));
      // Another finding reports settings or a kernel that keep this from being read.
      return report instanceof KillswitchError ? [] : [problemOf(resolvers)];
    },
  },
  {
    title: 'every OpenVPN service lets the hooks work',
    find: ({ units }) =>
      units.flatMap(({ name, tasks, processes, refusesCompilers, account, readOnly }) => {
        const least = Math.min(tasks ?? TASKS, processes ?? TASKS);
        return [
          ...(least >= TASKS
            ? []
            : [
                problem(
                  `${name} allows ${least} tasks, and OpenVPN with a hook needs ${TASKS}`,
                  dropIn(name, 'tasks', ['TasksMax=20', 'LimitNPROC=20']),
                ),
              ]),
          ...(account === undefined
            ? []
            : [
                problem(
                  `${name} starts OpenVPN as ${printable(account)}: its hooks change nothing, and with "up" OpenVPN gives up`,
                  dropIn(name, 'account', ['User=root', 'AmbientCapabilities=']),
                ),
              ]),
          ...(refusesCompilers
            ? [
                problem(
                  `${name} refuses memory that Node must have: no hook can start`,
                  dropIn(name, 'memory', ['MemoryDenyWriteExecute=no']),
                ),
              ]
            : []),
          ...(readOnly.length === 0
            ? []
            : [
                problem(
                  `${name} keeps a hook from writing to ${readOnly.join(', ')}`,
                  dropIn(name, 'folders', [`ReadWritePaths=${readOnly.join(' ')}`]),
                ),
              ]),
        ];
      }),
  },
  {
    title: 'every tunnel that vanished ran its down hook',
    find: ({ report }) =>
      report instanceof KillswitchError
        ? []
        : report.stale.map(({ tunnel }) =>
            warning(
              `${tunnel.device} vanished and its down hook never ran: its rules are still loaded`,
              LOCK,
            ),
          ),
  },
  {
    title: 'no killed OpenVPN left its device behind',
    find: ({ leftDevices }) =>
      leftDevices.map((device) =>
        warning(
          `${printable(device)} is a device of data channel offload whose OpenVPN is gone: its routes block the next connection`,
          `sudo ip link delete dev ${shellWord(device)}`,
        ),
      ),
  },
  {
    title: 'no interface has an address that a former tunnel had',
    find: ({ takenAddresses }) =>
      takenAddresses.map((each) =>
        problem(
          `${printable(each.interface)} has ${each.address}, the address that ${each.tunnel} had: nothing reaches it, because the rules keep it for the tunnel`,
          LOCK,
        ),
      ),
  },
  {
    title: 'hooks can wait for each other',
    find: ({ hasFlock }) =>
      hasFlock
        ? []
        : [
            warning(
              'flock(1) is missing: two hooks at the same time may have to correct each other',
              'sudo apt install util-linux',
            ),
          ],
  },
];

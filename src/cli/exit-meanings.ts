import { EXIT, type ExitStatus } from '../errors.ts';

/**
 * The meaning of each exit status. docs/reference/commands.md and the manual page have this table.
 */
export const EXIT_MEANINGS: readonly (readonly [status: ExitStatus, meaning: string])[] = [
  [EXIT.ok, 'done. `status`: locked, and exactly as it should be'],
  [
    EXIT.failed,
    '`status`: not locked. `doctor`: something must be fixed. `confirm`: nothing waits for it. `portal`: none was open, or the command failed. `prove`: something left, or nothing was proven. `recover`: rules are left',
  ],
  [EXIT.degraded, '`status` and `explain`: locked, but not as it should be'],
  [EXIT.usage, 'the command line is wrong'],
  [
    EXIT.unavailable,
    'a program that is needed is not installed, or cannot load rules at boot; or this is a chroot. `portal`: there is no login page to open here',
  ],
  [EXIT.internal, 'internal error (a bug: please report it)'],
  [EXIT.kernel, 'the kernel or its tools refused, or another program was busy'],
  [EXIT.files, 'a file could not be read or written'],
  [EXIT.permission, 'root is needed'],
  [EXIT.settings, 'the settings, or what OpenVPN gave to the hook, are wrong'],
];

import { ERRORS, EXIT, type ExitStatus, KillswitchError } from '../errors.ts';
import { PROGRAM_FOLDERS } from '../host/paths.ts';
import { ownFolder, replaceableByOthers } from '../host/program-files.ts';
import { programPath } from '../host/program-path.ts';
import { printable } from '../net/printable.ts';
import type { Context } from './command.ts';
import { misused } from './parse-arguments.ts';

/** Where systemd keeps images (machinectl(1)). */
const IMAGES = '/var/lib/machines';
/** Where the program lies inside: below the image's own /run, which is a tmpfs for that time. */
const PROGRAM = '/run/ovpn-killswitch-program';

/**
 * Arguments: the image, the folder of the program, then the command to run inside. It has a mount
 * namespace of its own, so all its mounts end with it. It also has a network namespace of its own,
 * so that it changes no network of the running system.
 */
const ENTER = `set -e
image=$1 program=$2; shift 2
mount --rbind /proc "$image/proc"
mount --rbind /dev "$image/dev"
mount -t tmpfs -o mode=755 tmpfs "$image/run"
mkdir "$image${PROGRAM}"
mount --bind "$program" "$image${PROGRAM}"
exec chroot "$image" "$@"`;

/**
 * The exit statuses of the commands that run in an image. With another one, a program before them
 * has failed, and said so on stderr: unshare(1), mount(8), chroot(1), or Node itself.
 */
const ENDS: readonly ExitStatus[] = [EXIT.ok, ...Object.values(ERRORS).map(({ exit }) => exit)];
/** A status above it names a signal, as in a shell. */
const SIGNALLED = 128;

/**
 * Runs a command of this product in the image at a folder, with the image's own Node. Changes
 * nothing outside of it, and asks no program of the running system.
 * @throws KillswitchError USAGE where there is no such image, OWNER where others than root could
 * change it, NO_IMAGE where nothing can be run in it, FILES where the command was stopped
 */
export function runInImage(
  { host, report }: Pick<Context, 'host' | 'report'>,
  usage: string,
  image: string,
  args: readonly string[],
): ExitStatus {
  const place = image.startsWith('/') ? host.place(image) : undefined;
  if (place === undefined || place === '/' || host.owner(place)?.kind !== 'folder')
    throw misused({ usage }, `"${printable(image)}" is not the absolute path of an image's folder`);
  // Its programs run as root, and nothing confines them to the image.
  const unsafe = replaceableByOthers(place);
  if (unsafe !== undefined)
    throw new KillswitchError(
      'OWNER',
      `${printable(unsafe)}, and programs of the image would run as root`,
      `Copy the image to a folder that root alone can write to, such as ${IMAGES}, and name that.`,
    );
  const node = PROGRAM_FOLDERS.map((folder) => `${folder}/node`).find((path) =>
    host.exists(`${place}${path}`),
  );
  const unshare = programPath('unshare');
  if (node === undefined || unshare === undefined)
    throw new KillswitchError(
      'NO_IMAGE',
      node === undefined
        ? `there is no Node in ${printable(place)}, which its hooks need`
        : 'unshare is not installed here',
      node === undefined ? 'Install nodejs in the image.' : 'Install util-linux on this machine.',
    );
  const words = [
    ...[unshare, '--mount', '--net', '--propagation', 'private', '/bin/sh', '-c', ENTER, 'sh'],
    ...[place, ownFolder(), node, `${PROGRAM}/cli.js`, ...args],
    ...(report.isJson ? ['--json'] : []),
  ];
  const { status, why } = host.callInTurn(words, { PATH: PROGRAM_FOLDERS.join(':') });
  if (status > SIGNALLED)
    throw new KillswitchError(
      'FILES',
      `the command in the image was stopped by signal ${status - SIGNALLED}`,
      'Run it again: it starts over.',
    );
  const end = ENDS.find((each) => each === status);
  if (why !== undefined || end === undefined)
    throw new KillswitchError(
      'NO_IMAGE',
      `nothing could be run in the image: ${why ?? `status ${status}`}`,
      'Run it as root on a machine that allows mounts, with a Node in the image that starts.',
    );
  report.handOn();
  return end;
}

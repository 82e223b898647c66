import { PROGRAM_FOLDERS } from '../../src/host/paths.ts';
import { type Machine, must } from './installed-machine.ts';

const mounted = new WeakMap<Machine, string[]>();
let overlays = 0;

/**
 * Mounts over a place of the sandbox: `mount ARGS PLACE`. Returns the function that removes it
 * again.
 */
export function mountHere(machine: Machine, place: string, ...args: readonly string[]): () => void {
  must(machine.run('mount', ...args, place));
  const places = mounted.get(machine) ?? [];
  places.push(place);
  mounted.set(machine, places);
  return () => {
    must(machine.run('umount', place));
    places.splice(places.indexOf(place), 1);
  };
}

/** Takes every mount away that a failed test left. */
export function undoAll(machine: Machine): void {
  const places = mounted.get(machine) ?? [];
  for (const place of places.splice(0).reverse()) machine.run('umount', place);
}

/**
 * Lays memory over each folder in which hooks look for programs, so that programs can be taken out
 * or put in.
 */
export function overlayPrograms(
  machine: Machine,
  folders: readonly string[] = PROGRAM_FOLDERS,
): () => void {
  const real = [
    ...new Set(folders.map((folder) => machine.run('readlink', '-f', folder).stdout.trim())),
  ].filter((folder) => machine.exists(folder));
  const umounts = real.map((folder) => {
    overlays++;
    const own = `/mnt/programs-${overlays}`;
    must(machine.run('mkdir', '-p', `${own}/upper`, `${own}/work`));
    return mountHere(
      machine,
      folder,
      '-t',
      'overlay',
      'overlay',
      '-o',
      `lowerdir=${folder},upperdir=${own}/upper,workdir=${own}/work`,
    );
  });
  return () => {
    for (const umount of umounts.reverse()) umount();
  };
}

/** Hides programs from everything in the sandbox. Returns the function that shows them again. */
export function hideHere(machine: Machine, ...names: readonly string[]): () => void {
  const holds = (folder: string) => names.some((name) => machine.list(folder).includes(name));
  const show = overlayPrograms(machine, PROGRAM_FOLDERS.filter(holds));
  must(
    machine.run(
      'rm',
      '-f',
      ...PROGRAM_FOLDERS.flatMap((folder) => names.map((name) => `${folder}/${name}`)),
    ),
  );
  return show;
}

/**
 * Puts a script in the place of programs that are there, until `undoAll`; `$real` is the old one.
 */
export function standIn(it: Machine, script: string, ...programs: readonly string[]): void {
  must(it.run('mkdir', '-p', '/run/real'));
  const found = programs.filter(
    (each) =>
      it.sh(`cp -n "$(readlink -f "$(command -v ${each})")" /run/real/${each}`).status === 0,
  );
  overlayPrograms(it, ['/usr/sbin']);
  for (const program of found) {
    const path = must(it.sh(`command -v ${program}`)).stdout.trim();
    must(it.run('rm', '-f', path));
    it.write(path, `#!/bin/sh\nreal=/run/real/${program}\n${script}\n`);
    must(it.run('chmod', '755', path));
  }
}

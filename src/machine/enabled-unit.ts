import type { Files } from '../host/files.ts';

const WANTS = ['sysinit.target.wants', 'multi-user.target.wants'].map(
  (folder) => `/etc/systemd/system/${folder}`,
);

/** Whether systemd starts a service at each boot. */
export function isUnitEnabled(files: Files, unit: string): boolean {
  return WANTS.some((folder) => files.exists(`${folder}/${unit}.service`));
}

import type { Host } from '../host/host.ts';

const WANTS = ['sysinit.target.wants', 'multi-user.target.wants'].map(
  (folder) => `/etc/systemd/system/${folder}`,
);

/** Whether systemd starts a service at each boot. */
export function isUnitEnabled(host: Host, unit: string): boolean {
  return WANTS.some((folder) => host.exists(`${folder}/${unit}.service`));
}

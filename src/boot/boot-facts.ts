import type { Files } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { isApart } from '../machine/chroot.ts';
import { readBaseTexts } from '../record/base-texts.ts';
import { bootsLocked, readLockRecord } from '../record/lock-record.ts';
import type { BootMachine } from './boot-strategy.ts';
import type { BootFacts } from './choose-boot.ts';
import { PLUGINS } from './netfilter-persistent.ts';

/**
 * Tells which init system will run an image or a chroot; undefined in a container that no init
 * system runs.
 */
function initOfImage(host: Host): BootFacts['init'] {
  if (!isApart(host)) return undefined;
  if (host.place('/sbin/init')?.endsWith('/systemd') === true) return 'systemd';
  return host.exists('/sbin/openrc-init') || host.exists('/sbin/openrc') ? 'openrc' : undefined;
}

/**
 * Reads from this machine all that the choice may look at. systemd and OpenRC recognize themselves
 * by the same two folders (sd_booted(3)).
 */
export function readBootFacts(host: Host): BootFacts {
  return {
    init: host.exists('/run/systemd/system')
      ? 'systemd'
      : host.exists('/run/openrc/softlevel')
        ? 'openrc'
        : initOfImage(host),
    has: {
      systemd: host.has('systemctl'),
      openrc: host.has('rc-update'),
      'netfilter-persistent': host.exists(PLUGINS),
      sysconfig: host.exists('/etc/sysconfig/iptables-config'),
    },
  };
}

export function readBootMachine(files: Files): BootMachine {
  return {
    read: files.read,
    exists: files.exists,
    list: files.list,
    locked: bootsLocked(readLockRecord(files)),
    base: readBaseTexts(files),
  };
}

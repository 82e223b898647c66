import { ISP_RESOLVER } from '../support/dns-world.ts';
import { specifyResolvers } from './resolvers.ts';

specifyResolvers({
  title: 'a plain /etc/resolv.conf',
  root: 'dns-file',
  prepare: `rm -f /etc/resolv.conf; printf 'nameserver ${ISP_RESOLVER}\\noptions edns0' >/etc/resolv.conf`,
  setBy: ['file'],
});

specifyResolvers({
  title: 'an /etc/resolv.conf that leads to a file elsewhere',
  root: 'dns-file',
  prepare: `printf 'nameserver ${ISP_RESOLVER}\\n' >/etc/resolv.static; ln -sf resolv.static /etc/resolv.conf`,
  setBy: ['file'],
});

specifyResolvers({
  title: 'an /etc/resolv.conf that is a mount point, as in containers',
  root: 'dns-file',
  prepare: `printf 'nameserver ${ISP_RESOLVER}\\n' >/etc/resolv.mounted; rm -f /etc/resolv.conf; : >/etc/resolv.conf
    mount --bind /etc/resolv.mounted /etc/resolv.conf`,
  setBy: ['file'],
});

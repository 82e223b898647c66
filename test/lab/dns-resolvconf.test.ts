import { ISP_RESOLVER } from '../support/dns-world.ts';
import { specifyResolvers } from './resolvers.ts';

specifyResolvers({
  title: 'openresolv',
  root: 'dns-openresolv',
  prepare: `rm -f /etc/resolv.conf; echo 'nameserver ${ISP_RESOLVER}' | resolvconf -a up0`,
  setBy: ['openresolv'],
});

specifyResolvers({
  title: 'Debian’s resolvconf',
  root: 'dns-resolvconf',
  prepare: `mkdir -p /run/resolvconf/interface; ln -sf /run/resolvconf/resolv.conf /etc/resolv.conf
    resolvconf --enable-updates; echo 'nameserver ${ISP_RESOLVER}' | resolvconf -a up0.inet`,
  setBy: ['resolvconf'],
  atBoot: `mkdir -p /run/resolvconf/interface; resolvconf --enable-updates; echo 'nameserver ${ISP_RESOLVER}' | resolvconf -a up0.inet`,
});

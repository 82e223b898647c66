import { specifyLifecycle } from './lifecycle.ts';

specifyLifecycle({
  version: '2.6',
  backend: ({ transport, persistTun, upRestart, user }) =>
    [transport === 'tcp', persistTun, upRestart, user === 'nobody'].filter(Boolean).length % 2 === 0
      ? 'iptables'
      : 'nftables',
});

import { specifyLifecycle } from './lifecycle.ts';

specifyLifecycle({ version: '2.5', backend: () => 'iptables' });

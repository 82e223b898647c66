import { specifyLifecycle } from './lifecycle.ts';

specifyLifecycle({ version: '2.7', backend: () => 'nftables' });

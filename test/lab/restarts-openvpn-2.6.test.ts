import { specifyRestarts } from './restarts.ts';

specifyRestarts({ version: '2.6', backend: 'nftables' });

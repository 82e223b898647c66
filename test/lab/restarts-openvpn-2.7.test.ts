import { specifyRestarts } from './restarts.ts';

specifyRestarts({ version: '2.7', backend: 'iptables' });

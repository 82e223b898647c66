import { specifyRestarts } from './restarts.ts';

specifyRestarts({ version: '2.5', backend: 'iptables' });

import { specifyReconnects } from './reconnects.ts';

specifyReconnects('2.6', 'iptables');

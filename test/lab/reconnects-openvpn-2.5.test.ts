import { specifyReconnects } from './reconnects.ts';

specifyReconnects('2.5', 'iptables');

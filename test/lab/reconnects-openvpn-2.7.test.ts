import { specifyReconnects } from './reconnects.ts';

specifyReconnects('2.7', 'nftables');

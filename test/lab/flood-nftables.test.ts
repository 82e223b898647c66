import { specifyFlood } from './flood.ts';

specifyFlood('nftables');

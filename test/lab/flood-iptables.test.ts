import { specifyFlood } from './flood.ts';

specifyFlood('iptables');

import { specifyNetworkManager } from './networkmanager.ts';

specifyNetworkManager('12', 'iptables');

import { specifyNetworkManager } from './networkmanager.ts';

specifyNetworkManager('13', 'nftables');

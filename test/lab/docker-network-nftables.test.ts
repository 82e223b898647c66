import { dockerNetworkWith } from './docker-network.ts';

dockerNetworkWith('nftables');

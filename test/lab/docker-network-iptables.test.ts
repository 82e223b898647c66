import { dockerNetworkWith } from './docker-network.ts';

dockerNetworkWith('iptables');

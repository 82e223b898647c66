import { specifyLeaks } from './leaks.ts';

specifyLeaks({ backend: 'iptables', transport: 'udp' });

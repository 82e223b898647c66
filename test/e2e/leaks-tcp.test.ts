import { specifyLeaks } from './leaks.ts';

specifyLeaks({ backend: 'nftables', transport: 'tcp' });

import { specifyLeaks } from '../e2e/leaks.ts';
import { debianRoot } from '../support/debian-root.ts';

specifyLeaks({ backend: 'iptables', transport: 'udp', plan: debianRoot('2.5') });

import { specifyShapes } from './shapes.ts';

specifyShapes({ version: '2.6', backend: 'iptables' });

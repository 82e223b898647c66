import { specifyShapes } from './shapes.ts';

specifyShapes({ version: '2.7', backend: 'nftables' });

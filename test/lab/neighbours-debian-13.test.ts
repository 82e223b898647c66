import { neighboursWith } from './neighbours.ts';

neighboursWith('nftables', 'neighbours-13');

import { neighboursWith } from './neighbours.ts';

neighboursWith('nftables');

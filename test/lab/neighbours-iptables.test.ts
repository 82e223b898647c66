import { neighboursWith } from './neighbours.ts';

neighboursWith('iptables');

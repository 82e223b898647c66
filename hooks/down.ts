import { main } from '../src/run-hook.ts';

main('down');

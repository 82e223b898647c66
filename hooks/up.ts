import { main } from '../src/run-hook.ts';

main('up');

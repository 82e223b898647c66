import { main } from '../src/run-dispatcher.ts';

main();

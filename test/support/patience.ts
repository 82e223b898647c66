import { setPatience } from '../../src/proof/wait-until.ts';

// A wait is for a machine that is four times as slow as usual; what comes in time waits no longer.
setPatience(4);

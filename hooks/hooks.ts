import { main as dispatcher } from '../src/hook/run-dispatcher.ts';
import { main } from '../src/hook/run-hook.ts';

/**
 * The installed hooks by the names of their files: one program, so that they share what is loaded
 * and its code cache.
 */
export const HOOKS: Readonly<Record<string, () => void>> = {
  up: () => main('up'),
  down: () => main('down'),
  'route-up': () => main('route-up'),
  'nm-dispatcher': dispatcher,
};

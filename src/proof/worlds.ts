import { closeOnExit } from './close-on-exit.ts';
import type { World } from './world.ts';

/**
 * Runs work with worlds that it reports as soon as they exist. Closes all of them when it ends,
 * however it does.
 */
export function withWorlds<Result>(
  work: (onWorld: (world: World) => void) => Promise<Result>,
): Promise<Result> {
  const worlds: World[] = [];
  let closed = false;
  const close = () => {
    closed = true;
    for (const world of worlds) world.close();
  };
  const onWorld = (world: World) => {
    worlds.push(world);
    // One world may have been starting while another failed.
    if (closed) world.close();
  };
  return closeOnExit(close, () => work(onWorld));
}

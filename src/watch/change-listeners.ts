import type { Host } from '../host/host.ts';
import type { Listen, Listener } from '../host/listener.ts';
import { endsChange } from './author.ts';
import { listenOn } from './lasting-listener.ts';

/** Listeners for changes: of rules where nft is installed, and of interfaces. */
export interface ChangeListeners extends Listener {
  /** Tells whether every change since the last look was reported. */
  hear(): boolean;
}

/**
 * Opens the listeners. They call `changed` and `linkChanged` for each change, and `deaf` when a
 * listener has ended.
 */
export function openListeners(
  host: Host,
  listen: Listen,
  on: {
    readonly changed: (line: string) => void;
    readonly linkChanged: () => void;
    readonly deaf: () => void;
  },
): ChangeListeners {
  const ended = (program: string) => (why: string) => {
    const message = `"${program}" has ended: ${why}; it is started again`;
    host.log({ level: 'warn', event: 'deaf', message });
    on.deaf();
  };
  const hearRules = () =>
    listenOn((alive, gone) => {
      const line = (text: string) => {
        alive();
        if (endsChange(text)) on.changed(text);
      };
      return listen('nft', ['monitor'], line, gone);
    }, ended('nft monitor'));
  const rules = host.has('nft') ? hearRules() : undefined;
  const links = listenOn((alive, gone) => {
    const line = () => {
      alive();
      on.linkChanged();
    };
    return listen('ip', ['monitor', 'link'], line, gone);
  }, ended('ip monitor link'));
  return {
    hear: () => rules?.hears() === true && links.hears(),
    stop: () => {
      rules?.stop();
      links.stop();
    },
  };
}

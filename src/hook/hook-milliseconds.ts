/**
 * OpenVPN stands still while a hook runs and a server drops a silent client after a minute or so: a
 * hook that is not done by then gives up.
 */
export const HOOK_MILLISECONDS = 20_000;

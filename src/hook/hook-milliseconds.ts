/**
 * The deadline of a hook. OpenVPN stands still while it runs, and a server drops a silent client
 * after about a minute.
 */
export const HOOK_MILLISECONDS = 20_000;

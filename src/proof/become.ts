/** Gives up root for good: no capability is left (capabilities(7)). Sockets opened from now on are this user's. */
export function become(uid: number | undefined): void {
  if (uid === undefined) return;
  process.setgroups?.([]);
  process.setgid?.(uid);
  process.setuid?.(uid);
}

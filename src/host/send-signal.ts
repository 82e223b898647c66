/** Sends a signal to a process. Ignores one that has ended. */
export function sendSignal(pid: number, signal: 'SIGUSR1'): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Its tunnel is then missing, and the caller checks for that.
  }
}

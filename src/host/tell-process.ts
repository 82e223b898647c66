/** Sends a signal to a process; one that is gone is not told. */
export function tellProcess(pid: number, signal: 'SIGUSR1'): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Its tunnel is then missing, which whoever sent the signal looks at.
  }
}

/** Signals that end a program from a terminal. */
const ENDINGS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Runs work, and calls `close` when it ends, however it does. A signal closes first, and then ends
 * this process as signals do.
 */
export async function closeOnExit<Result>(
  close: () => void,
  work: () => Promise<Result>,
): Promise<Result> {
  const onSignal = (signal: NodeJS.Signals) => {
    close();
    process.removeListener(signal, onSignal);
    process.kill(process.pid, signal);
  };
  for (const signal of ENDINGS) process.on(signal, onSignal);
  try {
    return await work();
  } finally {
    for (const signal of ENDINGS) process.removeListener(signal, onSignal);
    close();
  }
}

/** Exit statuses, after sysexits.h where one fits. */
export const EXIT = {
  ok: 0,
  failed: 1,
  degraded: 2,
  usage: 64,
  unavailable: 69,
  internal: 70,
  kernel: 71,
  files: 73,
  permission: 77,
  settings: 78,
} as const;
export type ExitStatus = (typeof EXIT)[keyof typeof EXIT];

const UNCHANGED = 'Nothing was changed.';
const STILL_LOADED = 'The rules that were loaded stay loaded.';

/**
 * Lists every error code of this product, with its exit status and what is still safe when it is
 * raised.
 */
export const ERRORS = {
  USAGE: { exit: EXIT.usage, safe: UNCHANGED },
  NOT_ROOT: { exit: EXIT.permission, safe: UNCHANGED },
  SETTINGS: { exit: EXIT.settings, safe: STILL_LOADED },
  ENVIRONMENT: { exit: EXIT.settings, safe: STILL_LOADED },
  PROFILE: { exit: EXIT.settings, safe: 'No profile was changed.' },
  NO_ENDPOINT: { exit: EXIT.settings, safe: UNCHANGED },
  NO_LOGIN: { exit: EXIT.settings, safe: UNCHANGED },
  CHROOT: { exit: EXIT.unavailable, safe: UNCHANGED },
  NO_IMAGE: { exit: EXIT.unavailable, safe: UNCHANGED },
  NO_BACKEND: { exit: EXIT.unavailable, safe: UNCHANGED },
  NO_IPV6_BACKEND: { exit: EXIT.unavailable, safe: UNCHANGED },
  NO_PORTAL: { exit: EXIT.unavailable, safe: STILL_LOADED },
  NO_BOOT: { exit: EXIT.unavailable, safe: STILL_LOADED },
  NO_PROOF: { exit: EXIT.unavailable, safe: UNCHANGED },
  COMMAND: { exit: EXIT.kernel, safe: STILL_LOADED },
  REFUSED: { exit: EXIT.kernel, safe: STILL_LOADED },
  PARTLY: { exit: EXIT.kernel, safe: 'Each family holds either its old rules or its new ones.' },
  VERIFY: { exit: EXIT.kernel, safe: 'Every chain of ours ends in a drop.' },
  BUSY: { exit: EXIT.kernel, safe: STILL_LOADED },
  DEADLINE: { exit: EXIT.kernel, safe: STILL_LOADED },
  RESOLVERS: {
    exit: EXIT.files,
    safe: 'The rules are in force: DNS goes to the resolvers of the tunnel or nowhere.',
  },
  FILES: { exit: EXIT.files, safe: STILL_LOADED },
  OWNER: {
    exit: EXIT.files,
    safe: `Nothing was read from that path or written to it. ${STILL_LOADED}`,
  },
  INTERNAL: { exit: EXIT.internal, safe: STILL_LOADED },
} as const satisfies Record<string, { readonly exit: ExitStatus; readonly safe: string }>;

export type ErrorCode = keyof typeof ERRORS;

/**
 * An error a person can act on: what happened (`message`), what is still safe (from the table) and
 * what to do next. `detail` holds further lines, already escaped, such as the command and its
 * stderr.
 */
export class KillswitchError extends Error {
  override readonly name = 'KillswitchError';
  readonly code: ErrorCode;
  readonly next: string;
  readonly detail: readonly string[];

  constructor(
    code: ErrorCode,
    message: string,
    next: string,
    detail: readonly string[] = [],
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.code = code;
    this.next = next;
    this.detail = detail;
  }

  get exit(): ExitStatus {
    return ERRORS[this.code].exit;
  }

  get safe(): string {
    return ERRORS[this.code].safe;
  }
}

/**
 * Returns the result of `work`, or `otherwise` of a KillswitchError: of any, or of one with these
 * codes. Throws every other error on: it is a bug.
 */
export function orElse<Result, Otherwise>(
  work: () => Result,
  otherwise: (error: KillswitchError) => Otherwise,
  ...codes: readonly ErrorCode[]
): Result | Otherwise {
  try {
    return work();
  } catch (thrown) {
    if (!(thrown instanceof KillswitchError) || (codes.length > 0 && !codes.includes(thrown.code)))
      throw thrown;
    return otherwise(thrown);
  }
}

/** Returns anything thrown as an error a person can act on. */
export function asKillswitchError(thrown: unknown): KillswitchError {
  if (thrown instanceof KillswitchError) return thrown;
  const cause = thrown instanceof Error ? thrown : new Error(String(thrown));
  return new KillswitchError(
    'INTERNAL',
    `unexpected: ${cause.message}`,
    'Please report this with the lines below.',
    (cause.stack ?? '').split('\n'),
    {
      cause,
    },
  );
}

/**
 * Renders the error as lines for a terminal: what happened, details, what is safe, what to do.
 * `now` is what the kernel holds at that moment, if the caller read it. It replaces the table's
 * general line.
 */
export function explainError(error: KillswitchError, now?: string): readonly string[] {
  return [
    `${error.message} [${error.code}]`,
    ...error.detail.filter((line) => line !== '').map((line) => `  ${line}`),
    now ?? `Still safe: ${error.safe}`,
    `What to do: ${error.next}`,
  ];
}

/**
 * Timeout of a test or a hook of tests. It ends what hangs, and measures no speed: a machine may be
 * four times as slow as the one that the tests were written on.
 */
export const TEST_MILLISECONDS = 900_000;

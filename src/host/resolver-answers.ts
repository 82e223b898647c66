/** Parses the resolver program's answer: names to addresses as text. Skips anything else. */
export function readAnswers(text: string): ReadonlyMap<string, readonly string[]> {
  const answers = new Map<string, readonly string[]>();
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return answers;
  }
  if (typeof parsed !== 'object' || parsed === null) return answers;
  for (const [name, addresses] of Object.entries(parsed))
    if (Array.isArray(addresses))
      answers.set(
        name,
        addresses.filter((each): each is string => typeof each === 'string'),
      );
  return answers;
}

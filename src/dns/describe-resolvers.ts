import type { FollowedResolvers } from './follow-resolvers.ts';

/** Describes, in one line, what `followResolvers` did with the system's resolvers. */
export function describeResolvers(followed: FollowedResolvers): string {
  switch (followed.kind) {
    case 'unchanged':
      return 'the resolvers are as they were';
    case 'given-back':
      return 'the previous resolvers are restored';
    case 'set': {
      const servers = [
        ...new Set(followed.demands.flatMap(({ resolvers }) => resolvers.map(({ text }) => text))),
      ];
      return `the system asks ${servers.join(' ')} (${followed.choice.trace.join('; ')})`;
    }
    default:
      return followed satisfies never;
  }
}

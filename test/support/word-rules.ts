/** A word or phrase that nothing a person reads may contain. */
export interface WordRule {
  readonly avoid: RegExp;
  /** The words to write instead. */
  readonly write: string;
  /** A sentence that breaks the rule, and one close to it that does not. */
  readonly wrong: string;
  readonly right: string;
  /** Whether a heading, which is no sentence, may contain it. */
  readonly inHeadings?: true;
}

/** The project's words: the field's own, and a noun or a verb where a sentence starts. */
export const WORD_RULES: readonly WordRule[] = [
  {
    avoid: /(?:^|[.!?:;] )(?:What|Who|Whoever|Whom|Whose|That which)\b(?!:|[^.]*\?| to do:)/,
    write: 'the noun: the hook, the profile, the record, the caller',
    wrong: 'Look first. What was loaded stays.',
    right: 'What to do: run it again. What is open?',
    inHeadings: true,
  },
  {
    avoid: /\bwho(?:ever|mever|m)\b/i,
    write: 'the noun: the caller, the owner, the account',
    wrong: 'It tells whom the system asks.',
    right: 'It tells the user who asks.',
  },
  {
    avoid: /\bwhat(?:ever)? of (?:ours|us)\b|\bthat which\b/i,
    write: "this product's rules, or the noun",
    wrong: 'Reads what of ours is in the kernel.',
    right: 'No rule of ours is in the kernel.',
  },
  {
    avoid: /\bmend(?:s|ed|ing)?\b/i,
    write: 'fix',
    wrong: 'Mend the file.',
    right: 'Fix the file, and amend the rules.',
  },
  {
    avoid: /\bof before\b|\b(?:what|who) (?:was|were|is|stood)(?: there)? before\b/i,
    write: 'previous',
    wrong: 'It loads the rules of before.',
    right: 'It loads the rules of the boot before that.',
  },
  {
    avoid: /\b(?:is|are|was|were) over(?! (?:a|an|the|\d))\b/i,
    write: 'has expired, has ended',
    wrong: 'Once the time is over, it opens.',
    right: 'A name that is over the limit is refused.',
  },
  {
    avoid: /\b(?:go|goes|went|gone|going) back (?:by (?:itself|themselves)|to|after|unless)\b/i,
    write: 'revert, or restore the previous lock',
    wrong: 'It goes back by itself.',
    right: 'The answer goes back the way it came.',
  },
  {
    avoid: /\bg[ia]v(?:e|es|en|ing) (?:[\w'-]+ ){0,3}back\b/i,
    write: 'restore; return',
    wrong: 'It gives the resolvers back.',
    right: 'It restores the resolvers.',
  },
  {
    avoid: /\b(?:is|was|were|be|been) said\b/i,
    write: 'run, type; print, report',
    wrong: 'The session in which `lock` was said.',
    right: 'The session in which `lock` was run.',
  },
  {
    avoid: /\b(?:unless|until|once|when|if) you say\b/i,
    write: 'run, type, set',
    wrong: 'It opens again unless you say `confirm`.',
    right: 'It opens again unless you run `confirm`.',
  },
  {
    avoid: /\bwithout a word\b/i,
    write: 'silently; vanished, and its `down` hook never ran',
    wrong: 'The tunnel is gone without a word.',
    right: 'The tunnel vanished without a line in the log.',
  },
  {
    avoid: /\bwithout room\b/i,
    write: 'whose limits are too tight; full',
    wrong: 'It lists services without room.',
    right: 'The disk has no room.',
  },
  {
    avoid: /\bmistakes? in this program\b/i,
    write: 'internal error (a bug: please report it)',
    wrong: 'This is a mistake in this program.',
    right: 'This is a mistake in the settings.',
  },
  {
    avoid: /\bneeds more than that\b/i,
    write: 'missing argument: FILE',
    wrong: 'attach needs more than that',
    right: 'missing argument: FILE',
  },
  {
    avoid: /\b(?:everything|something|nothing|anything|that) (?:that )?(?:will|may|can) bite\b/i,
    write: 'common problems',
    wrong: 'It looks for everything that will bite.',
    right: 'It looks for common problems.',
  },
  {
    avoid: /\b(?:the moment from which|from a moment on)\b/i,
    write: 'its expiry',
    wrong: 'This is the moment from which it counts no more.',
    right: 'This is the moment of its expiry.',
  },
];

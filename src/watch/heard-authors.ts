import { type Author, mayBeOurs, readAuthor } from './author.ts';

/** The most authors kept between two looks. */
const MOST_KEPT = 20;

/**
 * The authors of rule changes since the last look, as "nft monitor" reports them, without this
 * process.
 */
export interface HeardAuthors {
  hear(line: string): void;
  /** Announces this many changes of this process, still to be heard. */
  expectOwn(changes: number): void;
  list(): readonly Author[];
  forget(): void;
}

export function heardAuthors(): HeardAuthors {
  let authors: readonly Author[] = [];
  // Counts this process's changes that "nft monitor" has yet to report.
  let echoes = 0;
  return {
    hear: (line) => {
      const author = readAuthor(line);
      if (author !== undefined && echoes > 0 && mayBeOurs(author)) echoes--;
      else if (author !== undefined) authors = [...authors.slice(1 - MOST_KEPT), author];
    },
    expectOwn: (changes) => {
      echoes = changes;
    },
    list: () => authors,
    forget: () => {
      authors = [];
    },
  };
}

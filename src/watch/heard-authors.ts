import { type Author, mayBeOurs, readAuthor } from './author.ts';

/** At most so many are kept between two looks. */
const MOST_KEPT = 20;

/** Who has changed rules since the last look, as "nft monitor" tells it; we ourselves left out. */
export interface HeardAuthors {
  hear(line: string): void;
  /** So many changes of our own are still to be heard. */
  expectOwn(changes: number): void;
  list(): readonly Author[];
  forget(): void;
}

export function heardAuthors(): HeardAuthors {
  let authors: readonly Author[] = [];
  // Changes of our own whose news is still to come.
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

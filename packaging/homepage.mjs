/**
 * The public address of the repository, from the variable HOMEPAGE: the sources do not know where
 * they are published. Undefined without it, and the packages then name none.
 */
export const HOMEPAGE = addressOf(process.env.HOMEPAGE ?? '');

function addressOf(text) {
  if (text === '') return undefined;
  if (!/^https:\/\/[\w.-]+(\/[\w.~-]+)*$/.test(text))
    throw new Error(
      `HOMEPAGE is "${text}"; allowed: an address such as https://example.org/project`,
    );
  return text;
}

/** The fields of a package.json that name the repository. */
export const REPOSITORY_FIELDS =
  HOMEPAGE === undefined
    ? {}
    : {
        homepage: HOMEPAGE,
        repository: { type: 'git', url: `git+${HOMEPAGE}.git` },
        bugs: { url: `${HOMEPAGE}/issues` },
      };

/** The account that a file belongs to, and its mode. */
export interface Owned {
  readonly uid: number;
  readonly mode: number;
  readonly kind: 'file' | 'folder' | 'link' | 'other';
}

/** The door to files and folders. */
export interface Files {
  /**
   * Reads the text of a file that only root controls, with every folder above it; undefined when
   * there is none. @throws KillswitchError OWNER when others can change it, FILES when it cannot be
   * read.
   */
  read(path: string): string | undefined;
  /**
   * Reads the bytes of such a file, for text that is not ours. @throws KillswitchError OWNER, FILES
   */
  readBytes(path: string): Uint8Array | undefined;
  /**
   * Reads up to a megabyte of a file that any account may have written: trust nothing in it.
   * Undefined when there is none. @throws KillswitchError OWNER at a link that others than root
   * have set, FILES when it is no regular file.
   */
  readUntrusted(path: string): Uint8Array | undefined;
  /**
   * Lists the names in a folder of any owner; none when there is no such folder.
   * @throws KillswitchError OWNER, FILES
   */
  list(folder: string): readonly string[];
  exists(path: string): boolean;
  /**
   * Returns a file's or folder's owner and permissions (the low twelve bits); of a link, the link's
   * own. Undefined when there is none.
   */
  owner(path: string): Owned | undefined;
  /**
   * Resolves a path through root's symbolic links, whether or not it exists; undefined when nothing
   * has that name.
   */
  place(path: string): string | undefined;
  /**
   * Writes a file of root's so that a reader sees the old text or the new one, and a power cut
   * leaves one of them. Missing folders are made, and mode and owner are exact whatever the umask.
   * @throws KillswitchError OWNER when others can write to a folder above it.
   */
  write(path: string, text: string | Uint8Array, mode?: number): void;
  /**
   * Replaces the text of another account's file, or makes one of root's. Its owner, mode and place
   * stay, also behind a symbolic link of root's or a bind mount. Touches nothing outside its
   * folder, whatever its owner does meanwhile.
   */
  rewrite(path: string, text: string | Uint8Array): void;
  /** Removes a file, or a folder with everything in it. Follows no link. */
  remove(path: string): void;
  /**
   * Removes a file of a folder of root's alone if its text is the expected one, and returns whether
   * it did. Keeps a text that another process writes meanwhile.
   */
  removeIf(path: string, isExpected: (text: string) => boolean): boolean;
}

/** Who may change a file. */
export interface Owned {
  readonly uid: number;
  readonly mode: number;
  readonly kind: 'file' | 'folder' | 'link' | 'other';
}

/** The door to files and folders. */
export interface Files {
  /**
   * The text of a file that root alone decides about, with every folder above it; undefined when
   * there is none. @throws KillswitchError OWNER when others can change it, FILES when it cannot be
   * read.
   */
  read(path: string): string | undefined;
  /** The same as it is, for text that is not ours. @throws KillswitchError OWNER, FILES */
  readBytes(path: string): Uint8Array | undefined;
  /**
   * Up to a megabyte of a file that anybody may have written: nothing in it is to be believed.
   * Undefined when there is none. @throws KillswitchError OWNER at a link that others than root
   * have set, FILES when it is no regular file.
   */
  readUntrusted(path: string): Uint8Array | undefined;
  /**
   * Names in a folder, whoever's it is; none when there is no such folder.
   * @throws KillswitchError OWNER, FILES
   */
  list(folder: string): readonly string[];
  exists(path: string): boolean;
  /**
   * Whose a file or folder is, and its permissions (the low twelve bits); of a link, the link's
   * own. Undefined when there is none.
   */
  owner(path: string): Owned | undefined;
  /**
   * Where a path leads through root's symbolic links, whether anything is there or not; undefined
   * when nothing has that name.
   */
  place(path: string): string | undefined;
  /**
   * Writes a file of root's so that a reader sees the old text or the new one, and a power cut
   * leaves one of them. Missing folders are made, and mode and owner are exact whatever the umask.
   * @throws KillswitchError OWNER when others can write to a folder above it.
   */
  write(path: string, text: string | Uint8Array, mode?: number): void;
  /**
   * Replaces the text of somebody else's file, or makes one of root's: its owner, mode and place
   * stay, also behind a symbolic link of root's or a bind mount. Nothing outside its folder is
   * touched, whatever its owner does meanwhile.
   */
  rewrite(path: string, text: string | Uint8Array): void;
  /** Removes a file, or a folder with all that is in it. No link is followed. */
  remove(path: string): void;
}

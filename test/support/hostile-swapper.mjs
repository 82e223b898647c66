// Runs as a user without rights and changes, as fast as it can, every entry that it may change on the way to the path in /run/hostile-target.
// Its arguments: a file and a folder of root's to lead root to, and a folder of its own with a FIFO.
import {
  chmodSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';

const [, , secret, folder, own] = process.argv;
const HOSTILE = process.env.HOSTILE_TEXT ?? '';

function attempt(work) {
  try {
    work();
    return true;
  } catch {
    return false;
  }
}

function clear(path) {
  attempt(() => unlinkSync(path)) ||
    attempt(() => rmdirSync(path)) ||
    attempt(() => renameSync(path, `${path}.${Math.random()}`));
}

const MAKES = [
  (path) => symlinkSync(secret, path),
  (path) => symlinkSync(folder, path),
  (path) => linkSync(secret, path),
  (path) => linkSync(`${own}/fifo`, path),
  (path) => mkdirSync(path),
  (path) => writeFileSync(path, HOSTILE, { flag: 'wx', mode: 0o644 }),
  (path) => symlinkSync(path, path),
];

for (;;) {
  let target = '';
  attempt(() => {
    target = readFileSync('/run/hostile-target', 'utf8');
  });
  // One folder and a link to root's, in turn, as fast as it goes.
  if (target.startsWith('flip ')) {
    const [, folder, link] = target.split(' ');
    for (let turn = 0; turn < 2000; turn++) {
      attempt(() => renameSync(folder, `${folder}.kept`));
      attempt(() => renameSync(link, folder));
      attempt(() => renameSync(folder, link));
      attempt(() => renameSync(`${folder}.kept`, folder));
    }
    continue;
  }
  const parts = target.split('/').filter((part) => part !== '');
  const paths = parts.map((_, index) => `/${parts.slice(0, index + 1).join('/')}`).slice(1);
  for (let turn = 0; turn < 40; turn++) {
    const path = paths[Math.floor(Math.random() * paths.length)] ?? '';
    const make = MAKES[Math.floor(Math.random() * MAKES.length)];
    // The place is never empty for long: what was there comes back.
    attempt(() => renameSync(path, `${path}.kept`));
    attempt(() => make(path));
    if (turn % 3 === 0) continue;
    clear(path);
    attempt(() => renameSync(`${path}.kept`, path));
    if (turn % 7 === 0) attempt(() => chmodSync(path, 0o777));
  }
}

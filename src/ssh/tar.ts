import type { TreeEntry, TreeOwner } from './tree.js';

const blockSize = 512;

function padded(data: Buffer): Buffer[] {
  const rest = data.length % blockSize;
  return rest === 0 ? [data] : [data, Buffer.alloc(blockSize - rest)];
}

/** A header of the ustar format (POSIX.1-2017, pax). Names that are longer than its fields stand in a pax header before it. */
function header(type: string, name: string, size: number, mode: number, owner: TreeOwner, linkName = ''): Buffer {
  const block = Buffer.alloc(blockSize);
  const number = (value: number, at: number, length: number): void => {
    block.write(value.toString(8).padStart(length - 1, '0'), at, 'ascii');
  };
  block.write(name.slice(0, 100), 0, 100, 'utf8');
  number(mode, 100, 8);
  number(owner.uid, 108, 8);
  number(owner.gid, 116, 8);
  number(size, 124, 12);
  number(Math.floor(Date.now() / 1000), 136, 12);
  block.fill(' ', 148, 156);
  block.write(type, 156, 'ascii');
  block.write(linkName.slice(0, 100), 157, 100, 'utf8');
  block.write('ustar\u000000', 257, 'ascii');
  const sum = block.reduce((all, byte) => all + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'ascii');
  return block;
}

/** `LENGTH KEY=VALUE\n`, where the length counts itself. */
function paxRecord(key: string, value: string): Buffer {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + 1;
  while (String(length).length + rest !== length) length = String(length).length + rest;
  return Buffer.from(`${length} ${key}=${value}\n`);
}

function pax(values: Record<string, string>): Buffer[] {
  const records = Buffer.concat(Object.entries(values).map(([key, value]) => paxRecord(key, value)));
  return [header('x', 'pax', records.length, 0o644, { uid: 0, gid: 0 }), ...padded(records)];
}

/** Longest name that a ustar header holds as it is, bytes. */
const maxName = 100;
/** Largest id of a field of seven octal digits. */
const maxId = 0o7777777;

function entryBlocks(entry: TreeEntry, owner: TreeOwner): Buffer[] {
  const name = entry.path.replace(/^\/+/, '') || '.';
  const linkName = entry.kind === 'link' ? entry.target : '';
  const beyond = {
    ...(Buffer.byteLength(name) > maxName ? { path: name } : {}),
    ...(Buffer.byteLength(linkName) > maxName ? { linkpath: linkName } : {}),
    ...(owner.uid > maxId ? { uid: String(owner.uid) } : {}),
    ...(owner.gid > maxId ? { gid: String(owner.gid) } : {}),
  };
  const before = Object.keys(beyond).length > 0 ? pax(beyond) : [];
  const inField = { uid: Math.min(owner.uid, maxId), gid: Math.min(owner.gid, maxId) };
  if (entry.kind === 'directory') return [...before, header('5', name, 0, entry.mode, inField)];
  if (entry.kind === 'link') return [...before, header('2', name, 0, 0o777, inField, linkName)];
  return [...before, header('0', name, entry.content.length, entry.mode, inField), ...padded(entry.content)];
}

/** Trees as one tar archive (pax), with names relative to `/`. */
export function tarOf(trees: readonly { entries: readonly TreeEntry[]; owner: TreeOwner }[]): Buffer {
  const blocks = trees.flatMap(({ entries, owner }) => entries.flatMap((entry) => entryBlocks(entry, owner)));
  return Buffer.concat([...blocks, Buffer.alloc(2 * blockSize)]);
}

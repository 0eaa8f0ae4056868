import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, NetrigError } from '../errors.js';
import type { ClassBook } from './book.js';
import type { ClassFile } from './class-file.js';
import { linksCsv, linksIn, type GivenLink } from './links.js';
import { hashOf, newCode, normalCode } from './secrets.js';

const linksName = 'links.csv';

/** Gives a new code to somebody: told here, kept as a hash. Their sessions of before end. */
function giveCode(book: ClassBook, { id, name, role }: { id: string; name: string; role: GivenLink['role'] }) {
  const code = newCode();
  const kept = book.append({ type: 'person:code', person: id, code: hashOf(normalCode(code)) });
  return { link: { person: id, name, role, code } satisfies GivenLink, kept };
}

/**
 * Persons of roster and file are made known, and those without a code get one; who is in neither any more is let in no more. The
 * links of those who got one.
 */
export async function admitAll(book: ClassBook, file: ClassFile, anew: boolean): Promise<GivenLink[]> {
  const all = [
    ...file.teachers.map((one) => ({ ...one, role: 'teacher' as const })),
    ...file.students.map((one) => ({ ...one, role: 'student' as const })),
  ];
  const links: GivenLink[] = [];
  for (const { id, name, role } of all) {
    const known = book.state.persons.get(id);
    if (known?.name !== name || known.role !== role) void book.append({ type: 'person:known', person: id, name, role });
    if (known?.code && !anew) continue;
    links.push(giveCode(book, { id, name, role }).link);
  }
  const here = new Set(all.map(({ id }) => id));
  for (const { id, code } of book.state.persons.values())
    if (code !== null && !here.has(id)) void book.append({ type: 'person:code', person: id, code: null });
  await book.flush();
  return links;
}

/**
 * Writes the links that were just given, with those of before that are good still, for pages that stand at `url` now. The file's
 * path, `null` where nobody got a new one.
 */
export function writeLinks(
  directory: string,
  url: string,
  { state }: ClassBook,
  links: readonly GivenLink[],
): string | null {
  const path = join(directory, linksName);
  const before = existsSync(path) ? linksIn(readFileSync(path, 'utf8'), state.persons) : [];
  const given = new Set(links.map(({ person }) => person));
  const all = [...before.filter(({ person }) => !given.has(person)), ...links];
  if (all.length > 0) {
    // A disk that is full must not cost the links of everybody else.
    writeFileSync(`${path}.fresh`, linksCsv(url, all), { mode: 0o600 });
    renameSync(`${path}.fresh`, path);
  }
  return links.length > 0 ? path : null;
}

/**
 * A new link for one person. The former one is good no more, and their pages and terminals are cut off; nobody else's are. The new
 * one takes its place in the file of links.
 *
 * @param warn Told where that file cannot be written: then the link is in the answer alone.
 * @throws NETRIG_USAGE where the class has nobody of that id; NETRIG_CLASS_RECORD.
 */
export async function newLinkFor(
  book: ClassBook,
  person: string,
  { directory, url, warn }: { directory: string; url: string; warn(text: string): void },
): Promise<GivenLink> {
  const known = book.state.persons.get(person);
  if (!known || known.role === 'solo' || known.code === null)
    throw new NetrigError('NETRIG_USAGE', `Nobody in the class has the id "${person}".`, {
      hint: 'Ids of students are in the roster; teachers are teacher-1, teacher-2, … in the order of the file. Who is new gets a link when the class starts next.',
    });
  const { link, kept } = giveCode(book, { id: person, name: known.name, role: known.role });
  await kept;
  try {
    writeLinks(directory, url, book, [link]);
  } catch (error) {
    warn(`the new link of ${person} does not stand in ${linksName}: ${messageOf(error)}`);
  }
  return link;
}

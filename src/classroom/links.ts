import { readCsv, writeCsv } from './csv.js';
import { hashOf, normalCode } from './secrets.js';
import type { PersonState } from './state.js';

/** By what a person gets into a class. */
export interface GivenLink {
  person: string;
  name: string;
  role: 'student' | 'teacher';
  code: string;
}

/**
 * Links of a file that `linksCsv` wrote which are good still, with the names that persons have now. Of what is no such file, or was
 * changed by hand beyond reading, there are none.
 */
export function linksIn(text: string, persons: ReadonlyMap<string, PersonState>): GivenLink[] {
  try {
    return readCsv(text).flatMap(({ cells: [id = '', , , , code = ''] }) => {
      const person = persons.get(id);
      if (!person || person.role === 'solo') return [];
      if (person.code === null || person.code !== hashOf(normalCode(code))) return [];
      return [{ person: id, name: person.name, role: person.role, code }];
    });
  } catch {
    return [];
  }
}

/** The links of a class whose pages stand at `url`, a person a row. */
export function linksCsv(url: string, links: readonly GivenLink[]): string {
  const rows = links.map(({ person, name, role, code }) => [person, name, role, `${url}/join#${code}`, code]);
  return writeCsv([['id', 'name', 'role', 'link', 'code'], ...rows]);
}

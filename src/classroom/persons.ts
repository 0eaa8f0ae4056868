import type { ClassBook } from './book.js';
import { hashOf, newToken, normalCode, sameHash } from './secrets.js';
import type { PersonState } from './state.js';

/** How long a session holds, ms. */
const sessionMs = 14 * 24 * 3600 * 1000;

/** Lets a person in by a code: a new session, whose token is told here and nowhere else. `null`: the code is nobody's. */
export async function enter(book: ClassBook, code: string): Promise<{ token: string; person: PersonState } | null> {
  const hash = hashOf(normalCode(code));
  const person = [...book.state.persons.values()].find((one) => one.code !== null && sameHash(one.code, hash));
  if (!person) return null;
  const token = newToken();
  await book.append({ type: 'session:opened', person: person.id, token: hashOf(token) });
  return { token, person };
}

/** Whose session it is; `null` where it is none, or too old. */
export function personOf(book: ClassBook, token: string | undefined): PersonState | null {
  if (token === undefined) return null;
  const session = book.state.sessions.get(hashOf(token));
  if (!session || Date.now() - Date.parse(session.at) > sessionMs) return null;
  return book.state.persons.get(session.person) ?? null;
}

export async function leave(book: ClassBook, token: string | undefined): Promise<void> {
  if (token === undefined || !book.state.sessions.has(hashOf(token))) return;
  await book.append({ type: 'session:closed', token: hashOf(token) });
}

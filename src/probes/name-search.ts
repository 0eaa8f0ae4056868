import type { ServerAnswer } from './resolver.js';

type Found = ServerAnswer & { saw: 'answer' };
type Failed = ServerAnswer & { saw: 'failure' };

/** What the servers, asked one after the other, made of one name. */
type Tried =
  | { end: 'answer'; said: Found }
  /** `absent`: there is no such name, or no such record of it. `servfail`, `stop`: no server gave a verdict. */
  | { end: 'absent' | 'servfail' | 'stop'; said: Failed }
  | { end: 'nothing'; said: ServerAnswer & { saw: 'nothing' } };

/** A server that gives no verdict (silence, SERVFAIL, REFUSED) makes the next one be asked, as resolv.conf(5) has it. */
async function askInTurn(
  servers: readonly string[],
  ask: (server: string) => Promise<ServerAnswer>,
): Promise<Tried | null> {
  let unread: (ServerAnswer & { saw: 'nothing' }) | null = null;
  let failed: Failed | null = null;
  let servfail = false;
  for (const server of servers) {
    const said = await ask(server);
    if (said.saw === 'answer') return { end: 'answer', said };
    if (said.saw === 'nothing') {
      unread ??= said;
      continue;
    }
    if (said.cause === 'nxdomain' || said.cause === 'no-answer') return { end: 'absent', said };
    failed = said;
    // The list goes by the rcode of the last datagram that came: silence after it changes nothing.
    if (said.replied) servfail = said.cause === 'servfail';
  }
  if (failed) return { end: servfail ? 'servfail' : 'stop', said: failed };
  return unread && { end: 'nothing', said: unread };
}

/** Why names of the list were not asked for, as a clause; empty where all were. */
function unasked(ended: Failed, names: readonly string[]): string {
  if (names.length === 0) return '';
  return `; before that ${ended.text}, which ends the search list: ${names.join(' and ')} ${names.length === 1 ? 'is' : 'are'} not asked for`;
}

/**
 * Goes through the names of a search list (`searchCandidates`) in the order of glibc, and ends where it does (`res_search`,
 * resolv/res_query.c; the same from 2.31 to 2.41): a name that is not there or has no such record, and one for which all
 * servers fail (SERVFAIL), lead to the next. Silence and REFUSED end the list, and only the plain name is asked for yet.
 * Where the plain name comes first, it ends nothing, and its failure is the one that counts. `null`: nobody to ask.
 *
 * @param ask what a server says of the candidate of that index
 */
export async function searchInOrder(
  plain: string,
  candidates: readonly string[],
  servers: readonly string[],
  ask: (server: string, candidate: number) => Promise<ServerAnswer>,
): Promise<ServerAnswer | null> {
  const plainAt = candidates.indexOf(plain);
  const failures: { end: Tried['end']; said: Failed }[] = [];
  let because = '';
  for (let i = 0; i < candidates.length; i += 1) {
    const tried = await askInTurn(servers, (server) => ask(server, i));
    if (!tried || tried.end === 'answer' || tried.end === 'nothing') return tried && tried.said;
    failures.push(tried);
    if (tried.end !== 'stop' || i === plainAt) continue;
    because = unasked(
      tried.said,
      candidates.filter((_, k) => k > i && k !== plainAt),
    );
    if (plainAt < i) break;
    i = plainAt - 1;
  }
  const counts =
    (plainAt === 0 ? failures[0] : undefined) ??
    failures.find(({ said }) => said.cause === 'no-answer') ??
    failures.find(({ end }) => end === 'servfail') ??
    failures.at(-1);
  return counts ? { ...counts.said, text: `${counts.said.text}${because}` } : null;
}

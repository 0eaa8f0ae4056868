import { z } from 'zod';
import { httpGet } from './answer.js';
import type { ProbeContext, ProbeHost } from '../places/context.js';
import { namedEngineSocket } from '../places/engine.js';

export const engineObjects = ['container', 'network', 'image', 'volume'] as const;
export type EngineObject = (typeof engineObjects)[number];

/** `missing`: the engine answered, and has no such object. `unknown`: it did not answer, or in a way that says neither. */
export type EngineAnswer = { document: unknown } | { missing: string } | { unknown: string };

const apiPath: Record<EngineObject, (name: string) => string> = {
  container: (name) => `/containers/${encodeURIComponent(name)}/json`,
  network: (name) => `/networks/${encodeURIComponent(name)}`,
  // Names of images hold slashes, which the engine wants as they stand.
  image: (name) => `/images/${name.split('/').map(encodeURIComponent).join('/')}/json`,
  volume: (name) => `/volumes/${encodeURIComponent(name)}`,
};

/** The engine also takes the beginning of an id for a name: an answer about another object is no answer about this one. */
function isNamed(kind: EngineObject, name: string, document: unknown): boolean {
  const about = z
    .object({ Id: z.string().optional(), Name: z.string().optional(), RepoTags: z.array(z.string()).nullish() })
    .safeParse(document);
  if (!about.success) return false;
  const { Id, Name, RepoTags } = about.data;
  if (Id === name) return true;
  if (kind === 'container') return Name === `/${name}`;
  if (kind !== 'image') return Name === name;
  // A reference has many spellings, which the engine knows better; only hexadecimal digits can begin an image's id.
  return !/^[0-9a-f]+$/.test(name) || (RepoTags ?? []).includes(`${name}:latest`) || Id === `sha256:${name}`;
}

/**
 * An object of a host's engine as `docker inspect` shows it, asked over the engine's socket: its HTTP status says whether the
 * object is missing or the engine could not tell, which the docker client only says in words.
 */
export async function engineGet(
  context: ProbeContext,
  host: ProbeHost,
  kind: EngineObject | 'info',
  name: string,
): Promise<EngineAnswer> {
  const path = kind === 'info' ? '/info' : apiPath[kind](name);
  const vantage = {
    endpoint: { kind: 'host', host: host.name },
    label: host.name,
    host: host.beside ?? host,
    enter: (argv: readonly string[]) => [...argv],
    nameFiles: null,
    container: null,
  } as const;
  const socket = namedEngineSocket(host.beside !== undefined);
  const answer = await httpGet(context, vantage, `http://docker${path}`, socket);
  const what = kind === 'info' ? 'about itself' : `about the ${kind} ${name}`;
  if ('unanswered' in answer) return { unknown: `no engine on ${host.name} answered ${what}: ${answer.unanswered}` };
  let document: unknown;
  try {
    document = JSON.parse(answer.body);
  } catch {
    return { unknown: `the engine of ${host.name} answered ${what} with HTTP ${answer.status} and no JSON` };
  }
  if (answer.status === 200) {
    if (kind === 'info' || isNamed(kind, name, document)) return { document };
    return { missing: `the engine took ${JSON.stringify(name)} for the beginning of the id of another ${kind}` };
  }
  const { message = '' } = z.object({ message: z.string().optional() }).safeParse(document).data ?? {};
  // "page not found" is the answer of an API without such a request.
  if (answer.status === 404 && message !== '' && message !== 'page not found') return { missing: message };
  return {
    unknown: `the engine of ${host.name} answered ${what} with HTTP ${answer.status}: ${message || 'no message'}`,
  };
}

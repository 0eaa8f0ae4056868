import type { Data, DataMap } from './source.js';
import { isDataMap } from './source.js';

/**
 * What the language called something before, and what it calls it now. `netrig migrate` rewrites files by this table, files
 * of the former language are refused by it, and docs/migrating.md shows it.
 */
export interface Renaming {
  /** The kind of check below whose key it stands; `null`: at the top of the file or in a host. */
  kind: string | null;
  /** Keys from there on. At the top, `*` is any key. */
  former: readonly string[];
  /** Where it stands now; `null`: what it said goes without saying. */
  now: readonly string[] | null;
  /** Only values for which this is so are of the former language. */
  when?: (value: Data) => boolean;
  /** The value now, where it is another one. */
  value?: (value: Data) => Data;
  /** Keys that come with it. */
  also?: readonly { path: readonly string[]; value: Data; before?: boolean }[];
  /** A note for the page, in place of the value’s change. */
  note?: string;
}

const to = (kind: string, former: string, now: string, more: Partial<Renaming> = {}): Renaming => ({
  kind,
  former: former.split('.'),
  now: now.split('.'),
  ...more,
});

const isTrue = (value: Data): boolean => value === true;

export const renamings: readonly Renaming[] = [
  { kind: null, former: ['bootTimeout'], now: ['boot-timeout'] },
  {
    kind: null,
    former: ['hosts', '*', 'engine'],
    now: ['hosts', '*', 'engine'],
    when: (value) => value === 'none',
    value: () => false,
    note: '`none` is `false`',
  },

  to('ping', 'via', 'address-on'),
  to('ping', 'min-received', 'expect.min-received'),
  to('port', 'via', 'address-on'),
  to('port', 'receive', 'expect.receive'),
  to('port', 'behind', 'expect.behind'),
  to('http', 'via', 'address-on'),
  to('reach', 'via', 'address-on'),
  to('reach', 'allow', 'expect.allow'),
  to('dns', 'answered-by', 'expect.answered-by'),

  to('address', 'of', 'on'),
  to('address', 'distinct', 'on', {
    also: [{ path: ['expect', 'distinct'], value: true }],
    note: 'with `expect: { distinct: true }`',
  }),
  to('address', 'via', 'address-on'),
  to('address', 'is', 'expect.is'),
  to('address', 'in', 'expect.in'),
  to('address', 'absent', 'expect.absent'),

  to('link', 'of', 'on'),
  to('link', 'expect.peer.of', 'expect.peer.on'),

  to('bridge', 'of', 'on'),
  to('bridge', 'expect.lacks', 'expect.not.contains'),

  to('route', 'of', 'on'),
  ...['via', 'dev', 'src', 'metric', 'protocol', 'scope', 'type', 'absent'].map((key) =>
    to('route', key, `expect.${key}`),
  ),

  to('docker', 'info', 'expect', {
    when: isDataMap,
    also: [{ path: ['info'], value: true, before: true }],
    note: 'with `info: true`',
  }),
  to('docker', 'same', 'expect.same'),
  to('docker', 'absent', 'expect.absent'),

  to('capture', 'expect.none', 'expect.absent', { when: isTrue, note: '`true`' }),
  to('capture', 'expect.none', 'expect.not.some', { when: isDataMap, note: 'fields of a packet' }),

  to('consul', 'leader', 'expect.leader'),
  to('consul', 'members.status', 'status'),
  to('consul', 'members.count', 'expect.members.count'),
  to('consul', 'members.names', 'expect.members.names'),
  { kind: 'consul', former: ['kv', 'exists'], now: null, when: isTrue, note: 'true: goes without saying' },
  to('consul', 'kv.exists', 'expect.absent', {
    when: (value) => value === false,
    value: () => true,
    note: '`false` is `absent: true`',
  }),
  ...['value', 'json', 'count', 'keys'].map((key) => to('consul', `kv.${key}`, `expect.${key}`)),
  to('consul', 'health.service', 'service'),
  to('consul', 'health.passing', 'expect.passing'),

  to('process', 'of', 'on'),
  to('sysctl', 'values', 'expect'),
  to('netns', 'of', 'on.0'),
  to('netns', 'and', 'on.1'),
  to('netns', 'expect', 'expect', {
    when: (value) => value === 'different',
    value: () => ({ not: 'same' }),
    note: '`different` is `{ not: same }`',
  }),
  to('arp', 'expect.none', 'expect.absent'),
];

const renamingsByKind = new Map<string | null, Renaming[]>();
for (const renaming of renamings)
  renamingsByKind.set(renaming.kind, [...(renamingsByKind.get(renaming.kind) ?? []), renaming]);

/** The renamings that a kind’s body, or for `null` a file, is in need of. */
export function neededRenamings(kind: string | null, body: Data | undefined): { path: string[]; renaming: Renaming }[] {
  return (renamingsByKind.get(kind) ?? []).flatMap((renaming) =>
    placesOf(body, renaming.former).flatMap(({ path, value }) =>
      renaming.when === undefined || renaming.when(value) ? [{ path, renaming }] : [],
    ),
  );
}

function placesOf(
  body: Data | undefined,
  keys: readonly string[],
  path: string[] = [],
): { path: string[]; value: Data }[] {
  if (keys.length === 0) return body === undefined ? [] : [{ path, value: body }];
  if (!isDataMap(body)) return [];
  const [key, ...rest] = keys;
  const names = key === '*' ? Object.keys(body) : key! in body ? [key!] : [];
  return names.flatMap((name) => placesOf((body as DataMap)[name], rest, [...path, name]));
}

/** `expect.answered-by`, or `on` for a place in a list. */
export function shownKeys(keys: readonly string[]): string {
  return keys.filter((key) => !/^\d+$/.test(key)).join('.');
}

/** What is said of a key or value of the former language. */
export function formerMessage({ former, now, note }: Renaming): string {
  const said =
    now === null
      ? `\`${shownKeys(former)}\` is gone: ${note}`
      : shownKeys(now) === shownKeys(former)
        ? `${note} now`
        : `\`${shownKeys(former)}\` is \`${shownKeys(now)}\` now${note === undefined ? '' : ` (${note})`}`;
  return `${said}; \`netrig migrate --write FILE\` rewrites it`;
}

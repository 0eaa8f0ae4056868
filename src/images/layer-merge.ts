/**
 * What of a layer of packages cannot be put as it is over another tree than the one it was made on, such as a host image with a
 * kernel: accounts, dpkg's books, lists that several packages write into. Each is merged: what the layer changed of its base goes
 * into the other tree's own. Pure.
 */

/** The three texts of one file: of the layer's base, of the layer, and of the tree it is to go over. `''` where there is none. */
export interface ThreeTexts {
  base: string;
  layer: string;
  there: string;
}

type Records = Map<string, string>;

/** The tree's own records with what the layer changed: added or different, else removed. */
function merged(base: Records, layer: Records, there: Records, pick = (of: string, _mine?: string) => of): Records {
  const result = new Map(there);
  for (const [key, text] of layer) if (base.get(key) !== text) result.set(key, pick(text, there.get(key)));
  for (const key of base.keys()) if (!layer.has(key)) result.delete(key);
  return result;
}

const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '');
const textOf = (lines: Iterable<string>): string => [...lines].map((line) => `${line}\n`).join('');

/** Stanzas of deb822(5), as dpkg and debconf keep their books, by what tells them apart. */
function stanzasOf(text: string): Records {
  const stanzas = text.split(/\n{2,}/).filter((one) => one.trim() !== '');
  return new Map(
    stanzas.map((stanza) => {
      const field = (name: string): string => new RegExp(`^${name}: *(.*)$`, 'm').exec(stanza)?.[1] ?? '';
      return [
        [field('Package') || field('Name'), field('Architecture')].join(' '),
        stanza.replace(/\n+$/, ''),
      ] as const;
    }),
  );
}

/** `var/lib/dpkg/status` and the like. */
export function mergeStanzas({ base, layer, there }: ThreeTexts): string {
  const all = merged(stanzasOf(base), stanzasOf(layer), stanzasOf(there));
  return [...all.values()].map((stanza) => `${stanza}\n\n`).join('');
}

const byLine = (text: string): Records => new Map(linesOf(text).map((line) => [line, line]));

/** Files whose lines stand each for itself: `etc/shells`, triggers that packages wait for. */
export function mergeLines({ base, layer, there }: ThreeTexts): string {
  return textOf(merged(byLine(base), byLine(layer), byLine(there)).values());
}

/** `var/lib/dpkg/diversions`: three lines a record. */
export function mergeDiversions({ base, layer, there }: ThreeTexts): string {
  const byThree = (text: string): Records => {
    const lines = linesOf(text);
    const records = lines.flatMap((_, at) => (at % 3 === 0 ? [lines.slice(at, at + 3).join('\n')] : []));
    return new Map(records.map((record) => [record, record]));
  };
  return textOf(merged(byThree(base), byThree(layer), byThree(there)).values());
}

const byName = (text: string): Records =>
  new Map(linesOf(text).map((line) => [line.slice(0, line.indexOf(':')), line]));

/** `etc/shadow` and others with a line by name, and no number in it that another file knows. */
export function mergeByName({ base, layer, there }: ThreeTexts): string {
  return textOf(merged(byName(base), byName(layer), byName(there)).values());
}

/** The first id above which people are, as Debian's adduser gives them out. */
const firstPerson = 1000;
const firstSystem = 100;

/** The id itself where it is free, else one of its kind that is. */
function freeId(wanted: number, taken: ReadonlySet<number>): number {
  if (!taken.has(wanted)) return wanted;
  let id = wanted < firstPerson ? firstPerson - 1 : firstPerson;
  while (taken.has(id)) id += wanted < firstPerson && id > firstSystem ? -1 : 1;
  return id;
}

const idOf = (line: string): number => Number(line.split(':')[2]);
const withField = (line: string, at: number, value: string): string =>
  line
    .split(':')
    .map((field, index) => (index === at ? value : field))
    .join(':');

/** `etc/group`: an account of the layer's whose number another one has there gets another; members are those of both. */
export function mergeGroups({ base, layer, there }: ThreeTexts): string {
  const taken = new Set(linesOf(there).map(idOf));
  const membersOf = (line: string): string[] => (line.split(':')[3] ?? '').split(',').filter((one) => one !== '');
  const pick = (line: string, mine?: string): string => {
    if (mine !== undefined) return withField(mine, 3, [...new Set([...membersOf(mine), ...membersOf(line)])].join(','));
    const id = freeId(idOf(line), taken);
    taken.add(id);
    return withField(line, 2, String(id));
  };
  return textOf(merged(byName(base), byName(layer), byName(there), pick).values());
}

/** `etc/passwd`, after the groups: numbers as of `mergeGroups`; the group of an account is the one of that name. */
export function mergeUsers({ base, layer, there }: ThreeTexts, groups: { layer: string; merged: string }): string {
  const taken = new Set(linesOf(there).map(idOf));
  const nameOfGroup = new Map([...byName(groups.layer)].map(([name, line]) => [String(idOf(line)), name]));
  const idOfGroup = new Map([...byName(groups.merged)].map(([name, line]) => [name, String(idOf(line))]));
  const pick = (line: string, mine?: string): string => {
    const [, , , gid = ''] = line.split(':');
    const group = idOfGroup.get(nameOfGroup.get(gid) ?? '') ?? gid;
    const id = mine === undefined ? freeId(idOf(line), taken) : idOf(mine);
    taken.add(id);
    return withField(withField(line, 2, String(id)), 3, group);
  };
  return textOf(merged(byName(base), byName(layer), byName(there), pick).values());
}

/** By path below the root. Accounts come in an order of their own, see `mergeUsers`. */
const mergedFiles: Readonly<Record<string, (texts: ThreeTexts) => string>> = {
  'etc/shadow': mergeByName,
  'etc/gshadow': mergeByName,
  'etc/subuid': mergeByName,
  'etc/subgid': mergeByName,
  'etc/shells': mergeLines,
  'var/cache/debconf/config.dat': mergeStanzas,
  'var/cache/debconf/templates.dat': mergeStanzas,
  'var/cache/debconf/passwords.dat': mergeStanzas,
  'var/lib/apt/extended_states': mergeStanzas,
  'var/lib/dpkg/diversions': mergeDiversions,
  'var/lib/dpkg/statoverride': mergeLines,
  'var/lib/dpkg/status': mergeStanzas,
};

const triggers = 'var/lib/dpkg/triggers/';

/** How a file is merged; `null` for one that goes over as it is. */
export function mergeOf(path: string): ((texts: ThreeTexts) => string) | null {
  return mergedFiles[path] ?? (path.startsWith(triggers) ? mergeLines : null);
}

/** What a layer leaves of the work on it, and what each tree makes for itself. */
export const leftOut: readonly string[] = [
  'etc/.pwd.lock',
  'etc/group-',
  'etc/gshadow-',
  'etc/ld.so.cache',
  'etc/passwd-',
  'etc/shadow-',
  'etc/subgid-',
  'etc/subuid-',
  'var/cache/ldconfig',
  'var/lib/dpkg/lock',
  'var/lib/dpkg/lock-frontend',
  'var/lib/dpkg/triggers/Lock',
];

export const accountFiles = { groups: 'etc/group', users: 'etc/passwd' } as const;

/** Packages that two lists of dpkg's have in different versions, or one of them only: what is only in `there` does not count. */
export function differentPackages(base: string, there: string): string[] {
  const versions = (text: string): Map<string, string> =>
    new Map([...stanzasOf(text)].map(([key, stanza]) => [key, /^Version: *(.*)$/m.exec(stanza)?.[1] ?? '']));
  const own = versions(there);
  return [...versions(base)].flatMap(([key, version]) => (own.get(key) === version ? [] : [key.split(' ')[0]!]));
}

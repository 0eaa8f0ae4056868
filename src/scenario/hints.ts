import { parseReference } from '../images/containers/reference.js';
import type { Diagnostic, Path } from './diagnostic.js';
import type { Scenario } from './scenario.js';
import { isDataMap, type Data, type DataMap, type ScenarioSource } from './source.js';

/** What a valid file may say that is hardly meant. Each holds whatever the lab is like; docs/errors.md is made from this. */
export const hintRows = {
  'unused-variable': 'A variable of `vars` that nothing in the file depends on.',
  'unused-value': 'A step saves a value that no later step or check uses.',
  'unused-image':
    '`images` names a container image that nothing else in the file names, so that every engine is given it in vain.',
  'no-check': 'A scenario without a check: its run proves nothing, and ends with 1.',
  'port-unheard':
    'A check passes where a port refuses, and nothing else in the file speaks of that port: a mistyped number would refuse as well.',
  'no-points':
    'A check of an exercise says `stage`, `hint` or `shown`, as tasks do, and has no `points`: it is not graded, and no student sees it.',
} as const;

export type HintCode = keyof typeof hintRows;

/** All that hints are made of: a valid file with its scenarios. */
export interface HintSubject {
  source: ScenarioSource;
  /** As it stands in the file. */
  data: DataMap;
  /** With the variables of each scenario in it. */
  replaced: readonly DataMap[];
  scenarios: readonly Scenario[];
  /** Names of `vars`. */
  vars: Iterable<string>;
  /** Names of variables that something in the file depends on. */
  used: ReadonlySet<string>;
}

interface Leaf {
  path: Path;
  value: string | number;
}

/** Every key, text and number below a value, with its path. */
function leaves(value: Data | undefined, path: Path = [], found: Leaf[] = []): Leaf[] {
  if (Array.isArray(value)) value.forEach((one, index) => leaves(one, [...path, index], found));
  else if (isDataMap(value))
    for (const key of Object.keys(value)) {
      const below = [...path, key];
      found.push({ path: below, value: key });
      leaves(value[key], below, found);
    }
  else if (typeof value === 'string' || typeof value === 'number') found.push({ path, value });
  return found;
}

const isBelow = (path: Path, base: Path): boolean => base.every((part, index) => path[index] === part);

type Tell = (code: HintCode, path: Path, message: string, at?: 'key' | 'value') => void;

function unusedVariables({ vars, used }: HintSubject, tell: Tell): void {
  for (const name of vars)
    if (!used.has(name)) tell('unused-variable', ['vars', name], `\`${name}\` is used nowhere`, 'key');
}

function unusedValues({ data, scenarios }: HintSubject, tell: Tell): void {
  const used = new Set(scenarios.flatMap(({ items }) => items.flatMap(({ late }) => late?.names ?? [])));
  for (const list of ['steps', 'finally'])
    for (const [index, item] of (Array.isArray(data[list]) ? data[list] : []).entries()) {
      if (!isDataMap(item)) continue;
      const path = [list, index, 'save'];
      const whole = typeof item.save === 'string';
      const names = whole ? [item.save as string] : isDataMap(item.save) ? Object.keys(item.save) : [];
      for (const name of names)
        if (!used.has(name))
          tell('unused-value', whole ? path : [...path, name], `\`${name}\` is used nowhere`, whole ? 'value' : 'key');
    }
}

/** Files that come onto hosts, and Dockerfiles, may name images, too, and are not read. */
const carriesFiles = (all: readonly DataMap[]): boolean =>
  all.some((data) =>
    leaves(data).some(
      ({ path, value }) => path.at(-1) === value && /^(?:files|copy|build|compose)$/.test(String(value)),
    ),
  );

function unusedImages({ data, replaced }: HintSubject, tell: Tell): void {
  if (data.images === undefined || carriesFiles(replaced)) return;
  const texts = replaced.flatMap((one) =>
    leaves(one).flatMap(({ path, value }) => (path[0] === 'images' ? [] : [String(value)])),
  );
  const told = (name: string, path: Path, at: 'key' | 'value'): void => {
    // A shell may put a name together: its last part alone is looked for, without a tag.
    const last = parseReference(name)?.repository.split('/').at(-1);
    if (last !== undefined && !texts.some((text) => text.includes(last)))
      tell('unused-image', path, `nothing here makes a container of ${name}`, at);
  };
  const entries = Array.isArray(data.images) ? data.images : [data.images];
  for (const [index, entry] of entries.entries()) {
    const path = Array.isArray(data.images) ? ['images', index] : ['images'];
    if (typeof entry === 'string' && !entry.includes('${')) told(entry, path, 'value');
    else if (isDataMap(entry)) for (const name of Object.keys(entry)) told(name, [...path, name], 'key');
  }
}

function withoutCheck({ scenarios }: HintSubject, tell: Tell): void {
  if (scenarios.length > 0 && scenarios.every(({ items }) => items.every(({ kind }) => kind === 'step')))
    tell('no-check', [], 'there is no check: a run of it proves nothing, and ends with 1');
}

/** Up to here ports go by the names of their services, too (RFC 6335, section 6). */
const lastWellKnown = 1023;

/** Asks texts whether they have the number, alone or as one of a range such as `8080-8090`. */
function speaksOf(port: number): (text: string) => boolean {
  const alone = new RegExp(`(?<!\\d)${port}(?!\\d)`);
  return (text) => {
    if (alone.test(text)) return true;
    const ranges = [...text.matchAll(/(\d+)[-:](\d+)/g)];
    return ranges.some(([, low, high]) => Number(low) <= port && port <= Number(high));
  };
}

function unheardPorts({ replaced }: HintSubject, tell: Tell): void {
  for (const data of replaced) {
    let all: Leaf[] | undefined;
    for (const [index, item] of (Array.isArray(data.steps) ? data.steps : []).entries()) {
      const port = isDataMap(item) && isDataMap(item.port) ? item.port : null;
      const number = port?.port;
      if (typeof number !== 'number' || number <= lastWellKnown || !isDataMap(port?.expect)) continue;
      if (![port.expect.fails].flat().includes('refused')) continue;
      const path = ['steps', index];
      all ??= leaves(data);
      const speaks = speaksOf(number);
      if (!all.some((leaf) => !isBelow(leaf.path, path) && speaks(String(leaf.value))))
        tell(
          'port-unheard',
          [...path, 'port', 'port'],
          `nothing else here speaks of port ${number}: a mistyped number would be refused as well`,
        );
    }
  }
}

function ungradedTasks({ data, scenarios }: HintSubject, tell: Tell): void {
  if (!isDataMap(data.exercise) || scenarios.length === 0) return;
  for (const [index, item] of (Array.isArray(data.steps) ? data.steps : []).entries()) {
    if (!isDataMap(item) || typeof item.check !== 'string' || item.points !== undefined) continue;
    const key = ['stage', 'hint', 'shown'].find((one) => item[one] !== undefined);
    if (key !== undefined)
      tell('no-points', ['steps', index, key], `a check with \`${key}\` and without \`points\` is not graded`, 'key');
  }
}

/** What a valid file says that is hardly meant. Only of the file itself: what it shares with others may be for them. */
export function hintsOf(subject: HintSubject): Diagnostic[] {
  const found: Diagnostic[] = [];
  const tell: Tell = (hint, path, message, at) => {
    const { source } = subject;
    if (source.place(path).file === undefined) found.push({ ...source.diagnostic(path, message, at), hint });
  };
  for (const look of [unusedVariables, unusedValues, unusedImages, withoutCheck, unheardPorts, ungradedTasks])
    look(subject, tell);
  return found;
}

import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { messageOf, NetrigError } from '../errors.js';
import { catalogueOf, expandCovers, itemId, type Catalogue, type CataloguePart } from './covers.js';
import { sortedDiagnostics, type Diagnostic } from './diagnostic.js';
import { check } from './issues.js';
import {
  decodeSource,
  isDataMap,
  readSource,
  type DataMap,
  type ScenarioSource,
  type SourceWording,
} from './source.js';

/** Why items are covered by no check: a map of items (or ranges of them) to one sentence each. */
const uncoveredFileName = 'uncovered.yaml';
/** The catalogue: what there is to prove, each item with an id that `covers` may name. */
const itemsFileName = 'items.yaml';

/**
 * Whether a file beside scenarios is one of the two about the catalogue and no scenario. A scenario may have such a name: its
 * first word tells.
 */
export function isCatalogueFile(file: string): boolean {
  if (![uncoveredFileName, itemsFileName].includes(path.basename(file))) return false;
  try {
    return !/^scenario\s*:/m.test(readFileSync(file, 'utf8'));
  } catch {
    return false;
  }
}

const uncoveredWording: SourceWording = {
  empty: null,
  map: 'expected a map of catalogue items to reasons, such as `REQ-7: nobody can see it from outside`',
};
const catalogueWording: SourceWording = {
  empty: 'the file is empty',
  map: 'expected a map of the catalogue’s parts, each with `title` and `items`',
};

/** `null` for a file that is not there. Throws NETRIG_SCENARIO_READ for one that cannot be read. */
function readIfThere(file: string, wording: SourceWording): ScenarioSource | null {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new NetrigError('NETRIG_SCENARIO_READ', `${file}: ${messageOf(error)}`, { cause: error });
  }
  const shown = path.relative(process.cwd(), file);
  const name = shown === '' || shown.startsWith('..') ? file : shown;
  const decoded = decodeSource(bytes, name);
  if ('text' in decoded) return readSource(decoded.text, name, wording);
  return { ...readSource('', name, wording), diagnostics: decoded.diagnostics, usable: false };
}

export interface Uncovered {
  /** Item → why no check covers it. */
  reasons: Map<string, string>;
  diagnostics: Diagnostic[];
}

/**
 * Reads the list of items that no check covers. Wrong are: an id that the catalogue does not have, an item named twice, a
 * missing reason, and an item that a check covers after all.
 *
 * @param coveredBy Where a check covers the item (`scenarios/ports.yaml:12`), or `null`.
 */
export function readUncovered(
  text: string,
  file: string,
  catalogue: Catalogue | null,
  coveredBy: (id: string) => string | null,
): Uncovered {
  return uncoveredIn(readSource(text, file, uncoveredWording), catalogue, coveredBy);
}

function uncoveredIn(
  source: ScenarioSource,
  catalogue: Catalogue | null,
  coveredBy: (id: string) => string | null,
): Uncovered {
  const reasons = new Map<string, string>();
  const diagnostics = [...source.diagnostics];
  const done = (): Uncovered => ({ reasons, diagnostics: sortedDiagnostics(diagnostics) });
  if (!source.usable || !isDataMap(source.data)) return done();
  for (const [key, reason] of Object.entries(source.data)) {
    const complain = (message: string, at: 'key' | 'value' = 'key'): void =>
      void diagnostics.push(source.diagnostic([key], message, at));
    const expanded = expandCovers(key, catalogue);
    if ('message' in expanded) {
      complain(expanded.message);
      continue;
    }
    if (typeof reason !== 'string' || reason.trim() === '') {
      complain(
        `${key} has no reason: say in one sentence why no check can settle it`,
        reason === null ? 'key' : 'value',
      );
      continue;
    }
    for (const id of expanded.ids) {
      const place = coveredBy(id);
      if (place !== null) complain(`${id} is covered after all, by the check at ${place}: take it out of this list`);
      else if (reasons.has(id)) complain(`${id} stands in this list a second time`);
      else reasons.set(id, reason.trim().replace(/\s+/g, ' '));
    }
  }
  return done();
}

/** As `readUncovered`, from `uncovered.yaml` of a directory; a file that is not there lists nothing. Throws NETRIG_SCENARIO_READ. */
export function loadUncovered(
  directory: string,
  catalogue: Catalogue | null,
  coveredBy: (id: string) => string | null,
): Uncovered {
  const source = readIfThere(path.resolve(directory, uncoveredFileName), uncoveredWording);
  return source === null ? { reasons: new Map(), diagnostics: [] } : uncoveredIn(source, catalogue, coveredBy);
}

const zLine = z.string().trim().min(1);
/** What an item says beyond `says` is its owner's: pages of one's own are made of it. */
const zItem = z.union([zLine, z.looseObject({ says: zLine })]);
const zItems = z.record(z.string(), zItem);
const zCatalogue = z.record(
  z.string(),
  z.union([
    z.strictObject({ title: zLine, items: zItems }),
    z.strictObject({ title: zLine, sections: z.array(z.strictObject({ title: zLine, items: zItems })).min(1) }),
  ]),
);

export interface LoadedCatalogue {
  catalogue: Catalogue;
  diagnostics: Diagnostic[];
}

/** Reads the catalogue: parts with a title each, and their items, in sections or at once. An item stands in it once. */
export function readCatalogue(text: string, file: string): LoadedCatalogue {
  return catalogueIn(readSource(text, file, catalogueWording));
}

function catalogueIn(source: ScenarioSource): LoadedCatalogue {
  const diagnostics = [...source.diagnostics];
  const none = { catalogue: catalogueOf(source.file, []), diagnostics };
  if (!source.usable) return none;
  const parsed = check(zCatalogue, source.data ?? {}, []);
  if (!parsed.ok) {
    diagnostics.push(...parsed.problems.map((problem) => source.diagnostic(problem.path, problem.message, problem.at)));
    return { ...none, diagnostics: sortedDiagnostics(diagnostics) };
  }
  const seen = new Set<string>();
  const parts = Object.entries(parsed.value).map(([id, data]): CataloguePart => {
    const sections = 'sections' in data ? data.sections : [{ title: data.title, items: data.items }];
    sections.forEach((section, at) => {
      for (const item of Object.keys(section.items)) {
        const place = 'sections' in data ? [id, 'sections', at, 'items', item] : [id, 'items', item];
        if (!itemId.test(item))
          diagnostics.push(
            source.diagnostic(
              place,
              `expected an id such as REQ-7 (letters, digits, - and _), got ${JSON.stringify(item)}`,
              'key',
            ),
          );
        if (seen.has(item)) diagnostics.push(source.diagnostic(place, `${item} stands here a second time`, 'key'));
        seen.add(item);
      }
    });
    return {
      id,
      title: data.title,
      sections: sections.map((section) => ({
        title: section.title,
        items: Object.entries(section.items).map(([item, value]) => ({
          id: item,
          says: typeof value === 'string' ? value : value.says,
          more: typeof value === 'string' ? {} : (value as DataMap),
        })),
      })),
    };
  });
  return { catalogue: catalogueOf(source.file, parts), diagnostics: sortedDiagnostics(diagnostics) };
}

/** As `readCatalogue`, from `items.yaml` of a directory; `null` where it has none. Throws NETRIG_SCENARIO_READ. */
export function loadCatalogue(directory: string): LoadedCatalogue | null {
  const source = readIfThere(path.resolve(directory, itemsFileName), catalogueWording);
  return source === null ? null : catalogueIn(source);
}

const remembered = new Map<string, { stamp: string; loaded: LoadedCatalogue }>();

/**
 * The catalogue that stands beside a scenario: in its directory or the nearest above it that has one, up to the root of its
 * repository. `null` where there is none. Throws NETRIG_SCENARIO_READ for one that cannot be read.
 */
export function catalogueBeside(scenarioFile: string): LoadedCatalogue | null {
  for (let directory = path.dirname(path.resolve(scenarioFile)); ; directory = path.dirname(directory)) {
    const file = path.join(directory, itemsFileName);
    const stat = statSync(file, { throwIfNoEntry: false });
    if (stat?.isFile() === true && path.resolve(scenarioFile) !== file && isCatalogueFile(file)) {
      const stamp = `${stat.mtimeMs}:${stat.size}`;
      const known = remembered.get(file);
      if (known?.stamp === stamp) return known.loaded;
      const loaded = loadCatalogue(directory);
      if (loaded !== null) remembered.set(file, { stamp, loaded });
      return loaded;
    }
    if (directory === path.dirname(directory) || existsSync(path.join(directory, '.git'))) return null;
  }
}

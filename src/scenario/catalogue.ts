import { readFileSync } from 'node:fs';
import path from 'node:path';
import semver from 'semver';
import { z } from 'zod';
import { messageOf, NetrigError } from '../errors.js';
import { catalogueIds, expandCovers } from './covers.js';
import { sortedDiagnostics, type Diagnostic } from './diagnostic.js';
import { check } from './issues.js';
import { decodeSource, isDataMap, readSource, type ScenarioSource, type SourceWording } from './source.js';

/** Why items are covered by no check: a map of items (or ranges of them) to one sentence each. */
export const uncoveredFileName = 'uncovered.yaml';
/** What each item claims, and what is true. */
export const itemsFileName = 'items.yaml';

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
  map: 'expected a map of catalogue items to reasons, such as `S1-03: a misprint of a command`',
};
const tutorialsWording: SourceWording = {
  empty: 'the file is empty',
  map: 'expected a map of the catalogue’s sections',
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
export function readUncovered(text: string, file: string, coveredBy: (id: string) => string | null): Uncovered {
  return uncoveredIn(readSource(text, file, uncoveredWording), coveredBy);
}

function uncoveredIn(source: ScenarioSource, coveredBy: (id: string) => string | null): Uncovered {
  const reasons = new Map<string, string>();
  const diagnostics = [...source.diagnostics];
  const done = (): Uncovered => ({ reasons, diagnostics: sortedDiagnostics(diagnostics) });
  if (!source.usable || !isDataMap(source.data)) return done();
  for (const [key, reason] of Object.entries(source.data)) {
    const complain = (message: string, at: 'key' | 'value' = 'key'): void =>
      void diagnostics.push(source.diagnostic([key], message, at));
    const expanded = expandCovers(key);
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
export function loadUncovered(directory: string, coveredBy: (id: string) => string | null): Uncovered {
  const source = readIfThere(path.resolve(directory, uncoveredFileName), uncoveredWording);
  return source === null ? { reasons: new Map(), diagnostics: [] } : uncoveredIn(source, coveredBy);
}

/**
 * What is the matter with a claim: `wrong` as stated, `old` (true for some versions only), `typo` (misprinted), `inc`
 * (inconsistent, incomplete, or dependent on an order), `img` (its outcome stood in a picture that is lost).
 */
export const claimStatuses = ['ok', 'wrong', 'old', 'typo', 'inc', 'img'] as const;
export type ClaimStatus = (typeof claimStatuses)[number];

export interface Claim {
  id: string;
  /** What the tutorial says, in our words. */
  says: string;
  status: ClaimStatus[];
  /** Engines for which it holds, as a semver range; `true` for all, `false` for none. */
  holds: boolean | string;
  /** What is true instead; `''` where the claim needs no word. */
  truth: string;
}

export interface Tutorial {
  /** `S0` … `S4`, or `F` for the faults. */
  id: string;
  title: string;
  sections: { title: string; claims: Claim[] }[];
}

const zLine = z.string().trim().min(1);
const zClaim = z.union([
  zLine,
  z.strictObject({
    says: zLine,
    status: z.union([z.enum(claimStatuses), z.array(z.enum(claimStatuses)).min(1)]).default('ok'),
    holds: z.union([z.boolean(), z.string()]).optional(),
    truth: zLine.optional(),
  }),
]);
const zTutorials = z.record(
  z.string(),
  z.strictObject({
    title: zLine,
    sections: z.array(z.strictObject({ title: zLine, items: z.record(z.string(), zClaim) })).min(1),
  }),
);

function toClaim(id: string, data: z.infer<typeof zClaim>): Claim {
  if (typeof data === 'string') return { id, says: data, status: ['ok'], holds: true, truth: '' };
  const status = [data.status].flat();
  const wrongAsPrinted = status.includes('wrong') || status.includes('typo');
  return { id, says: data.says, status, holds: data.holds ?? !wrongAsPrinted, truth: data.truth ?? '' };
}

/** Reads what the items claim. Every item of the catalogue stands in its section once; what is not simply so says what is. */
export function readTutorials(text: string, file: string): { tutorials: Tutorial[]; diagnostics: Diagnostic[] } {
  return tutorialsIn(readSource(text, file, tutorialsWording));
}

function tutorialsIn(source: ScenarioSource): { tutorials: Tutorial[]; diagnostics: Diagnostic[] } {
  const diagnostics = [...source.diagnostics];
  if (!source.usable) return { tutorials: [], diagnostics };
  const parsed = check(zTutorials, source.data ?? {}, []);
  if (!parsed.ok) {
    diagnostics.push(...parsed.problems.map((problem) => source.diagnostic(problem.path, problem.message, problem.at)));
    return { tutorials: [], diagnostics: sortedDiagnostics(diagnostics) };
  }
  const sections = catalogueIds();
  const tutorials: Tutorial[] = [];
  for (const id of Object.keys(parsed.value)) {
    if (!sections.has(id))
      diagnostics.push(
        source.diagnostic(
          [id],
          `the catalogue has no section ${id}: there are ${[...sections.keys()].join(', ')}`,
          'key',
        ),
      );
  }
  for (const [id, ids] of sections) {
    const data = parsed.value[id];
    if (data === undefined) {
      diagnostics.push(source.diagnostic([], `the section ${id} is missing`));
      continue;
    }
    const left = new Set(ids);
    const tutorial: Tutorial = { id, title: data.title, sections: [] };
    data.sections.forEach((section, at) => {
      const claims = Object.entries(section.items).map(([item, value]): Claim => {
        const place = [id, 'sections', at, 'items', item];
        if (!left.delete(item))
          diagnostics.push(
            source.diagnostic(
              place,
              ids.includes(item) ? `${item} stands here a second time` : `${item} is no item of ${id}`,
              'key',
            ),
          );
        const claim = toClaim(item, value);
        const doubtful = claim.status.some((status) => status === 'wrong' || status === 'old' || status === 'typo');
        if (doubtful && claim.truth === '')
          diagnostics.push(
            source.diagnostic(place, `${item} is ${claim.status.join(', ')}: say by \`truth\` what is so`, 'key'),
          );
        if (claim.status.includes('old') && typeof value === 'object' && value.holds === undefined)
          diagnostics.push(
            source.diagnostic(place, `${item} is old: say by \`holds\` for which engines it is true`, 'key'),
          );
        if (typeof claim.holds === 'string' && semver.validRange(claim.holds) === null)
          diagnostics.push(
            source.diagnostic(
              [...place, 'holds'],
              `expected a range of engine versions such as "<28", got ${JSON.stringify(claim.holds)}`,
            ),
          );
        return claim;
      });
      tutorial.sections.push({ title: section.title, claims });
    });
    if (left.size > 0)
      diagnostics.push(
        source.diagnostic([id, 'sections'], `${[...left].join(', ')} ${left.size === 1 ? 'is' : 'are'} missing`, 'key'),
      );
    tutorials.push(tutorial);
  }
  return { tutorials, diagnostics: sortedDiagnostics(diagnostics) };
}

/** As `readTutorials`, from `items.yaml` of a directory; `null` where it has none. Throws NETRIG_SCENARIO_READ. */
export function loadTutorials(directory: string): { tutorials: Tutorial[]; diagnostics: Diagnostic[] } | null {
  const source = readIfThere(path.resolve(directory, itemsFileName), tutorialsWording);
  return source === null ? null : tutorialsIn(source);
}

import type { z } from 'zod';
import { formatPath, sortedDiagnostics } from '../diagnostic.js';
import type { Diagnostic, Path } from '../diagnostic.js';
import { check as checkShape } from '../issues.js';
import type { Checked, Problem } from '../issues.js';
import type { ScenarioSource } from '../source.js';

/** More than anybody reads in one go; a file with more mistakes than this says how many there are. */
export const maxMistakes = 200;

/** A message that looks for the word that was meant costs time: as a function it is only made where it is shown. */
export type Message = string | (() => string);

export type Report = (path: Path, message: Message, at?: 'key' | 'value') => void;

/** Everything that is wrong with a file, each said once however often its scenarios say it. */
export interface FileMistakes {
  report: Report;
  any(): boolean;
  diagnostics(): Diagnostic[];
}

export function collectMistakes(source: ScenarioSource): FileMistakes {
  const kept: Diagnostic[] = source.diagnostics.slice(0, maxMistakes);
  const seen = new Set<string>();
  let found = source.diagnostics.length;
  return {
    report(path, message, at = 'value') {
      const place = `${at}\0${formatPath(path)}`;
      if (kept.length >= maxMistakes) {
        // Only counted: what is wrong at a place that was told of already is most likely the same.
        if (!seen.has(place)) found += 1;
        seen.add(place);
        return;
      }
      const text = typeof message === 'string' ? message : message();
      const key = `${place}\0${text}`;
      if (seen.has(key)) return;
      seen.add(key).add(place);
      found += 1;
      kept.push(source.diagnostic(path, text, at));
    },
    any: () => found > 0,
    diagnostics() {
      // The cases of one item are mistaken at one place.
      const sorted = sortedDiagnostics(kept).filter(
        (one, index, all) =>
          index === 0 ||
          all[index - 1]!.file !== one.file ||
          all[index - 1]!.line !== one.line ||
          all[index - 1]!.column !== one.column ||
          all[index - 1]!.message !== one.message,
      );
      const last = sorted.at(-1);
      if (last !== undefined && found > kept.length)
        sorted.push({ ...last, message: `${found - kept.length} further mistakes are not shown: mend these first` });
      return sorted;
    },
  };
}

/** Where the passes over one scenario of a file (one combination of its matrix) put what is wrong with it. */
export interface Mistakes {
  report: Report;
  tell(problems: readonly Problem[]): void;
  /** Parses by a schema; what is wrong is told. */
  parse<T>(schema: z.ZodType<T>, data: unknown, path: Path, otherKeys?: readonly string[]): Checked<T>;
  /** A mistake that is said elsewhere in better words. */
  count(): void;
  /** How many there are up to now, told or not. */
  readonly found: number;
}

/**
 * @param muted Paths of texts whose variable is not known: whatever else is wrong with one, that comes first.
 */
export function mistakesTo(reportTo: Report, muted: ReadonlySet<string> = new Set()): Mistakes {
  let found = 0;
  const report: Report = (path, message, at) => {
    found += 1;
    if (muted.size > 0 && muted.has(formatPath(path))) return;
    reportTo(path, message, at);
  };
  const tell = (problems: readonly Problem[]): void => {
    for (const problem of problems) report(problem.path, problem.message, problem.at);
  };
  return {
    report,
    tell,
    parse(schema, data, path, otherKeys = []) {
      const result = checkShape(schema, data, path, otherKeys);
      if (!result.ok) tell(result.problems);
      return result;
    },
    count: () => void (found += 1),
    get found() {
      return found;
    },
  };
}

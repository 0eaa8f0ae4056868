import { shown } from '../language/wording.js';
import type { Assembly, Origin } from './composed-source.js';
import type { Diagnostic, Path } from './diagnostic.js';
import { check } from './issues.js';
import { zCases } from './schema.js';
import { isDataMap, type Data, type DataMap, type ScenarioSource } from './source.js';
import type { Scalar } from './variables.js';

/** Values of one case, by the names of its table. */
export type Case = ReadonlyMap<string, Scalar>;

/** Cases of items that were written out, by `steps/4`, the place of the item in the list that came of it. */
export type CasesByItem = ReadonlyMap<string, Case>;

export function itemKey(path: Path): string {
  return `${path[0]}/${path[1]}`;
}

/** The table of one item's `for`; `null` after a complaint. */
function tableOf(
  source: ScenarioSource,
  item: Data,
  path: Path,
  taken: ReadonlySet<string>,
  diagnostics: Diagnostic[],
): Case[] | null {
  const complain = (at: Path, message: string, where: 'key' | 'value' = 'value'): void =>
    void diagnostics.push(source.diagnostic(at, message, where));
  const before = diagnostics.length;
  const parsed = check(zCases, item, path);
  if (!parsed.ok) {
    for (const problem of parsed.problems) complain(problem.path, problem.message, problem.at);
    return null;
  }
  const names = Object.keys(parsed.value[0]!);
  parsed.value.forEach((row, index) => {
    const at = [...path, index];
    for (const name of names)
      if (!(name in row)) complain(at, `this case has no ${shown(name)}, which the first one has`);
    for (const [name, value] of Object.entries(row)) {
      if (!names.includes(name)) complain([...at, name], `the first case has no ${shown(name)}`, 'key');
      else if (taken.has(name))
        complain(
          [...at, name],
          `\`${name}\` is a variable of the file already: name the case’s value otherwise`,
          'key',
        );
      const text = source.spelling([...at, name]);
      if (typeof value === 'number' && text !== null && text !== String(value))
        complain([...at, name], `${text} is read as the number ${value}: put it in quotes`);
      if (typeof value === 'string' && value.includes('${'))
        complain([...at, name], 'values of cases cannot refer to variables');
    }
  });
  return diagnostics.length > before ? null : parsed.value.map((row) => new Map(Object.entries(row)));
}

/**
 * The data with every item that has a `for` written out, once for each case, in the order of its table.
 *
 * @param taken Names of the file's variables, which a case cannot take.
 */
export function withCases(
  source: ScenarioSource,
  data: DataMap,
  assembly: Assembly,
  taken: ReadonlySet<string>,
): { data: DataMap; cases: CasesByItem; diagnostics: Diagnostic[] } {
  const cases = new Map<string, Case>();
  const diagnostics: Diagnostic[] = [];
  const top: Origin = { source, path: [] };
  const originOf = (path: Path): Origin => assembly.origin(data, top, path);

  const written = (list: string, items: readonly Data[]): Data[] => {
    const out: (readonly [Data, Origin])[] = [];
    items.forEach((item, index) => {
      const path: Path = [list, index];
      const origin = originOf(path);
      if (!isDataMap(item) || !('for' in item)) {
        out.push([item, origin]);
        return;
      }
      const table = tableOf(source, item.for!, [...path, 'for'], taken, diagnostics);
      for (const row of table ?? []) {
        const keys = Object.keys(item).filter((key) => key !== 'for');
        const copy = assembly.map(keys.map((key) => [key, item[key]!, originOf([...path, key])] as const));
        cases.set(`${list}/${out.length}`, row);
        out.push([copy, origin]);
      }
    });
    return assembly.list(out);
  };

  const entries = Object.entries(data).map(([key, value]) => {
    const list = (key === 'steps' || key === 'finally') && Array.isArray(value);
    return [key, list ? written(key, value) : value, originOf([key])] as const;
  });
  return { data: assembly.map(entries), cases, diagnostics };
}

import { nearest, shown, suggestion } from '../../language/wording.js';
import type { Path } from '../diagnostic.js';
import type { ScenarioItem } from '../scenario.js';
import { checkFrameKeys, stepFrameKeys } from '../schema.js';
import { isDataMap } from '../source.js';
import type { Data, DataMap } from '../source.js';
import { readCheck } from './checks.js';
import { placeChecks } from './endpoints.js';
import { missingTop } from './hosts-and-segments.js';
import type { DeclaredLab } from './hosts-and-segments.js';
import { kindsByName, kindsIn } from './kind-names.js';
import { limits, withinLimit } from './limits.js';
import type { Report } from './mistakes.js';
import type { ItemPlace, Reading } from './reading.js';
import { readStep } from './steps.js';

/** The steps and checks of a scenario, in the order of the file; those with mistakes are left out. */
export function readItems(reading: Reading, lab: DeclaredLab): ScenarioItem[] {
  const { mistakes, data } = reading;
  const steps = data.steps;
  if (steps === undefined) {
    missingTop(mistakes, data, 'steps', '"steps" is missing: a list of steps and checks');
    return [];
  }
  if (!Array.isArray(steps)) {
    mistakes.report(['steps'], `expected a list of steps and checks, got ${shown(steps)}`);
    return [];
  }
  if (steps.length === 0)
    mistakes.report(['steps'], 'the list of steps is empty: a scenario does or checks something', 'key');
  if (!withinLimit(mistakes.report, ['steps'], 'steps and checks', steps.length, limits.items)) return [];
  const last = data.finally ?? [];
  if (!Array.isArray(last)) {
    mistakes.report(['finally'], `expected a list of steps, got ${shown(last)}`);
    return [];
  }
  if (!withinLimit(mistakes.report, ['finally'], 'last steps', last.length, limits.items)) return [];
  const places = placeChecks(data, lab, mistakes.report, reading.given);
  const read = (item: Data, place: ItemPlace): ScenarioItem[] => {
    switch (sortOf(reading, item, place.path)) {
      case 'step':
        return [readStep(reading, lab, item as DataMap, place) ?? []].flat();
      case 'check':
        return [readCheck(reading, lab, item as DataMap, place, places) ?? []].flat();
      case null:
        return [];
    }
  };
  const misread: { index: number; item: Data }[] = [];
  const items = steps.flatMap((item, index) => {
    const before = mistakes.found;
    const own = read(item, { path: ['steps', index], index });
    if (mistakes.found > before) misread.push({ index, item });
    return own;
  });
  checkTitles(items, mistakes.report);
  checkFaultNames(items, misread, mistakes.report);
  return [
    ...items,
    ...last.flatMap((item, index) => read(item, { path: ['finally', index], index: steps.length + index })),
  ];
}

/** Whether an item of the file that has mistakes says `name: NAME` below one of its keys. */
function givesName(item: Data, name: string): boolean {
  return isDataMap(item) && Object.values(item).some((spec) => isDataMap(spec) && spec['name'] === name);
}

/** What is healed by its name was put in by that name before. */
function checkFaultNames(
  items: readonly ScenarioItem[],
  misread: readonly { index: number; item: Data }[],
  report: Report,
): void {
  const given = new Set<string>();
  for (const item of items) {
    if (item.kind !== 'step') continue;
    const name = item.type.faultName?.(item.spec) ?? null;
    if (name === null) continue;
    const index = Number(item.id.slice(1)) - 1;
    // A fault with another mistake gives its name all the same.
    const mistaken = misread.some((one) => one.index < index && givesName(one.item, 'needs' in name ? name.needs : ''));
    if ('gives' in name) given.add(name.gives);
    else if (!given.has(name.needs) && !mistaken)
      report(
        ['steps', index, item.type.name],
        `no fault before it is called ${shown(name.needs)}${suggestion(name.needs, ['all', ...given])}`,
      );
  }
}

/** Reports tell the checks of a scenario apart by their titles only. */
function checkTitles(items: readonly ScenarioItem[], report: Report): void {
  const seen = new Map<string, ScenarioItem>();
  for (const item of items) {
    if (item.kind !== 'check') continue;
    const before = seen.get(item.title);
    if (before === undefined) {
      seen.set(item.title, item);
      continue;
    }
    const [there, here] = [before.source, item.source];
    const sameItem = there.line === here.line && there.column === here.column && there.file === here.file;
    report(
      ['steps', Number(item.id.slice(1)) - 1, 'check'],
      sameItem
        ? `two cases of this check have the title ${shown(item.title)}: put what differs into it, as \`\${name}\``
        : `the check of line ${there.line} has the title ${shown(item.title)} already: reports tell checks apart by it`,
    );
  }
}

/** Whether an item is a step or a check; `null`, with a mistake told, where it is neither or both. */
function sortOf({ kinds, mistakes }: Reading, item: Data, path: Path): 'step' | 'check' | null {
  const { steps, checks } = kindsByName(kinds);
  if (!isDataMap(item)) {
    mistakes.report(path, `expected a step (\`run: …\`) or a check (\`check: …\`), got ${shown(item)}`);
    return null;
  }
  if ('check' in item && 'step' in item) {
    mistakes.report([...path, 'check'], 'an item is a step or a check, not both: make two items of it', 'key');
    return null;
  }
  const isStep = !('check' in item) && ('step' in item || kindsIn(item, steps).length > 0);
  const isCheck = !isStep && ('check' in item || kindsIn(item, checks).length > 0);
  if (isCheck && path[0] === 'finally') {
    mistakes.report(path, 'steps only stand in `finally`: what must be true is checked in `steps`');
    return null;
  }
  if (isStep) return 'step';
  if (isCheck) return 'check';

  const [stepNames, checkNames] = [[...steps.keys()], [...checks.keys()]];
  const known = ['step', 'check', ...stepNames, ...checkNames];
  const typo = Object.keys(item).find(
    (key) => !stepFrameKeys.has(key) && !checkFrameKeys.has(key) && nearest(key, known) !== null,
  );
  if (typo !== undefined)
    mistakes.report([...path, typo], `unknown key ${shown(typo)}${suggestion(typo, known)}`, 'key');
  else
    mistakes.report(
      path,
      `neither a step (${stepNames.join(', ')}) nor a check (\`check: …\` with ${checkNames.join(', ')})`,
    );
  return null;
}

export function itemId(letter: 's' | 'c', index: number): string {
  return `${letter}${String(index + 1).padStart(2, '0')}`;
}

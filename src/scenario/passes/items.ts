import { nearest, shown, suggestion } from '../../language/wording.js';
import type { Path } from '../diagnostic.js';
import type { ScenarioItem } from '../scenario.js';
import { checkFrameKeys, stepFrameKeys } from '../schema.js';
import { isDataMap } from '../source.js';
import type { Data, DataMap } from '../source.js';
import { readCheck } from './checks.js';
import { endpointCheck } from './endpoints.js';
import { missingTop } from './hosts-and-segments.js';
import type { DeclaredLab } from './hosts-and-segments.js';
import { limits, withinLimit } from './limits.js';
import type { Reading } from './reading.js';
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
  const checkEndpoint = endpointCheck(data, lab, mistakes.report);
  return steps.flatMap((item, index) => {
    switch (sortOf(reading, item, index)) {
      case 'step':
        return readStep(reading, lab, item as DataMap, index) ?? [];
      case 'check':
        return readCheck(reading, lab, item as DataMap, index, checkEndpoint) ?? [];
      case null:
        return [];
    }
  });
}

/** Whether an item is a step or a check; `null`, with a mistake told, where it is neither or both. */
function sortOf({ kinds, mistakes }: Reading, item: Data, index: number): 'step' | 'check' | null {
  const path: Path = ['steps', index];
  const stepNames = kinds.steps.map((kind) => kind.name);
  const checkNames = kinds.checks.map((kind) => kind.name);
  if (!isDataMap(item)) {
    mistakes.report(path, `expected a step (\`run: …\`) or a check (\`check: …\`), got ${shown(item)}`);
    return null;
  }
  if ('check' in item && 'step' in item) {
    mistakes.report([...path, 'check'], 'an item is a step or a check, not both: make two items of it', 'key');
    return null;
  }
  if ('check' in item) return 'check';
  if ('step' in item || stepNames.some((name) => name in item)) return 'step';
  if (checkNames.some((name) => name in item)) return 'check';

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

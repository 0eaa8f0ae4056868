import path from 'node:path';
import { suggestion } from '../../language/wording.js';
import type { Path } from '../diagnostic.js';
import { exerciseCheckKeys, exerciseStepKeys } from '../exercise-schema.js';
import type { ExerciseShape } from '../exercise-schema.js';
import type { CheckItem, ScenarioExercise, ScenarioItem, StepItem } from '../scenario.js';
import { fileBelow, readBelow, realOf } from '../shared-files.js';
import { isDataMap } from '../source.js';
import { replaceVariables } from '../variables.js';
import type { Reading } from './reading.js';

/**
 * What makes an exercise of the scenario; `undefined` where it is none, or is mistaken.
 *
 * @param file Absolute path of the scenario, beside which the text may lie.
 */
export function readExercise(
  reading: Reading,
  shape: ExerciseShape | undefined,
  items: readonly ScenarioItem[],
  file: string,
): ScenarioExercise | undefined {
  if (reading.data.exercise === undefined) reportWithout(reading);
  if (shape === undefined) return undefined;
  const stages = Object.entries(shape.stages ?? {}).map(([name, { title, text }]) => ({
    name,
    title,
    text: text.trim(),
  }));
  const names = stages.map((stage) => stage.name);
  checkLast(reading);
  const told = new Set<ScenarioItem>();
  for (const item of items) if (!checkStage(reading, item, names)) told.add(item);
  checkOrder(
    reading,
    items.filter((item): item is StepItem => item.kind === 'step' && !told.has(item)),
    names,
  );
  for (const item of items) if (item.kind === 'check') checkGrading(reading, item, items);
  return {
    text: textOf(reading, shape.text, file).trim(),
    timeMs: shape.time ?? null,
    feedback: shape.feedback ?? null,
    handout: shape.handout ?? false,
    stages,
    ...reading.parameters,
  };
}

function pathOf(item: ScenarioItem): Path {
  return ['steps', Number(item.id.slice(1)) - 1];
}

/** Keys that say nothing where there is no exercise. */
function reportWithout({ data, mistakes }: Reading): void {
  const message = (key: string): string =>
    `\`${key}\` belongs to an exercise: add \`exercise:\` at the top of the file, with the text for the student`;
  if ('parameters' in data) mistakes.report(['parameters'], message('parameters'), 'key');
  const steps = Array.isArray(data.steps) ? data.steps : [];
  steps.forEach((item, index) => {
    if (!isDataMap(item)) return;
    for (const key of 'check' in item ? exerciseCheckKeys : exerciseStepKeys)
      if (key in item) mistakes.report(['steps', index, key], message(key), 'key');
  });
}

function checkLast({ data, mistakes }: Reading): void {
  const last = Array.isArray(data.finally) ? data.finally : [];
  last.forEach((item, index) => {
    if (!isDataMap(item)) return;
    for (const key of exerciseStepKeys)
      if (key in item)
        mistakes.report(['finally', index, key], `steps of \`finally\` have no \`${key}\`: they end a lab`, 'key');
  });
}

/** Whether the stage of an item is one of the exercise's; says so where it is not. */
function checkStage({ mistakes }: Reading, item: ScenarioItem, names: readonly string[]): boolean {
  const stage = item.kind === 'step' ? item.stage : item.grading?.stage;
  const place = pathOf(item);
  if (stage !== undefined && stage !== null) {
    if (names.includes(stage)) return true;
    const known =
      names.length === 0 ? '; it has no `stages`' : suggestion(stage, names) || `; stages are ${names.join(', ')}`;
    mistakes.report([...place, 'stage'], `the exercise has no stage "${stage}"${known}`);
    return false;
  }
  const needed =
    item.kind === 'step' ? item.role === 'solution' : item.grading !== undefined && item.grading.points !== null;
  if (names.length === 0 || !needed || (item.kind === 'check' && item.grading?.guard === true)) return true;
  mistakes.report(
    place,
    `"stage" is missing: ${item.kind === 'step' ? 'of which stage is this part of the solution' : 'of which stage is this check a task'}, ${names.join(', ')}?`,
  );
  return false;
}

/** Steps are done in the order of the file, so it is the order of the stages. */
function checkOrder({ mistakes }: Reading, steps: readonly StepItem[], names: readonly string[]): void {
  let reached = -1;
  for (const step of steps) {
    if (step.last) continue;
    const at = step.stage === null || step.stage === undefined ? -1 : names.indexOf(step.stage);
    if (at < reached) {
      const after = `stands after a step of stage ${names[reached]!}: steps stand in the order of the stages`;
      mistakes.report(
        at < 0 ? pathOf(step) : [...pathOf(step), 'stage'],
        at < 0 ? `this step belongs to no stage and ${after}` : `a step of stage ${names[at]!} ${after}`,
      );
    }
    reached = Math.max(reached, at);
  }
}

function checkGrading({ mistakes, saved }: Reading, item: CheckItem, items: readonly ScenarioItem[]): void {
  const { grading } = item;
  if (grading === undefined) return;
  const place = pathOf(item);
  if (grading.guard && grading.points === null)
    mistakes.report([...place, 'guard'], 'a guard costs points where it is broken: add `points`', 'key');
  if (grading.points !== null && item.level === 'warning')
    mistakes.report([...place, 'level'], 'a check with points is no warning: leave one of the two out', 'key');
  for (const name of item.late?.names ?? []) {
    const saver = items.find((one) => Number(one.id.slice(1)) - 1 === saved.first.get(name));
    if (saver?.kind === 'step' && saver.role === 'solution')
      mistakes.report(
        place,
        `\`\${${name}}\` is saved by a step of the solution, which students do not run: their labs have no such value`,
      );
  }
}

/** The text for the student, with the scenario's values in it. */
function textOf(reading: Reading, text: ExerciseShape['text'], file: string): string {
  if (typeof text === 'string') return text;
  const at = ['exercise', 'text', 'file'];
  const complain = (message: string): string => {
    reading.mistakes.report(at, message);
    return '';
  };
  const folder = path.dirname(realOf(file));
  const found = fileBelow(text.file, folder, folder, 'the text of an exercise');
  if ('message' in found) return complain(found.message);
  const read = readBelow(found.file, text.file);
  if ('message' in read) return complain(read.message);
  if (read.text.trim() === '') return complain(`${text.file} is empty`);
  const secrets = new Set(reading.secrets.keys());
  const report = (_: Path, message: string | (() => string)): void =>
    void complain(`${text.file}: ${typeof message === 'string' ? message : message()}`);
  return String(
    replaceVariables(read.text, reading.variablesOf([]), report, reading.used, undefined, null, (name) => {
      if (secrets.has(name)) complain(`${text.file}: \`\${${name}}\` is secret, and this is for everybody to read`);
      return secrets.has(name);
    }),
  );
}

import { isMap, isScalar, isSeq, type Scalar, type YAMLMap } from 'yaml';
import type { Path } from '../scenario/diagnostic.js';
import { entryDrafts } from './declarations.js';
import { keyOf, removal, setting, type Draft, type ScenarioSource, type Spot } from './draft.js';
import { onlyShows, scriptCommands } from './shell-lines.js';
import { optionChanges, shortly, valueChanges } from './text-changes.js';

/** Keys of a step that are no configuration: its title, when it is done, and how long it may take. */
const frameKeys = new Set([
  'step',
  'note',
  'text',
  'on',
  'when',
  'for',
  'save',
  'timeout',
  'until',
  'mode',
  'role',
  'stage',
]);

/** Keys whose texts are changed command by command, or line by line. */
const textKeys = new Set(['run', 'start', 'write', 'content', 'stdin']);

/** Blank lines, comments and headings of sections configure nothing by themselves. */
const idleLine = /^\s*$|^\s*(?:#|;|\/\/|\[[\w -]+\]\s*$|[{}\])]+[;,]?\s*$)/;

/** The commands of a script: each goes, and each option and value of it is changed. */
function* scriptDrafts(source: ScenarioSource, spot: Spot, node: Scalar): Iterable<Draft> {
  const all = scriptCommands(String(node.value));
  for (const command of all.filter((one) => !onlyShows(one.text))) {
    // One command alone is the step itself.
    if (all.length > 1)
      yield source.textDraft(spot, node, {
        operator: 'remove-command',
        start: command.start,
        end: command.end,
        replacement: '',
        what: `removes \`${shortly(command.text)}\``,
        target: command.text,
      });
    for (const change of [...optionChanges(command.text), ...valueChanges(command.text)])
      yield source.textDraft(spot, node, change, command.start);
  }
}

/** The object that a text is as JSON, or `null`. */
function jsonObject(text: string): Record<string, unknown> | null {
  try {
    const data: unknown = JSON.parse(text);
    return typeof data === 'object' && data !== null && !Array.isArray(data) ? (data as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

/** A line taken out of JSON would leave no JSON: its keys are taken out instead. */
function* jsonDrafts(source: ScenarioSource, spot: Spot, node: Scalar, data: Record<string, unknown>): Iterable<Draft> {
  for (const key of Object.keys(data)) {
    const rest = Object.fromEntries(Object.entries(data).filter(([name]) => name !== key));
    const offset = Math.max(0, String(node.value).indexOf(JSON.stringify(key)));
    yield source.draft(spot, source.placeIn(node, offset), {
      operator: 'remove-entry',
      what: `removes ${shortly(JSON.stringify(key), 40)} from the file`,
      target: `${key} ${JSON.stringify(data[key])}`,
      edit: setting(spot.path, `${JSON.stringify(rest, null, 2)}\n`),
    });
  }
}

/** The lines of a file, or its keys where it is JSON: each goes, and each value of it is changed. */
function* contentDrafts(source: ScenarioSource, spot: Spot, node: Scalar): Iterable<Draft> {
  const value = String(node.value);
  const json = jsonObject(value);
  if (json) yield* jsonDrafts(source, spot, node, json);
  const lines = value.split('\n');
  const several = lines.filter((one) => one.trim() !== '').length > 1;
  let start = 0;
  for (const line of lines) {
    const end = Math.min(value.length, start + line.length + 1);
    if (!idleLine.test(line)) {
      if (!json && several)
        yield source.textDraft(spot, node, {
          operator: 'remove-line',
          start,
          end,
          replacement: '',
          what: `removes the line \`${shortly(line)}\` from the file`,
          target: line.trim(),
        });
      for (const change of [...valueChanges(line), ...optionChanges(line)])
        yield source.textDraft(spot, node, change, start);
    }
    start = end;
  }
}

/** Each host of a step on several is left out of it. */
function* hostListDrafts(source: ScenarioSource, spot: Spot, node: unknown): Iterable<Draft> {
  if (!isSeq(node) || node.items.length < 2) return;
  for (const [index, item] of node.items.entries()) {
    const name = isScalar(item) ? String(item.value) : '';
    const path = [...spot.path, index];
    yield source.draft({ ...spot, path }, source.placeOf(item), {
      operator: 'remove-host',
      what: `leaves ${name} out of the step`,
      target: name,
      edit: removal(path),
    });
  }
}

/** What a step that declares something declares, and the mode of a file that it writes. */
function* keyDrafts(source: ScenarioSource, { path, step }: Spot, map: YAMLMap): Iterable<Draft> {
  for (const pair of map.items) {
    const key = keyOf(pair);
    const spot = { path: [...path, key], step };
    if (key === 'mode')
      yield source.draft(spot, source.placeOf(pair.key), {
        operator: 'remove-entry',
        what: `removes mode: ${String((pair.value as Scalar | null)?.value ?? '')}`,
        target: '',
        edit: removal(spot.path),
      });
    else if (!frameKeys.has(key) && !textKeys.has(key)) yield* entryDrafts(source, spot, pair, key);
  }
}

function* oneStepDrafts(source: ScenarioSource, map: YAMLMap, step: number): Iterable<Draft> {
  const path: Path = ['steps', step];
  const spot = (key: string): Spot => ({ path: [...path, key], step });
  const value = (key: string): unknown => map.get(key, true);
  const marking = ['run', 'start', 'write'].map(value).find(isScalar);
  if (!marking) return;
  const command = String(marking.value);
  const written = isScalar(value('write'));
  if (!written && scriptCommands(command).every((one) => onlyShows(one.text))) return;
  const content = value('content');
  yield source.draft({ path, step }, source.placeOf(map), {
    operator: 'remove-step',
    what: `removes the step ${written ? `that writes ${command}` : `\`${shortly(command)}\``}`,
    target: [command, isScalar(content) ? String(content.value) : ''].join(' ').trim(),
    edit: removal(path),
  });
  yield* hostListDrafts(source, spot('on'), value('on'));
  for (const key of ['run', 'start']) {
    const node = value(key);
    if (isScalar(node)) yield* scriptDrafts(source, spot(key), node);
  }
  for (const key of ['content', 'stdin']) {
    const node = value(key);
    if (isScalar(node)) yield* contentDrafts(source, spot(key), node);
  }
  yield* keyDrafts(source, { path, step }, map);
}

/** The nodes of all steps and checks, in their order. */
export function stepNodes(source: ScenarioSource): readonly unknown[] {
  const steps = isMap(source.document.contents) ? source.document.get('steps', true) : null;
  return isSeq(steps) ? steps.items : [];
}

/** Steps that configure something. Checks, and steps that only show or wait, are left alone. */
export function* stepDrafts(source: ScenarioSource): Iterable<Draft> {
  for (const [index, item] of stepNodes(source).entries())
    if (isMap(item) && !item.has('check')) yield* oneStepDrafts(source, item, index);
}

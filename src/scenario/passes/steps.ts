import type { z } from 'zod';
import { nearest, shown, suggestion } from '../../language/wording.js';
import { formatDuration } from '../../model/duration.js';
import type { NamedPart } from '../../language/fault.js';
import type { StepKind } from '../../steps/kind.js';
import { checkParts } from './named-parts.js';
import type { Path } from '../diagnostic.js';
import type { Checked } from '../issues.js';
import type { StepItem } from '../scenario.js';
import { exerciseCheckKeys } from '../exercise-schema.js';
import { checkFrameKeys, stepFrameKeys, zStepFrame } from '../schema.js';
import type { StepFrame } from '../schema.js';
import { isDataMap } from '../source.js';
import type { DataMap } from '../source.js';
import { parseFrame } from './frame.js';
import { hostHint } from './hosts-and-segments.js';
import type { DeclaredLab } from './hosts-and-segments.js';
import { itemId } from './items.js';
import { checkDuration } from './limits.js';
import type { Mistakes, Report } from './mistakes.js';
import { foldersAt, ownFileAt } from './own-files.js';
import { pick } from './reading.js';
import type { ItemPlace, Reading } from './reading.js';
import { kindsByName, kindsIn } from './kind-names.js';
import { parseLateSpec } from './late-spec.js';
import { seeWhen, whenOf } from './when.js';

export function readStep(
  reading: Reading,
  lab: DeclaredLab,
  item: DataMap,
  { path, index }: ItemPlace,
): StepItem | null {
  const { mistakes } = reading;
  const before = mistakes.found;
  const own = kindsOf(reading, item);
  const kind = own[0];
  const frameData = pick(item, (key) => stepFrameKeys.has(key));
  const frame = parseFrame<StepFrame>(mistakes, zStepFrame, frameData, path);
  if (kind === undefined) {
    reportNoKind(reading, item, path);
    return null;
  }
  const foreign = reportForeign(reading, item, path, own);
  const { checked: spec, late } = parseLateSpec(
    reading,
    strictSchema(kind) as z.ZodType<unknown>,
    pick(item, (key) => !stepFrameKeys.has(key) && !foreign.has(key)),
    { base: path, item: { path, index }, otherKeys: [...stepFrameKeys], hostNames: lab.hostNames },
  );
  const on = hostsOf(lab, mistakes, item, frame, path, kind);
  checkParts(lab, mistakes.report, partsOf(kind, spec), path);
  if (spec.ok && on.length > 1 && (kind.saves?.(spec.value).length ?? 0) > 0)
    mistakes.report([...path, 'save'], `a value comes from one host, and this step runs on ${on.join(', ')}`, 'key');
  if (frame.ok) {
    checkDuration(mistakes.report, [...path, 'timeout'], frame.value.timeout);
    seeWhen(reading, frame.value.when, path, placesOf(kind, on, lab), lab);
  }
  // A value that is known at run time only names nothing yet.
  if (spec.ok && late === null)
    for (const own of kind.ownFiles?.(spec.value) ?? [])
      ownFileAt(reading, [...path, ...own.path], own.given, own.mode, 'value');
  if (spec.ok && frame.ok) checkUntil(mistakes.report, item, spec.value, frame.value, path);
  if (!frame.ok || !spec.ok || mistakes.found > before) return null;
  return {
    kind: 'step',
    id: itemId('s', index),
    type: kind,
    spec: spec.value,
    title:
      frame.value.step ??
      withoutSecrets(reading.secrets, oneLine(late?.shown(kind.describe(spec.value)) ?? kind.describe(spec.value))),
    source: reading.source.place(path),
    when: whenOf(frame.value.when, reading.variablesOf(path)),
    timeoutMs: frame.value.timeout ?? null,
    covers: [],
    text: frame.value.text?.trim() ?? '',
    on,
    folders: foldersAt(reading, path),
    last: path[0] === 'finally',
    late,
    ...(reading.data.exercise === undefined || path[0] === 'finally'
      ? {}
      : { role: frame.value.role ?? 'setup', stage: frame.value.stage ?? null }),
  };
}

/** The kinds whose keys an item has; the first is the one it is. */
function kindsOf({ kinds }: Reading, item: DataMap): StepKind[] {
  const marked = kindsIn(item, kindsByName(kinds).steps);
  if (marked.length < 2) return marked;
  // A key of one kind may bear the name of another.
  const own = marked.filter((kind) => !marked.some((other) => other !== kind && kind.name in other.schema.shape));
  return own.length > 0 ? own : marked.slice(0, 1);
}

function reportNoKind({ kinds, mistakes }: Reading, item: DataMap, path: Path): void {
  const names = kinds.steps.map((kind) => kind.name);
  const rest = Object.keys(item).filter((key) => !stepFrameKeys.has(key));
  const checkName = rest.find((key) => kinds.checks.some((check) => check.name === key));
  if (checkName !== undefined)
    mistakes.report(
      [...path, 'step'],
      `\`${checkName}\` is a kind of check: its title goes into \`check:\`, not \`step:\``,
      'key',
    );
  else if (rest.length === 0)
    mistakes.report([...path, 'step'], `this step does nothing: add one of ${names.join(', ')}`, 'key');
  for (const key of checkName === undefined ? rest : []) {
    const hint = suggestion(key, names) || `; a step is one of ${names.join(', ')}`;
    mistakes.report([...path, key], `unknown key ${shown(key)}${hint}`, 'key');
  }
}

/** Keys that have no place in this step although the language knows them; they are told here. */
function reportForeign({ kinds, mistakes }: Reading, item: DataMap, path: Path, own: StepKind[]): Set<string> {
  const { checks } = kindsByName(kinds);
  const [kind, ...others] = own;
  const foreign = new Set(others.map((other) => other.name));
  for (const other of others)
    mistakes.report(
      [...path, other.name],
      `a step does one thing, and this one has \`${kind!.name}\` already: make two items of it`,
      'key',
    );
  for (const key of Object.keys(item)) {
    if (stepFrameKeys.has(key) || key in kind!.schema.shape) continue;
    const isCheck = checks.has(key);
    if (!checkFrameKeys.has(key) && !isCheck) continue;
    foreign.add(key);
    const message = !checkFrameKeys.has(key)
      ? `\`${key}\` is a kind of check: make an item of its own with \`check:\``
      : exerciseCheckKeys.includes(key)
        ? `\`${key}\` belongs to checks: a step has a \`role\` in an exercise`
        : key === 'covers'
          ? '`covers` belongs to checks: a step proves nothing by itself'
          : `\`${key}\` belongs to checks; a step has \`timeout\``;
    mistakes.report([...path, key], message, 'key');
  }
  return foreign;
}

/** The hosts that a condition of the step is about. */
const placesOf = (kind: StepKind, on: string[], lab: DeclaredLab): string[] => (kind.ofLab ? [...lab.hostNames] : on);

const partsOf = (kind: StepKind, spec: Checked<unknown>): NamedPart[] =>
  spec.ok ? (kind.parts?.(spec.value) ?? []) : [];

function hostsOf(
  lab: DeclaredLab,
  mistakes: Mistakes,
  item: DataMap,
  frame: Checked<StepFrame>,
  path: Path,
  kind: StepKind,
): string[] {
  const { hostNames } = lab;
  if (kind.ofLab) {
    if ('on' in item)
      mistakes.report([...path, 'on'], `\`${kind.name}\` is about the lab as a whole: it has no \`on\``, 'key');
    return [];
  }
  if (!('on' in item)) {
    if (hostNames.size === 1) return [...hostNames];
    const misspelt = Object.keys(item).some((key) => !stepFrameKeys.has(key) && nearest(key, stepFrameKeys) === 'on');
    if (hostNames.size > 1 && !misspelt)
      mistakes.report(path, `"on" is missing: on which of ${[...hostNames].slice(0, 20).join(', ')}?`);
    return [];
  }
  if (!frame.ok || frame.value.on === undefined) return [];
  const seen = new Set<string>();
  frame.value.on.forEach((host, position) => {
    const at = Array.isArray(item.on) ? [...path, 'on', position] : [...path, 'on'];
    if (!hostNames.has(host))
      mistakes.report(at, () => `no host ${shown(host)} in this scenario${hostHint(host, lab)}`);
    else if (seen.has(host)) mistakes.report(at, `${host} is named twice`);
    seen.add(host);
  });
  return frame.value.on;
}

/** A step that may take less time than what it waits for can never wait long enough. */
function checkUntil(report: Report, item: DataMap, spec: unknown, frame: StepFrame, path: Path): void {
  const until = (spec as { until?: { within?: unknown } } | null)?.until;
  if (!isDataMap(item.until) || !('within' in item.until) || typeof until?.within !== 'number') return;
  checkDuration(report, [...path, 'until', 'within'], until.within);
  if (frame.timeout !== undefined && until.within > frame.timeout)
    report(
      [...path, 'until', 'within'],
      `it may wait ${formatDuration(until.within)}, and the whole step only ${formatDuration(frame.timeout)} by its \`timeout\``,
    );
}

const strictSchemas = new WeakMap<StepKind, z.ZodObject>();

/** A step kind's schema that refuses unknown keys, whatever its author chose. */
function strictSchema(kind: StepKind): z.ZodObject {
  let schema = strictSchemas.get(kind);
  if (schema === undefined) {
    schema = kind.schema._zod.def.catchall === undefined ? kind.schema.strict() : kind.schema;
    strictSchemas.set(kind, schema);
  }
  return schema;
}

/** A text in which secrets are called by their names. */
function withoutSecrets(secrets: ReadonlyMap<string, string>, text: string): string {
  return [...secrets].reduce((out, [name, value]) => out.replaceAll(value, `\${${name}}`), text);
}

function oneLine(text: string): string {
  const line = text
    .trim()
    .replace(/\s*\n\s*/g, ' ; ')
    .replace(/\s+/g, ' ');
  return line.length > 160 ? `${line.slice(0, 159)}…` : line;
}

import type { z } from 'zod';
import type { CheckKind } from '../../checks/kind.js';
import { parseVantage } from '../../language/endpoint.js';
import { shown, suggestion } from '../../language/wording.js';
import { formatDuration } from '../../model/duration.js';
import type { Path } from '../diagnostic.js';
import { belowExpect, keysAt } from '../issues.js';
import type { CheckItem, Grading } from '../scenario.js';
import { checkFrameKeys, zCheckFrame } from '../schema.js';
import type { CheckFrame } from '../schema.js';
import { isDataMap } from '../source.js';
import type { DataMap } from '../source.js';
import { coveredItems } from './covered-items.js';
import type { PlaceChecks } from './endpoints.js';
import type { DeclaredLab } from './hosts-and-segments.js';
import { parseFrame } from './frame.js';
import { itemId } from './items.js';
import { checkDuration, limits } from './limits.js';
import type { Report } from './mistakes.js';
import { pick } from './reading.js';
import type { ItemPlace, Reading } from './reading.js';
import { holdsSample } from '../saved-values.js';
import { checkParts } from './named-parts.js';
import { kindsByName, kindsIn } from './kind-names.js';
import { parseLateSpec } from './late-spec.js';
import { seeWhen, whenOf } from './when.js';

export function readCheck(
  reading: Reading,
  lab: DeclaredLab,
  item: DataMap,
  { path, index }: ItemPlace,
  places: PlaceChecks,
): CheckItem | null {
  const { mistakes } = reading;
  const before = mistakes.found;
  const kind = kindOf(reading, item, path);
  const own = pick(item, (key) => checkFrameKeys.has(key));
  const frame = parseFrame<CheckFrame>(
    mistakes,
    zCheckFrame,
    'check' in own ? own : { check: 'untitled', ...own },
    path,
  );
  reportForeign(reading, item, path, kind);
  if (kind === undefined) return null;

  const { checked: spec, late } = parseLateSpec(reading, kind.schema as z.ZodType<unknown>, item[kind.name]!, {
    base: [...path, kind.name],
    item: { path, index },
    endpoints: kind.endpoints.bind(kind),
    hostNames: lab.hostNames,
  });
  let hosts: string[] = [];
  if (spec.ok) {
    const uses = kind.endpoints(spec.value);
    for (const use of uses) {
      const [host, ...rest] = use.endpoint.split('/');
      const open = (text: string): boolean => late !== null && holdsSample(text, late.names);
      // Of an endpoint whose name is known at run time only, the host may be known before.
      if (!open(use.endpoint)) places.endpoint(use, [...path, kind.name], item);
      else if (rest.length > 0 && !open(host!))
        places.endpoint({ ...use, endpoint: host! }, [...path, kind.name], item);
    }
    checkParts(lab, mistakes.report, kind.parts?.(spec.value) ?? [], [...path, kind.name]);
    const body = item[kind.name];
    const on = isDataMap(body) ? body['address-on'] : undefined;
    if (typeof on === 'string' && !on.includes('${')) places.addressOn(on, [...path, kind.name, 'address-on'], uses);
    const vacuous = kind.cannotFail?.(spec.value);
    if (vacuous) mistakes.report([...path, kind.name, ...vacuous.path], `this check cannot fail: ${vacuous.why}`);
    hosts = [...new Set(uses.flatMap((use) => parseVantage(use.endpoint)?.host ?? []))].filter((host) =>
      lab.hostNames.has(host),
    );
  }
  let covers: string[] = [];
  if (frame.ok) {
    covers = coveredItems(reading, item.covers, frame.value.covers, [...path, 'covers']);
    checkTimes(mistakes.report, frame.value, path);
    seeWhen(reading, frame.value.when, path, hosts.length > 0 ? hosts : [...lab.hostNames], lab);
  }
  if (!frame.ok || !spec.ok || mistakes.found > before) return null;
  return {
    kind: 'check',
    id: itemId('c', index),
    type: kind,
    spec: spec.value,
    title: frame.value.check,
    source: reading.source.place(path),
    when: whenOf(frame.value.when, reading.variablesOf(path)),
    timeoutMs: frame.value.timeout ?? null,
    withinMs: frame.value.within ?? null,
    holdsForMs: frame.value['holds-for'] ?? null,
    covers,
    text: frame.value.text?.trim() ?? '',
    level: frame.value.level,
    late,
    ...(reading.data.exercise === undefined ? {} : { grading: gradingOf(frame.value) }),
  };
}

function gradingOf(frame: CheckFrame): Grading {
  return {
    points: frame.points ?? null,
    guard: frame.guard ?? false,
    stage: frame.stage ?? null,
    shown: frame.shown ?? 'always',
    hints: frame.hint ?? {},
  };
}

/** The kind of a check. Says where its title is missing and where it has more than one kind. */
function kindOf({ kinds, mistakes }: Reading, item: DataMap, path: Path): CheckKind | undefined {
  const [kind, ...others] = kindsIn(item, kindsByName(kinds).checks);
  if (!('check' in item))
    mistakes.report([...path, kind!.name], 'a check needs a title: add `check: what must be true`', 'key');
  for (const other of others)
    mistakes.report(
      [...path, other.name],
      `a check has one kind, and this one has \`${kind!.name}\` already: make two checks of it`,
      'key',
    );
  return kind;
}

/** Keys beside the kind's that have no place there. */
function reportForeign({ kinds, mistakes }: Reading, item: DataMap, path: Path, kind: CheckKind | undefined): void {
  const { checks, steps } = kindsByName(kinds);
  const rest = Object.keys(item).filter((key) => !checkFrameKeys.has(key) && !checks.has(key));
  if (kind !== undefined && rest.length === 0) return;
  const names = [...checks.keys()];
  const known = kind === undefined ? [...names, ...checkFrameKeys] : [...checkFrameKeys];
  const otherwise =
    kind === undefined ? `; kinds of checks are ${names.join(', ')}` : `; known here: ${known.join(', ')}`;
  const own = kind === undefined ? [] : keysAt(kind.schema, []);
  const expected = kind === undefined ? [] : keysAt(kind.schema, ['expect']);
  for (const key of rest) {
    const below = belowExpect(key, [...known, ...own], expected);
    const message =
      kind !== undefined && own.includes(key)
        ? `\`${key}\` belongs inside \`${kind.name}:\``
        : kind !== undefined && below !== null && expected.includes(key)
          ? `${below} of \`${kind.name}:\``
          : key === 'role'
            ? '`role` belongs to steps: a check is graded by its `points`'
            : key === 'on'
              ? '`on` belongs to steps: a check says inside its kind where it looks from'
              : steps.has(key)
                ? `\`${key}\` is a kind of step: make an item of its own without \`check:\``
                : below !== null && kind !== undefined
                  ? `${below} of \`${kind.name}:\``
                  : `unknown key ${shown(key)}${suggestion(key, known) || otherwise}`;
    mistakes.report([...path, key], message, 'key');
  }
  if (kind === undefined && rest.length === 0)
    mistakes.report([...path, 'check'], `this check checks nothing: add one of ${names.join(', ')}`, 'key');
}

function checkTimes(report: Report, frame: CheckFrame, path: Path): void {
  const { within, timeout } = frame;
  const holdsFor = frame['holds-for'];
  checkDuration(report, [...path, 'within'], within);
  checkDuration(report, [...path, 'holds-for'], holdsFor);
  checkDuration(report, [...path, 'timeout'], timeout);
  if (within !== undefined && timeout !== undefined && timeout > within)
    report(
      [...path, 'timeout'],
      `one attempt may take ${formatDuration(timeout)}, and it must become true within ${formatDuration(within)}`,
    );
  const both = (within ?? 0) + (holdsFor ?? 0);
  const each = Math.max(within ?? 0, holdsFor ?? 0);
  if (each <= limits.durationMs && both > limits.durationMs)
    report(
      [...path, 'holds-for'],
      `\`within\` and \`holds-for\` together are longer than an hour, the longest that anything may take`,
    );
}

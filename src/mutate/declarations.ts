import { isAlias, isMap, isScalar, isSeq, type Pair, type Scalar, type YAMLMap, type YAMLSeq } from 'yaml';
import { keyOf, removal, setting, type Draft, type ScenarioSource, type Spot } from './draft.js';
import { alterScalar, shortly, valueChanges } from './text-changes.js';

/** A node as a reader would write it on one line. */
function spelled(node: unknown): string {
  if (isScalar(node)) return node.value === null ? '' : String(node.value);
  if (isAlias(node)) return `*${node.source}`;
  if (isSeq(node)) return `[${node.items.map(spelled).join(', ')}]`;
  if (isMap(node)) return `{ ${node.items.map((pair) => `${spelled(pair.key)}: ${spelled(pair.value)}`).join(', ')} }`;
  return '';
}

/** An altered text as a value of the kind that the original is of. */
function likeOriginal(original: unknown, altered: string): unknown {
  if (typeof original === 'boolean') return altered === 'true';
  return typeof original === 'number' ? Number(altered) : altered;
}

function* scalarDrafts(source: ScenarioSource, spot: Spot, node: Scalar, shown: string): Iterable<Draft> {
  const old = String(node.value);
  const altered = alterScalar(old);
  if (altered)
    yield source.draft(spot, source.placeOf(node), {
      operator: altered.operator,
      what: `alters ${shown} from ${old} to ${altered.value}`,
      target: old,
      edit: setting(spot.path, likeOriginal(node.value, altered.value)),
    });
  else if (typeof node.value === 'string')
    for (const change of valueChanges(old)) yield source.textDraft(spot, node, change);
}

function* listDrafts(source: ScenarioSource, spot: Spot, list: YAMLSeq, shown: string): Iterable<Draft> {
  for (const [index, item] of list.items.entries()) {
    const below = { ...spot, path: [...spot.path, index] };
    if (list.items.length > 1)
      yield source.draft(below, source.placeOf(item), {
        operator: 'remove-entry',
        what: `removes ${shortly(spelled(item), 50)} from ${shown}`,
        target: spelled(item),
        edit: removal(below.path),
      });
    // An item of a list (a route) is whole or not there: none of its keys is removed.
    if (isMap(item))
      for (const pair of item.items) {
        const key = keyOf(pair);
        yield* valueDrafts(source, { ...spot, path: [...below.path, key] }, pair.value, `${shown} › ${key}`);
      }
    else yield* valueDrafts(source, below, item, shown);
  }
}

/** What can be changed inside of a declared value; the value itself stays. `shown`: how a reader names it. */
function* valueDrafts(source: ScenarioSource, spot: Spot, value: unknown, shown: string): Iterable<Draft> {
  // What an alias stands for is changed where it is written.
  if (isScalar(value)) yield* scalarDrafts(source, spot, value, shown);
  else if (isSeq(value)) yield* listDrafts(source, spot, value, shown);
  else if (isMap(value))
    for (const pair of value.items) {
      const key = keyOf(pair);
      yield* entryDrafts(source, { ...spot, path: [...spot.path, key] }, pair, `${shown} › ${key}`);
    }
}

/** One `key: value` of a declaration: it goes, or something inside of it changes. */
export function* entryDrafts(source: ScenarioSource, spot: Spot, pair: Pair, shown: string): Iterable<Draft> {
  const { value } = pair;
  const plain = isScalar(value) && value.value !== null ? `: ${String(value.value)}` : '';
  yield source.draft(spot, source.placeOf(pair.key), {
    operator: 'remove-entry',
    what: `removes ${shortly(`${shown}${plain}`, 60)}`,
    target: value === null ? shown : `${shown} ${spelled(value)}`,
    edit: removal(spot.path),
  });
  yield* valueDrafts(source, spot, value, shown);
}

function* propertyDrafts(source: ScenarioSource, name: string, pair: Pair): Iterable<Draft> {
  const property = keyOf(pair);
  const { value } = pair;
  const spot: Spot = { path: ['hosts', name, property], step: null };
  const shown = `${name} › ${property}`;
  if (property === 'routes' && isSeq(value) && value.items.length === 1) yield* entryDrafts(source, spot, pair, shown);
  else if (property === 'routes' || property === 'sysctls') yield* valueDrafts(source, spot, value, shown);
  else if (property === 'docker' && isMap(value))
    for (const part of value.items) {
      const kind = keyOf(part);
      yield* valueDrafts(source, { ...spot, path: [...spot.path, kind] }, part.value, `${name} › ${kind}`);
    }
}

/** Routes, sysctls and what Docker is to have of each host. Image, init and engine say what host it is: another matter. */
export function* hostDrafts(source: ScenarioSource): Iterable<Draft> {
  for (const host of source.mapAt('hosts')?.items ?? [])
    if (isMap(host.value))
      for (const pair of host.value.items) yield* propertyDrafts(source, keyOf(host), pair as Pair);
}

/** Segments, where there is another one, and what each declares. */
export function* segmentDrafts(source: ScenarioSource): Iterable<Draft> {
  const segments = source.mapAt('segments')?.items ?? [];
  for (const pair of segments) {
    const name = keyOf(pair);
    const spot: Spot = { path: ['segments', name], step: null };
    if (segments.length > 1)
      yield source.draft(spot, source.placeOf(pair.key), {
        operator: 'remove-entry',
        what: `removes the segment ${name}`,
        target: name,
        edit: removal(spot.path),
      });
    if (!isMap(pair.value)) continue;
    for (const part of (pair.value as YAMLMap).items) {
      const property = keyOf(part);
      const below: Spot = { path: [...spot.path, property], step: null };
      if (property === 'mtu') yield* entryDrafts(source, below, part, `${name} › mtu`);
      else yield* valueDrafts(source, below, part.value, `segment ${name} › ${property}`);
    }
  }
}

/** Values of variables that no check names: altered for steps and checks alike, nothing would have changed but a name. */
export function* variableDrafts(source: ScenarioSource): Iterable<Draft> {
  const variables = source.mapAt('vars')?.items ?? [];
  if (variables.length === 0) return;
  const plain = source.document.toJS() as { steps?: unknown[] };
  const checks = JSON.stringify(
    (plain.steps ?? []).filter((item) => typeof item === 'object' && item !== null && 'check' in item),
  );
  for (const pair of variables) {
    const name = keyOf(pair);
    if (!checks.includes(`\${${name}}`))
      yield* valueDrafts(source, { path: ['vars', name], step: null }, pair.value, `vars › ${name}`);
  }
}

import type { JsonSchema } from './json-schema.js';

/** Shorter ones are read in place, characters of JSON. */
const leastLength = 240;

const ofOne = new Set(['items', 'additionalProperties', 'propertyNames', 'contains', 'if', 'then', 'else', 'not']);
const ofSeveral = new Set(['anyOf', 'oneOf', 'allOf']);
const byName = new Set(['properties', 'patternProperties', 'dependencies', 'definitions']);

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

type Below = (schema: unknown, name: string | null) => unknown;

/** A copy of a schema with each schema right below it as `below` makes it; `name`: the key of a map that it stands for. */
function mapBelow(schema: Record<string, unknown>, below: Below): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(schema).map(([keyword, value]) => {
      if (ofOne.has(keyword) && isMap(value)) return [keyword, below(value, null)];
      if (ofSeveral.has(keyword) && Array.isArray(value)) return [keyword, value.map((one) => below(one, null))];
      if (byName.has(keyword) && isMap(value))
        return [keyword, Object.fromEntries(Object.entries(value).map(([name, one]) => [name, below(one, name)]))];
      return [keyword, value];
    }),
  );
}

/** How often each schema of some length stands in the whole. What stands only within one that is repeated counts once. */
function timesOf(schema: JsonSchema): Map<string, number> {
  const times = new Map<string, number>();
  const visit: Below = (one) => {
    if (!isMap(one)) return one;
    const text = JSON.stringify(one);
    const before = times.get(text) ?? 0;
    if (text.length >= leastLength) times.set(text, before + 1);
    return before > 0 ? one : mapBelow(one, visit);
  };
  mapBelow(schema as Record<string, unknown>, visit);
  return times;
}

/**
 * The same schema with every part that stands in it more than once as one definition, called by where it stands first:
 * `Check-ping.ping.from`. A quarter of the size, with the same meaning.
 */
export function repeatedOnce(schema: JsonSchema): JsonSchema {
  const times = timesOf(schema);
  const definitions: Record<string, unknown> = {};
  const given = (schema.definitions ?? {}) as Record<string, unknown>;
  const names = new Map(Object.entries(given).map(([name, one]) => [JSON.stringify(one), name]));

  function nameFor(path: readonly string[]): string {
    const wanted = path.join('.');
    let name = wanted;
    for (let at = 2; name in definitions || name in given; at += 1) name = `${wanted}-${at}`;
    return name;
  }
  const rewritten = (path: readonly string[]): Below => {
    return (one, name) => {
      if (!isMap(one)) return one;
      const own = name === null ? path : [...path, name.replaceAll(/[~/]/g, '-')];
      const text = JSON.stringify(one);
      const isDefinition = path.length === 0 && name !== null && given[name] === one;
      if (isDefinition || (times.get(text) ?? 0) < 2) return mapBelow(one, rewritten(own));
      let definition = names.get(text);
      if (definition === undefined) {
        definition = nameFor(own.length > 0 ? own : ['Item']);
        names.set(text, definition);
        // Its place first, so that names are in the order in which parts are met.
        definitions[definition] = true;
        definitions[definition] = mapBelow(one, rewritten(own));
      }
      return { $ref: `#/definitions/${definition}` };
    };
  };
  // Definitions first: parts are called by the kind that they belong to, not by the list of all kinds.
  const own = mapBelow({ definitions: given }, rewritten([]))['definitions'] as object;
  const rest = mapBelow({ ...schema, definitions: {} } as Record<string, unknown>, rewritten([]));
  return { ...rest, definitions: { ...own, ...definitions } } as JsonSchema;
}

import type { JsonSchema } from './json-schema.js';

/**
 * Alternatives as `if`/`then`/`else` in place of `anyOf`: what is wrong with a value is then said once, of the alternative
 * that its author meant, and not once for each alternative. They are told apart by the type of the value, objects by the
 * keys that they require, and texts by which of them they are.
 */
export function alternativesToldApart(schema: JsonSchema, definitions: Record<string, JsonSchema>): JsonSchema {
  const narrow = (node: JsonSchema): JsonSchema => {
    const below = mapBelow(node, narrow);
    const { anyOf, oneOf, type, ...rest } = below;
    const types = Array.isArray(type) ? (type as string[]).map((one) => ({ type: one }) as JsonSchema) : null;
    const branches = (anyOf ?? oneOf ?? types) as JsonSchema[] | null;
    if (branches === null) return below;
    return { ...rest, ...chosen(flattened(branches), definitions) } as JsonSchema;
  };
  return narrow(schema);
}

const schemaKeys = ['items', 'additionalProperties', 'propertyNames', 'not', 'if', 'then', 'else'];
const schemaListKeys = ['anyOf', 'oneOf', 'allOf'];
const schemaMapKeys = ['properties', 'patternProperties', 'definitions', 'dependencies'];

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A copy whose schemas one level down are changed. */
function mapBelow(node: JsonSchema, change: (node: JsonSchema) => JsonSchema): JsonSchema {
  const one = (value: unknown): unknown => (isSchema(value) ? change(value) : value);
  return Object.fromEntries(
    Object.entries(node).map(([key, value]) => {
      if (schemaKeys.includes(key)) return [key, one(value)];
      if (schemaListKeys.includes(key) && Array.isArray(value)) return [key, value.map(one)];
      if (schemaMapKeys.includes(key) && isSchema(value))
        return [key, Object.fromEntries(Object.entries(value).map(([name, below]) => [name, one(below)]))];
      return [key, value];
    }),
  ) as JsonSchema;
}

/** Alternatives of alternatives that say nothing of their own are alternatives themselves. */
function flattened(branches: readonly JsonSchema[]): JsonSchema[] {
  return branches.flatMap((branch) => {
    const inner = branch.anyOf ?? branch.oneOf;
    return inner !== undefined && Object.keys(branch).length === 1 ? flattened(inner as JsonSchema[]) : [branch];
  });
}

const anyType = 'any';

/** The type of the values that a schema takes; `any` where it does not say. */
function typeOf(node: JsonSchema, definitions: Record<string, JsonSchema>): string {
  if (node.$ref !== undefined) {
    const definition = definitions[node.$ref.replace('#/definitions/', '')];
    return definition === undefined ? anyType : typeOf(definition, definitions);
  }
  if (typeof node.type === 'string') return node.type;
  if (node.const !== undefined) return node.const === null ? 'null' : typeof node.const;
  if (node.allOf?.length) return typeOf(node.allOf[0] as JsonSchema, definitions);
  return anyType;
}

function chosen(branches: readonly JsonSchema[], definitions: Record<string, JsonSchema>): JsonSchema {
  const variable = branches.find(isVariable);
  const others = branches.filter((branch) => !isVariable(branch));
  if (variable !== undefined && others.length > 0)
    return { if: variable, else: chosen(others, definitions) } as JsonSchema;
  const groups = new Map<string, JsonSchema[]>();
  for (const branch of branches) {
    const type = typeOf(branch, definitions);
    groups.set(type, [...(groups.get(type) ?? []), branch]);
  }
  // What takes anything is left for what nothing else takes.
  const last = groups.get(anyType);
  groups.delete(anyType);
  const ordered = [...groups].sort(([a], [b]) => typeOrder.indexOf(a) - typeOrder.indexOf(b));
  const rest = last === undefined ? null : oneOfType(anyType, last);
  return ordered.reduceRight<JsonSchema | null>((otherwise, [type, group]) => {
    const own = oneOfType(type, group);
    return otherwise === null ? own : ({ if: { type }, then: own, else: otherwise } as JsonSchema);
  }, rest)!;
}

/** A value of no fitting type is held against the last: a map says most of what belongs there. */
const typeOrder = ['null', 'boolean', 'integer', 'number', 'array', 'string', 'object'];

/** One of several schemas for values of the same type. */
function oneOfType(type: string, group: readonly JsonSchema[]): JsonSchema {
  if (group.length === 1) return group[0]!;
  if (type === 'object') return byRequiredKeys(group);
  const words = group.filter((branch) => branch.const !== undefined || branch.enum !== undefined);
  const others = group.filter((branch) => !words.includes(branch));
  const merged = words.length < 2 ? words : [mergedWords(type, words)];
  // The mistake is told of the last: of the words, where there are any.
  return [...others, ...merged].reduceRight((otherwise, branch) => ({ if: branch, else: otherwise }) as JsonSchema);
}

function isVariable(branch: JsonSchema): boolean {
  return branch.$ref === '#/definitions/Variable';
}

function mergedWords(type: string, words: readonly JsonSchema[]): JsonSchema {
  const values = words.flatMap((branch) => (branch.const !== undefined ? [branch.const] : (branch.enum ?? [])));
  return { type, enum: [...new Set(values)] } as JsonSchema;
}

/** Maps told apart by the keys that one of them must have; the one that requires nothing is what is left. */
function byRequiredKeys(group: readonly JsonSchema[]): JsonSchema {
  const keysOf = (branch: JsonSchema): string[] => Object.keys(branch.properties ?? {});
  const own = (branch: JsonSchema): string[] =>
    (branch.required ?? []).filter((key) => !group.some((other) => other !== branch && keysOf(other).includes(key)));
  const ordered = [...group].sort((a, b) => own(b).length - own(a).length);
  if (ordered.slice(0, -1).some((branch) => own(branch).length === 0)) return { anyOf: [...group] } as JsonSchema;
  return ordered.reduceRight((otherwise, branch) => {
    const key = own(branch)[0]!;
    return { if: hasKey(key), then: branch, else: otherwise } as JsonSchema;
  });
}

/** A map with these keys, whatever is behind them. */
export function hasKeys(...keys: string[]): JsonSchema {
  const properties = Object.fromEntries(keys.map((key) => [key, true]));
  return { type: 'object', properties, required: keys } as JsonSchema;
}

export function hasKey(key: string): JsonSchema {
  return hasKeys(key);
}

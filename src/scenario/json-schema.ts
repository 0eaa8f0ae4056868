import { z } from 'zod';
import { builtInKinds } from './kinds.js';
import type { Kinds } from './kinds.js';
import { repeatedOnce } from './repeated-schemas.js';
import { checkFrameKeys, stepFrameKeys, zCheckFrame, zStepFrame, zTop } from './schema.js';
import { alternativesToldApart, hasKey, hasKeys } from './told-apart.js';

export type JsonSchema = z.core.JSONSchema.JSONSchema;

/** Where a value that is no free text is expected, a reference to a variable may stand too. */
const variableName = 'Variable';
const variableSchema: JsonSchema = {
  type: 'string',
  pattern: '\\$\\{[A-Za-z_][A-Za-z0-9_-]*\\}',
  description: 'A text with a variable of `vars` or `matrix`.',
};

function jsonSchemaOf(schema: z.ZodType): JsonSchema {
  const made = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    target: 'draft-7',
    override: ({ jsonSchema }) => {
      // `format` is a matter of the validator, and one that does not know a format refuses the whole schema.
      if (jsonSchema.format !== 'uri') return;
      delete jsonSchema.format;
      jsonSchema.title ??= 'URL';
      jsonSchema.pattern = '^[A-Za-z][A-Za-z0-9+.-]*:';
    },
  });
  delete made.$schema;
  return made;
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Keywords about the value as a whole stay outside when a schema becomes one of several branches. */
const outside = ['description', 'title', 'default', 'examples'] as const;

/** A copy in which numbers, booleans and texts of a fixed form may also be references to variables. */
function admitVariables(schema: JsonSchema): JsonSchema {
  const copy = Object.fromEntries(
    Object.entries(schema).map(([key, value]) => {
      if (key === 'properties' && isSchema(value))
        return [
          key,
          Object.fromEntries(
            Object.entries(value).map(([name, one]) => [name, isSchema(one) ? admitVariables(one) : one]),
          ),
        ];
      if (['items', 'additionalProperties'].includes(key) && isSchema(value)) return [key, admitVariables(value)];
      if (['anyOf', 'oneOf', 'allOf'].includes(key) && Array.isArray(value))
        return [key, value.map((one) => (isSchema(one) ? admitVariables(one) : one))];
      return [key, value];
    }),
  ) as JsonSchema;
  const fixedText =
    copy.type === 'string' && (copy.pattern !== undefined || copy.enum !== undefined || copy.format !== undefined);
  if (!fixedText && !['integer', 'number', 'boolean'].includes(String(copy.type))) return copy;
  const inner: Record<string, unknown> = { ...copy };
  const outer: Record<string, unknown> = {};
  for (const key of outside) {
    if (key in inner) outer[key] = inner[key];
    delete inner[key];
  }
  return { ...outer, anyOf: [inner, { $ref: `#/definitions/${variableName}` }] } as JsonSchema;
}

/** One item of `steps:` for each kind, told apart by the key that marks it. */
function itemSchemas(kinds: Kinds): { name: string; schema: z.ZodType; required: string[] }[] {
  return [
    ...kinds.steps.map((kind) => ({
      name: `Step-${kind.name}`,
      schema: z.strictObject({ ...zStepFrame.shape, ...kind.schema.shape }).describe(`A step. ${kind.summary}`),
      required: [kind.name],
    })),
    ...kinds.checks.map((kind) => ({
      name: `Check-${kind.name}`,
      schema: z
        .strictObject({ ...zCheckFrame.shape, [kind.name]: kind.schema.describe(kind.summary) })
        .describe(`A check. ${kind.summary}`),
      required: ['check', kind.name],
    })),
  ];
}

/**
 * The language as JSON Schema (draft 7, which editors know best), for completion and hints; `netrig validate` knows more.
 * Alternatives stand in it as `if` and `then`, so that an editor says one thing of one mistake.
 */
export function scenarioJsonSchema(kinds: Kinds = builtInKinds): JsonSchema {
  const plain = plainJsonSchema(kinds);
  const definitions = plain.definitions as Record<string, JsonSchema>;
  const properties = plain.properties as Record<string, JsonSchema>;
  const named = {
    ...plain,
    properties: {
      ...properties,
      steps: { ...properties.steps, items: itemByKey(kinds, definitions) },
      finally: { ...properties.finally, items: stepByKey(kinds, definitions) },
    },
  } as JsonSchema;
  return repeatedOnce(alternativesToldApart(named, definitions));
}

/** One item of `steps:`, known by the key that marks it. */
function itemByKey(kinds: Kinds, definitions: Record<string, JsonSchema>): JsonSchema {
  const byKey = { ...stepsByKey(kinds), ...checksByKey(kinds) };
  return {
    ...oneOfKeys(kinds, byKey),
    if: without(Object.keys(byKey)),
    then: {
      if: hasKey('check'),
      then: unknownItem(kinds, definitions, 'check'),
      else: unknownItem(kinds, definitions, 'step or check'),
    },
  } as JsonSchema;
}

/** One item of `finally:`. */
function stepByKey(kinds: Kinds, definitions: Record<string, JsonSchema>): JsonSchema {
  const byKey = stepsByKey(kinds);
  return {
    ...oneOfKeys(kinds, byKey),
    if: without(Object.keys(byKey)),
    then: unknownItem(kinds, definitions, 'step'),
  } as JsonSchema;
}

type DefinitionByKey = Record<string, string>;

const stepsByKey = (kinds: Kinds): DefinitionByKey =>
  Object.fromEntries(kinds.steps.map(({ name }) => [name, `Step-${name}`]));
const checksByKey = (kinds: Kinds): DefinitionByKey =>
  Object.fromEntries(kinds.checks.map(({ name }) => [name, `Check-${name}`]));

/** Where a key stands, its kind's definition holds. A key that bears another kind's name belongs to the kind it is a key of. */
function oneOfKeys(kinds: Kinds, byKey: DefinitionByKey): JsonSchema {
  const owners = (name: string): string[] =>
    kinds.steps.filter((kind) => kind.name !== name && name in kind.schema.shape).map((kind) => kind.name);
  const entries = Object.entries(byKey).map(([name, definition]) => {
    const own = { $ref: `#/definitions/${definition}` } as JsonSchema;
    return [name, owners(name).length === 0 ? own : { if: without(owners(name)), then: own }];
  });
  return { type: 'object', dependencies: Object.fromEntries(entries) as unknown } as JsonSchema;
}

/** A map that has none of these keys. */
function without(keys: readonly string[]): JsonSchema {
  return { type: 'object', properties: Object.fromEntries(keys.map((key) => [key, false])) } as JsonSchema;
}

/** An item of no kind: a key that is misspelt is named, and one that has none of a kind's keys lacks one. */
function unknownItem(
  kinds: Kinds,
  definitions: Record<string, JsonSchema>,
  what: 'step' | 'check' | 'step or check',
): JsonSchema {
  const propertiesOf = (definition: string): [string, JsonSchema][] =>
    Object.entries(definitions[definition]!.properties as Record<string, JsonSchema>);
  const frame = [
    ...(what === 'check' ? [] : propertiesOf(`Step-${kinds.steps[0]!.name}`).filter(([key]) => stepFrameKeys.has(key))),
    ...(what === 'step'
      ? []
      : propertiesOf(`Check-${kinds.checks[0]!.name}`).filter(([key]) => checkFrameKeys.has(key))),
  ];
  const byKey = {
    ...(what === 'check' ? {} : stepsByKey(kinds)),
    ...(what === 'step' ? {} : checksByKey(kinds)),
  };
  const own = Object.entries(byKey).flatMap(([name, definition]) =>
    propertiesOf(definition).filter(([key]) => key === name),
  );
  const frameKeys = [...new Set(frame.map(([key]) => key))];
  return {
    type: 'object',
    description: `A ${what} of one kind: ${Object.keys(byKey).join(', ')}.`,
    properties: Object.fromEntries([...frame, ...own]),
    additionalProperties: false,
    if: { type: 'object', propertyNames: { enum: frameKeys } },
    then: { not: { type: 'object' } },
  } as JsonSchema;
}

/** The language with its alternatives side by side, as the reference page reads it. */
export function plainJsonSchema(kinds: Kinds = builtInKinds): JsonSchema {
  const definitions: Record<string, JsonSchema> = { [variableName]: variableSchema };
  const hoist = (schema: JsonSchema): JsonSchema => {
    for (const [name, definition] of Object.entries(schema.definitions ?? {}))
      definitions[name] = admitVariables(definition as JsonSchema);
    delete schema.definitions;
    return schema;
  };

  const top = hoist(jsonSchemaOf(zTop));
  const properties: Record<string, JsonSchema> = {};
  for (const [key, schema] of Object.entries(top.properties ?? {})) {
    // Where variables are declared none can be used.
    properties[key] = ['scenario', 'vars', 'matrix', 'parameters'].includes(key)
      ? (schema as JsonSchema)
      : admitVariables(schema as JsonSchema);
  }
  const items = itemSchemas(kinds).map(({ name, schema, required }) => {
    const made = hoist(jsonSchemaOf(schema));
    made.required = [...new Set([...required, ...(made.required ?? [])])];
    definitions[name] = admitVariables(made);
    return { $ref: `#/definitions/${name}` };
  });
  properties.steps = {
    type: 'array',
    minItems: 1,
    description: 'Steps (which must succeed) and checks (which are verdicts), in the order in which they happen.',
    items: { oneOf: items },
  };
  properties.finally = {
    type: 'array',
    description:
      'Steps that run after everything else, whatever became of it: also after a failed step and after Ctrl-C. Each is tried, whatever became of the one before.',
    items: { oneOf: items.slice(0, kinds.steps.length) },
  };
  properties.shared = {
    type: 'string',
    description:
      'In place of `scenario` and `title`: the file holds parts for scenarios that extend it, and this line says which.',
  };

  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'netrig scenario',
    description: 'A network lab: its hosts, the wires between them, what to configure and what must then be true.',
    type: 'object',
    properties,
    // The author's own keys, a home for anchors.
    patternProperties: { '^x-': {} },
    if: hasKey('shared'),
    else: {
      if: hasKey('extends'),
      then: hasKeys('scenario', 'title'),
      else: hasKeys('scenario', 'title', 'hosts', 'steps'),
    },
    additionalProperties: false,
    definitions,
  } as JsonSchema;
}

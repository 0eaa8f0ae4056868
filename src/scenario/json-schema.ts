import { z } from 'zod';
import { builtInKinds } from './kinds.js';
import type { Kinds } from './kinds.js';
import { zCheckFrame, zStepFrame, zTop } from './schema.js';

export type JsonSchema = z.core.JSONSchema.JSONSchema;

/** Where a value that is no free text is expected, a reference to a variable may stand too. */
const variableName = 'Variable';
const variableSchema: JsonSchema = {
  type: 'string',
  pattern: '\\$\\{[A-Za-z_][A-Za-z0-9_-]*\\}',
  description: 'A text with a variable of `vars` or `matrix`.',
};

function jsonSchemaOf(schema: z.ZodType): JsonSchema {
  const made = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any', target: 'draft-7' });
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

/** The language as JSON Schema (draft 7, which editors know best): for completion and hints; `netrig validate` knows more. */
export function scenarioJsonSchema(kinds: Kinds = builtInKinds): JsonSchema {
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
    properties[key] = ['scenario', 'vars', 'matrix'].includes(key)
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
    anyOf: [
      { required: ['scenario', 'title', 'hosts', 'steps'] },
      { required: ['scenario', 'title', 'extends'] },
      { required: ['shared'] },
    ],
    additionalProperties: false,
    definitions,
  } as JsonSchema;
}

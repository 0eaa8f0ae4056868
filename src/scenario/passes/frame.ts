import type { z } from 'zod';
import type { Path } from '../diagnostic.js';
import { interpreted } from '../issues.js';
import type { Checked } from '../issues.js';
import type { DataMap } from '../source.js';
import type { Mistakes } from './mistakes.js';

interface Field {
  key: string;
  schema: z.ZodType;
  /** What is not there is a mistake, or has a value all the same. */
  wanted: boolean;
}

const fields = new WeakMap<z.ZodObject, Field[]>();

function fieldsOf(schema: z.ZodObject): Field[] {
  let known = fields.get(schema);
  if (known === undefined) {
    known = Object.entries(schema.shape as Record<string, z.ZodType>).map(([key, one]) => {
      const absent = one.safeParse(undefined, interpreted);
      return { key, schema: one, wanted: !absent.success || absent.data !== undefined };
    });
    fields.set(schema, known);
  }
  return known;
}

/**
 * Parses the keys that all items have, of which an item has a few: only those that it has take time. The schema as a whole
 * words what is wrong.
 *
 * @param data Keys of the schema only.
 */
export function parseFrame<Frame>(
  mistakes: Mistakes,
  schema: z.ZodType<Frame> & z.ZodObject,
  data: DataMap,
  path: Path,
): Checked<Frame> {
  const value: Record<string, unknown> = {};
  for (const { key, schema: field, wanted } of fieldsOf(schema)) {
    if (!wanted && !(key in data)) continue;
    const parsed = field.safeParse(data[key], interpreted);
    if (!parsed.success) return mistakes.parse(schema as z.ZodType<Frame>, data, path);
    value[key] = parsed.data;
  }
  return { ok: true, value: value as Frame };
}

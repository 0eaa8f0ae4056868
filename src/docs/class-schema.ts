import { z } from 'zod';
import { zClass } from '../classroom/class-file.js';

/** JSON Schema of the file of a class, for editors. */
export function classSchemaJson(): string {
  const schema = z.toJSONSchema(zClass, { io: 'input', unrepresentable: 'any', target: 'draft-7' });
  return `${JSON.stringify({ ...schema, title: 'A class of netrig' }, null, 2)}\n`;
}

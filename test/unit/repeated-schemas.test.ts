import { expect } from 'chai';
import type { JsonSchema } from '../../src/scenario/json-schema.js';
import { scenarioJsonSchema } from '../../src/scenario/json-schema.js';
import { repeatedOnce } from '../../src/scenario/repeated-schemas.js';

type Node = Record<string, unknown>;

/** The schema with each reference to a definition that `only` has replaced by what it stands for. */
function spelledOut(node: unknown, definitions: Node, only: (name: string) => boolean): unknown {
  if (Array.isArray(node)) return node.map((one) => spelledOut(one, definitions, only));
  if (typeof node !== 'object' || node === null) return node;
  const { $ref } = node as { $ref?: string };
  const name = typeof $ref === 'string' ? $ref.replace('#/definitions/', '') : null;
  if (name !== null && only(name)) return spelledOut(definitions[name], definitions, only);
  return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, spelledOut(value, definitions, only)]));
}

const long = (text: string): Node => ({ type: 'string', description: text.repeat(60), pattern: '^a' });

describe('JSON Schema: parts that are repeated', () => {
  const schema = {
    type: 'object',
    properties: {
      one: { type: 'object', properties: { deep: long('deep '), more: { type: 'integer' } } },
      two: { type: 'object', properties: { deep: long('deep '), more: { type: 'integer' } } },
      three: { anyOf: [long('deep '), { type: 'null' }], default: long('deep ') },
      four: { $ref: '#/definitions/Known' },
      five: long('known '),
    },
    definitions: { Known: long('known ') },
  } as unknown as JsonSchema;
  const shared = repeatedOnce(schema) as Node;
  const definitions = shared['definitions'] as Node;

  it('stand in it once, called by where they are first', () => {
    expect(Object.keys(definitions)).to.have.members(['Known', 'one', 'one.deep']);
    expect(shared['properties']).to.deep.equal({
      one: { $ref: '#/definitions/one' },
      two: { $ref: '#/definitions/one' },
      three: { anyOf: [{ $ref: '#/definitions/one.deep' }, { type: 'null' }], default: long('deep ') },
      four: { $ref: '#/definitions/Known' },
      five: { $ref: '#/definitions/Known' },
    });
  });

  it('mean what they meant: spelled out again, the schema is the same', () => {
    const known = { ...schema, properties: { ...(schema.properties as Node), four: long('known ') } };
    const again = spelledOut({ ...shared, definitions: { Known: definitions['Known'] } }, definitions, () => true);
    expect(again).to.deep.equal(known);
  });

  it('are none any more in the schema of the language', () => {
    const whole = scenarioJsonSchema();
    expect(repeatedOnce(whole)).to.deep.equal(whole);
    expect(JSON.stringify(whole).length).to.be.lessThan(300_000);
  });
});

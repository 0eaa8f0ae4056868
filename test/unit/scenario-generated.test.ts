import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import { parse } from 'yaml';
import { z } from 'zod';
import { generatedScenarioFiles } from '../../src/scenario/generate.js';
import { check } from '../../src/scenario/issues.js';
import { builtInKinds } from '../../src/scenario/kinds.js';
import { zCheckFrame, zStepFrame } from '../../src/scenario/schema.js';
import { root } from './scenario-fixtures.js';

describe('scenario: generated files', () => {
  for (const [name, content] of generatedScenarioFiles()) {
    it(`${name} is what the code says: npm run docs writes it anew`, () => {
      const file = path.join(root, name);
      expect(existsSync(file), `${name} exists`).to.equal(true);
      expect(readFileSync(file, 'utf8') === content, `${name} is up to date`).to.equal(true);
    });
  }
});

/** The example of a kind as data: the body of a list item, or the item itself. */
function example(text: string): Record<string, unknown> {
  const data: unknown = parse(text);
  expect(Array.isArray(data) ? data.length : 1).to.equal(1);
  return (Array.isArray(data) ? data[0] : data) as Record<string, unknown>;
}

describe('scenario: the kinds of the language', () => {
  for (const kind of builtInKinds.steps) {
    it(`the example of ${kind.name} is valid`, () => {
      const item = example(kind.example);
      const frame = Object.fromEntries(Object.entries(item).filter(([key]) => key in zStepFrame.shape));
      const spec = Object.fromEntries(Object.entries(item).filter(([key]) => !(key in zStepFrame.shape)));
      expect(check(zStepFrame, frame, [])).to.include({ ok: true });
      expect(check(kind.schema, spec, [])).to.include({ ok: true });
      expect(spec).to.have.property(kind.name);
    });

    it(`${kind.name} takes no key that every step has`, () => {
      expect(Object.keys(kind.schema.shape).filter((key) => key in zStepFrame.shape)).to.deep.equal([]);
    });
  }

  for (const kind of builtInKinds.checks) {
    it(`the example of ${kind.name} is valid, and its endpoints are below its key`, () => {
      const item = example(kind.example);
      const frame = Object.fromEntries(Object.entries(item).filter(([key]) => key !== kind.name));
      expect(check(zCheckFrame, frame, [])).to.include({ ok: true });
      const spec = check(kind.schema, item[kind.name], []);
      expect(spec).to.include({ ok: true });
      if (!spec.ok) return;
      expect(kind.describe(spec.value)).to.match(/\S/);
      for (const use of kind.endpoints(spec.value)) {
        const at = use.path.reduce<unknown>(
          (here, part) => (here as Record<string | number, unknown> | undefined)?.[part],
          item[kind.name],
        );
        expect(at, `${kind.name}: ${use.path.join('.')}`).to.not.equal(undefined);
      }
    });
  }

  for (const { name, schema } of [...builtInKinds.steps, ...builtInKinds.checks]) {
    it(`${name} refuses unknown keys wherever it has keys`, () => {
      const loose: string[] = [];
      const walk = (node: unknown, at: string): void => {
        if (typeof node !== 'object' || node === null) return;
        const object = node as { type?: unknown; properties?: unknown; additionalProperties?: unknown };
        // Beside named keys there may be others of a form that is stated, such as paths with what is expected of each.
        const { additionalProperties: others = {} } = object;
        const stated = others === false || (typeof others === 'object' && Object.keys(others as object).length > 0);
        if (object.type === 'object' && object.properties !== undefined && !stated) loose.push(at);
        for (const [key, one] of Object.entries(node)) walk(one, `${at}/${key}`);
      };
      walk(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }), name);
      expect(loose).to.deep.equal([]);
    });
  }
});

import { expect } from 'chai';
import YAML from 'yaml';
import { z } from 'zod';
import type { CheckKind } from '../../src/checks/kind.js';

/** To be called in a `describe`: what holds of every kind of check. */
export function areWellMade(kinds: readonly CheckKind<never>[]): void {
  for (const kind of kinds as readonly CheckKind[]) {
    it(`${kind.name}: its example is valid, its endpoints stand where it says, it has a JSON Schema`, () => {
      const [item] = YAML.parse(kind.example) as Record<string, unknown>[];
      const body = item![kind.name];
      const spec = kind.schema.parse(body);
      const uses = kind.endpoints(spec);
      expect(uses).to.have.length.above(0);
      for (const use of uses) {
        const found = use.path.reduce<unknown>((value, key) => (value as Record<string | number, unknown>)[key], body);
        expect(found, use.path.join('.')).to.equal(use.endpoint);
      }
      expect(kind.describe(spec)).to.match(/^[^\n]{10,}$/);
      expect(() => z.toJSONSchema(kind.schema, { io: 'input' })).not.to.throw();
    });
  }
}

import { expect } from 'chai';
import type { CheckKind } from '../../src/checks/kind.js';
import { fakeLab } from './lab.js';
import type { FakeOptions, Row } from './lab.js';

/** One row: what the tools said, and what the kind makes of it. */
export interface Case {
  title: string;
  spec: object;
  /** What tools say that is not what the world is like. */
  said?: readonly Row[] | undefined;
  /** A process that goes on, where the kind starts one. */
  spawns?: FakeOptions['spawns'];
  /** Verdict and cause: `pass`, `fail timeout`, `inconclusive`. */
  is: string;
  reason?: RegExp;
}

export interface KindTable extends FakeOptions {
  cases: readonly Case[];
}

/**
 * The table of a kind, from what the tools said to the verdict: its whole code but for the connection to a host. Every kind has
 * one (`checks-kinds.test.ts`), with at least a pass, a failure with its cause, and a case that cannot be known.
 */
export function kindTable<Spec>(kind: CheckKind<Spec>, { cases, said = [], ...world }: KindTable): void {
  describe(`${kind.name}, from what the tools said to its verdict`, () => {
    for (const { title, spec, said: own = [], spawns, is, reason } of cases) {
      it(`${title}: ${is}`, async () => {
        const lab = fakeLab({ ...world, said: [...own, ...said], ...(spawns === undefined ? {} : { spawns }) });
        const outcome = await lab.check(kind, spec);
        expect([outcome.verdict, outcome.cause].filter(Boolean).join(' '), outcome.reason).to.equal(is);
        if (reason) expect(outcome.reason).to.match(reason);
        expect(outcome.reason, 'one sentence for a reader').to.match(/\S/);
      });
    }
    it('has rows that pass, that fail for a cause, and that cannot be known', () => {
      const verdicts = cases.map(({ is }) => is);
      expect(verdicts.some((is) => is.startsWith('pass'))).to.equal(true);
      expect(verdicts.some((is) => /^fail \S/.test(is))).to.equal(true);
      expect(verdicts).to.include('inconclusive');
    });
  });
}

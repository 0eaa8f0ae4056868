import { expect } from 'chai';
import { z } from 'zod';
import { defineCheck, looksOnly } from '../../src/checks/kind.js';
import { match } from '../../src/judging/match.js';
import { pass } from '../../src/judging/outcome.js';
import { execPattern, PatternUndecided, testPattern, withPatternBudget } from '../../src/judging/pattern.js';
import type { ProbeContext } from '../../src/places/context.js';

/** Patterns that need more time than there is for these texts, each for a reason of its own. */
const endless: [why: string, pattern: string, text: string][] = [
  ['a repetition in a repetition', '^(a+)+$', `${'a'.repeat(60)}!`],
  ['alternatives that overlap', '^(?:a|a|b)+$', `${'a'.repeat(60)}!`],
  ['repetitions next to each other', 'x*x*x*x*x*y', 'x'.repeat(5_000)],
  ['a reference back', '(x+)\\1+y', 'x'.repeat(60_000)],
  ['bounded repetitions', '^(a?){40}a{40}$', 'a'.repeat(39)],
  ['looking behind', '(?<=(x+x+)+)y', `${'x'.repeat(40)}y`.replace('xy', 'zy')],
];

describe('patterns of scenarios', () => {
  for (const [why, pattern, text] of endless) {
    it(`${why}: it ends, and neither matches nor does not`, () =>
      withPatternBudget(() => {
        let result: unknown;
        try {
          result = testPattern(pattern, text);
        } catch (error) {
          result = error;
        }
        // An engine that is clever enough for one of them may decide it: rightly then.
        if (!(result instanceof PatternUndecided)) expect(result, pattern).to.equal(false);
      }, 50));
  }

  it('a pattern in all of JavaScript’s syntax is found as ever', () => {
    expect(testPattern('^(\\d+)\\n\\1$', '12\n12')).to.equal(true);
    expect(testPattern('^b$', 'a\nb\nc')).to.equal(true);
    expect(execPattern('br-([0-9a-f]{12})', 'x br-0123456789ab y')?.[1]).to.equal('0123456789ab');
    expect(execPattern('(?<=id=)(a+)(b*)', `id=${'a'.repeat(10_000)}b`)?.[2]).to.equal('b');
    expect(testPattern('\\p{L}', 'é')).to.equal(true);
  });

  it('the patterns of one attempt share its time, and the attempt is inconclusive, never a verdict', async () => {
    const kind = defineCheck<{ negate: boolean }>({
      name: 'slow',
      summary: '',
      example: '',
      schema: z.strictObject({ negate: z.boolean() }),
      endpoints: () => [],
      describe: () => 'slow',
      mayChange: looksOnly,
      async run({ negate }) {
        await Promise.resolve();
        const matcher = { matches: '^(a+)+$' };
        const { ok } = match(negate ? { not: matcher } : matcher, `${'a'.repeat(80)}!`);
        return pass(String(ok));
      },
    });
    for (const negate of [true, false]) {
      const outcome = await kind.run({ negate }, { timeLeftMs: () => 100 } as ProbeContext);
      expect(outcome.verdict).to.equal('inconclusive');
      expect(outcome.reason).to.match(/^whether \/\^\(a\+\)\+\$\/ matches a text of 81 characters was not decided/);
    }
  });

  it('a budget that is used up decides nothing more', () =>
    withPatternBudget(() => {
      const slow = () => testPattern('^(a+)+$', `${'a'.repeat(80)}!`);
      expect(slow).to.throw(PatternUndecided);
      expect(slow).to.throw(PatternUndecided);
    }, 20));
});

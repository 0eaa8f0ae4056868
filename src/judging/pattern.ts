import { AsyncLocalStorage } from 'node:async_hooks';
import vm from 'node:vm';

/**
 * Time that the patterns of one attempt of a check may take together, ms. While a pattern is tried nothing else happens in the
 * process, so that this is also the longest that an interrupt waits.
 */
export const patternBudgetMs = 2000;

/** A pattern that came to no end in its time: whether it matches is not known. Checks turn it into `inconclusive`. */
export class PatternUndecided extends Error {
  constructor(source: string, length: number, budgetMs: number) {
    super(
      `whether /${source}/ matches a text of ${length} characters was not decided within ${Math.round(budgetMs)} ms: the pattern has repetitions inside repetitions, or next to each other, that fit the same text in very many ways`,
    );
    this.name = 'PatternUndecided';
  }
}

/** JavaScript's syntax, strict (`u`), with `^` and `$` at every line, because much of what is matched is a command's output. */
export function compilePattern(source: string): RegExp {
  return new RegExp(source, 'mu');
}

const budget = new AsyncLocalStorage<{ leftMs: number }>();

/** Runs `body`; all patterns that it tries, also later in its promises, share one budget of time. */
export function withPatternBudget<T>(body: () => T, ms = patternBudgetMs): T {
  return budget.run({ leftMs: ms }, body);
}

// V8 looks for a request to end at every step back of a pattern, so that a script's time limit also ends a pattern in it.
const sandbox = vm.createContext(Object.create(null) as vm.Context);
const execution = new vm.Script('pattern.exec(text)');

/** Repetition without a limit: what a text can match in more than one way. `[*+]` in a class is taken for one, which costs only time. */
const repetition = /[*+]|\{\d+,\}/g;

/** Whether the pattern can go back no more than once over the text for each place that it begins at. */
function isQuick(source: string, text: string): boolean {
  if (text.length > 4096) return false;
  const open = source.match(repetition)?.length ?? 0;
  const bounded = /\{\d+,\d+\}/.test(source);
  return open === 0 ? !bounded : open === 1 && !bounded && !/[?)][*+{]/.test(source);
}

/** The first match of the pattern in the text. Throws `PatternUndecided` where the attempt's time does not suffice. */
export function execPattern(source: string, text: string): RegExpExecArray | null {
  const pattern = compilePattern(source);
  if (isQuick(source, text)) return pattern.exec(text);
  const purse = budget.getStore() ?? { leftMs: patternBudgetMs };
  // vm takes whole milliseconds, at least one.
  const allowed = Math.floor(purse.leftMs);
  if (allowed < 1) throw new PatternUndecided(source, text.length, patternBudgetMs);
  const begin = performance.now();
  sandbox.pattern = pattern;
  sandbox.text = text;
  try {
    return execution.runInContext(sandbox, { timeout: allowed }) as RegExpExecArray | null;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
    throw new PatternUndecided(source, text.length, allowed);
  } finally {
    purse.leftMs -= performance.now() - begin;
    sandbox.pattern = sandbox.text = undefined;
  }
}

/** Whether the pattern is found anywhere in the text. Throws as `execPattern` does. */
export function testPattern(source: string, text: string): boolean {
  return execPattern(source, text) !== null;
}

import type { Outcome } from '../model/verdict.js';
import { describeWanted, failed, findings } from './finding.js';
import { match } from './match.js';
import type { Matcher } from './match.js';
import { fail, pass } from './outcome.js';

/** Entries of one of the kernel's tables, against what is expected of them. */
export interface EntryQuestion<Entry> {
  /** What was looked for: "neighbour entry for 10.0.0.2 on node1". */
  what: string;
  /** Entries that are what was looked for. */
  found: readonly Entry[];
  /** Of how many entries in all; shows that the table could be read. */
  listed: number;
  show: (entry: Entry) => string;
  valuesOf: (entry: Entry) => Readonly<Record<string, unknown>>;
  expect: { absent?: true | undefined; count?: Matcher | undefined };
  /** Properties that one and the same entry must have. */
  wanted: Readonly<Record<string, Matcher | undefined>>;
  /** What is there instead, for entries that were not found. */
  near?: string;
}

/** Whether nothing at all is as expected: so that whoever finds nothing must have been able to find something. */
export function noneWillDo({ absent, count }: EntryQuestion<unknown>['expect']): boolean {
  return absent === true || (count !== undefined && match(count, 0).ok);
}

/** "`what`: 10.0.0.2 on eth0; 10.0.0.3 on eth0; and 4 more" */
function shown<Entry>({ found, show }: EntryQuestion<Entry>): string {
  const more = found.length > 5 ? `; and ${found.length - 5} more` : '';
  return `${found.slice(0, 5).map(show).join('; ')}${more}`;
}

function judgeAbsence<Entry>(question: EntryQuestion<Entry>): Outcome {
  const { what, found } = question;
  if (found.length > 0)
    return fail('present', `there is a ${what}, which must not be there: ${shown(question)}`, {
      expected: 'absent',
      actual: found.map(question.show).join('\n'),
    });
  return none(question);
}

/** Nothing was found where nothing need be, in a table that was read. */
function none<Entry>({ what, listed }: EntryQuestion<Entry>): Outcome {
  return pass(`there is no ${what}, among ${listed} entries`, {
    controls: [{ title: 'the table can be read', held: true, seen: `${listed} entries` }],
  });
}

/**
 * As `judgeEntries`, for entries each of which must be as expected: sessions and leases, of which one that is not as it should
 * be says that something is broken.
 */
export function judgeEachEntry<Entry>(question: EntryQuestion<Entry>): Outcome {
  const { what, found, valuesOf, wanted } = question;
  const some = judgeEntries({ ...question, wanted: {} });
  if (question.expect.absent || some.verdict !== 'pass' || found.length === 0) return some;
  const wrong = found.flatMap((entry) => {
    const list = findings(wanted, valuesOf(entry));
    return list.length === 0 ? [] : [{ entry, list }];
  });
  const [first] = wrong;
  if (first === undefined) return pass(`${what}: ${shown(question)}`);
  const others = wrong.length === 1 ? '' : `, and ${wrong.length - 1} more of ${found.length}`;
  return failed(`${what} (${question.show(first.entry)}${others})`, first.list);
}

/** The one place where entries of a table become a verdict: none must be there, or so many, or one that is as expected. */
export function judgeEntries<Entry>(question: EntryQuestion<Entry>): Outcome {
  const { what, found, valuesOf, expect, wanted, near } = question;
  if (expect.absent) return judgeAbsence(question);
  const counted = match(expect.count ?? { 'at-least': 1 }, found.length);
  if (!counted.ok) {
    const instead = found.length > 0 ? `: ${shown(question)}` : near === undefined ? '' : `; ${near}`;
    return found.length === 0
      ? fail('absent', `there is no ${what}${instead}`, { expected: counted.expected, actual: 'none' })
      : fail('wrong-value', `the number of entries that are a ${what} ${counted.sentence}${instead}`, {
          expected: counted.expected,
          actual: String(found.length),
        });
  }
  const ranked = found
    .map((entry) => ({ entry, wrong: findings(wanted, valuesOf(entry)) }))
    .sort((a, b) => a.wrong.length - b.wrong.length);
  const best = ranked[0];
  if (best === undefined) return none(question);
  if (best.wrong.length > 0) return failed(`${what} (${question.show(best.entry)})`, best.wrong);
  const asked = describeWanted(wanted);
  return pass(`${what}: ${asked.length === 0 ? shown(question) : question.show(best.entry)}`);
}

import { formatDuration } from '../model/duration.js';
import { code, plain } from '../report/markdown.js';
import { oneLine } from '../report/terminal-text.js';
import { verdictSign } from '../report/wording.js';
import {
  countFates,
  shortfall,
  unexplained,
  type MutantResult,
  type MutateResult,
  type SubjectResult,
  type Witness,
} from './subject.js';

export interface MutationPage {
  result: MutateResult;
  /** The command that made the page. */
  command: string;
  /** Netrig's version and kernel, for the line on where the results are from. */
  source: string;
  /** The address of a line of a scenario file from the page. */
  link: (file: string, line: number) => string;
}

/** Checks of one mutation that a row names; the rest are counted. */
const witnessesShown = 3;

function witnessText(witness: Witness): string {
  return `${verdictSign[witness.verdict]} ${witness.title}${witness.cause === null ? '' : ` (${witness.cause})`}`;
}

function witnesses(mutant: MutantResult, link: (line: number) => string): string {
  const shown = mutant.noticedBy
    .slice(0, witnessesShown)
    .map((one) => `[${plain(witnessText(one))}](${link(one.line)})`);
  const more = mutant.noticedBy.length - shown.length;
  return [...shown, ...(more > 0 ? [`${more} more`] : [])].join('<br>');
}

function place(subject: SubjectResult, mutant: MutantResult, page: MutationPage): string {
  return `[${mutant.line}](${page.link(subject.file, mutant.line)})`;
}

/** What a mutation does, with its code spans kept and all else as plain text. */
function whatText(what: string): string {
  return what
    .split('`')
    .map((part, index) =>
      index % 2 === 1 ? code(part) : `${part.startsWith(' ') ? ' ' : ''}${plain(part)}${part.endsWith(' ') ? ' ' : ''}`,
    )
    .join('');
}

function table(heading: readonly string[], rows: readonly (readonly string[])[]): string[] {
  if (rows.length === 0) return [];
  return [
    `| ${heading.join(' | ')} |`,
    `|${heading.map(() => ' --- |').join('')}`,
    ...rows.map((row) => `| ${row.join(' | ')} |`),
    '',
  ];
}

function section(subject: SubjectResult, page: MutationPage): string[] {
  const { original, mutants } = subject;
  const lines = [
    `## ${plain(subject.scenario)}`,
    '',
    `${plain(subject.title)} ([${plain(subject.file)}](${page.link(subject.file, 1)}))`,
    '',
  ];
  if (original.verdict !== 'pass') {
    return [
      ...lines,
      original.verdict === 'skipped'
        ? `Skipped here, so not mutated: ${plain(original.reason)}`
        : `Not mutated: the scenario itself does not pass. ${plain(original.reason)}`,
      '',
    ];
  }
  const counts = countFates(mutants);
  lines.push(
    `${mutants.length} of ${subject.possible} mutations tried: ${counts.noticed} noticed by a check, ${counts.stopped} ended by a step that failed before any check could tell, ` +
      `${counts.survived} noticed by nobody, ${counts.refused} refused by validation.`,
    '',
  );
  const of = (fate: MutantResult['fate']): MutantResult[] =>
    mutants.filter((mutant) => mutant.fate === fate).sort((a, b) => a.line - b.line);
  lines.push(
    ...table(
      ['Line', 'Mutation', 'Checks that noticed'],
      of('noticed').map((one) => [
        place(subject, one, page),
        whatText(one.what),
        witnesses(one, (line) => page.link(subject.file, line)),
      ]),
    ),
  );
  lines.push(
    ...table(
      ['Line', 'Mutation nobody noticed', 'Why that is right'],
      of('survived').map((one) => [
        place(subject, one, page),
        whatText(one.what),
        one.accepted === null ? '**no reason given**' : plain(one.accepted),
      ]),
    ),
  );
  lines.push(
    ...table(
      ['Line', 'Mutation that a step noticed', 'How'],
      of('stopped').map((one) => [place(subject, one, page), whatText(one.what), plain(clip(one.reason))]),
    ),
  );
  lines.push(
    ...table(
      ['Line', 'Mutation refused by validation', 'Mistake'],
      of('refused').map((one) => [place(subject, one, page), whatText(one.what), plain(clip(one.reason))]),
    ),
  );
  return lines;
}

function clip(text: string): string {
  const line = oneLine(text);
  return line.length > 160 ? `${line.slice(0, 159)}…` : line;
}

/** The page of mutations: a table over all scenarios, then a section for each. */
export function mutationMarkdown(page: MutationPage): string {
  const { result } = page;
  const heading = [
    'Scenario',
    'Mutations tried',
    'Noticed by a check',
    'Ended by a step',
    'Noticed by nobody',
    'of these with a reason',
    'Refused by validation',
  ];
  const rows = result.subjects.map((subject) => {
    const counts = countFates(subject.mutants);
    const name = `[${plain(subject.scenario)}](#${subject.scenario
      .toLowerCase()
      .replace(/[^a-z0-9 _-]/g, '')
      .replaceAll(' ', '-')})`;
    if (subject.original.verdict !== 'pass')
      return [name, subject.original.verdict === 'skipped' ? 'skipped here' : 'does not pass', '', '', '', '', ''];
    return [
      name,
      String(subject.mutants.length),
      ...[
        counts.noticed,
        counts.stopped,
        counts.survived,
        counts.survived - unexplained(subject.mutants).length,
        counts.refused,
      ].map(String),
    ];
  });
  return [
    '# What the checks notice',
    '',
    'Each row of this page is one run of a scenario on fresh hosts with one thing left out or altered: a step, a line of a script or file, an option, an address, a port. A check that goes red has noticed it. What nobody noticed stands here too, with the reason where the scenario gives one (a comment `# survives: REASON`).',
    '',
    `Made by ${code(page.command)}. ${page.source}`,
    '',
    ...table(heading, rows),
    ...result.subjects.flatMap((subject) => section(subject, page)),
  ]
    .join('\n')
    .replace(/\n+$/, '\n');
}

/** One line of progress for a mutant. */
export function mutantLine(subject: SubjectResult, mutant: MutantResult): string {
  const how = { noticed: 'noticed', stopped: 'stopped', survived: 'survived', refused: 'refused' }[mutant.fate].padEnd(
    8,
  );
  const [first] = mutant.noticedBy;
  const more = mutant.noticedBy.length > 1 ? ` and ${mutant.noticedBy.length - 1} more` : '';
  const by = first
    ? `by "${first.title}" (${first.cause ?? first.verdict}, line ${first.line})${more}`
    : mutant.fate === 'survived'
      ? mutant.accepted === null
        ? 'by nobody'
        : `by nobody: ${mutant.accepted}`
      : clip(mutant.reason);
  const took = mutant.durationMs > 0 ? `, ${formatDuration(mutant.durationMs)}` : '';
  return `${how}  ${subject.file}:${mutant.line}  ${oneLine(mutant.what)}\n          ${oneLine(by)}${took}`;
}

/** The end of the run, for the terminal: a line a scenario, then all survivors without a reason. */
export function mutationSummary(result: MutateResult): string {
  const lines: string[] = [];
  for (const subject of result.subjects) {
    const { verdict, reason, durationMs } = subject.original;
    if (verdict !== 'pass') {
      lines.push(
        `${subject.scenario}: ${verdict === 'skipped' ? 'skipped, not mutated' : `does not pass itself (${verdict}), not mutated`}: ${clip(reason)}`,
      );
      continue;
    }
    const counts = countFates(subject.mutants);
    const missing = shortfall(subject, result.untilNoticed);
    lines.push(
      `${subject.scenario}: ${subject.mutants.length} of ${subject.possible} mutations tried: ${counts.noticed} noticed, ${counts.stopped} stopped by a step, ${counts.survived} survived, ${counts.refused} refused; the scenario itself took ${formatDuration(durationMs)}${missing === null ? '' : `  ✗ ${missing}`}`,
    );
  }
  const survivors = result.subjects.flatMap((subject) =>
    unexplained(subject.mutants).map((mutant) => `  ${subject.file}:${mutant.line}  ${oneLine(mutant.what)}`),
  );
  if (survivors.length > 0) lines.push('', 'Noticed by nobody, and no reason given:', ...survivors);
  return `${lines.join('\n')}\n`;
}

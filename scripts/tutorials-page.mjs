// npm run tutorials [-- RUN…]: writes docs/tutorials.md, which says of every claim of the five tutorials on which engine it
// holds and what is true instead, from `netrig coverage --json` and from what scenarios/items.yaml says of the claims.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import semver from 'semver';
import { root } from './setup.mjs';
import { coverageLine } from '../dist/src/report/coverage.js';
import { noEngine, shortVersion } from '../dist/src/report/engine-version.js';
import { plain } from '../dist/src/report/markdown.js';
import { loadCatalogue } from '../dist/src/scenario/catalogue.js';
import { formatDiagnostics } from '../dist/src/scenario/diagnostic.js';

/**
 * What is the matter with a claim: `wrong` as stated, `old` (true for some versions only), `typo` (misprinted), `inc`
 * (inconsistent, incomplete, or dependent on an order), `img` (its outcome stood in a picture that is lost).
 */
export const statusWord = {
  ok: '',
  wrong: 'wrong',
  old: 'outdated',
  typo: 'misprint',
  inc: 'incomplete',
  img: 'picture lost',
};

/** Titles of checks that a row names; the scenario has the rest. */
const checksShown = 3;
/** The part of the catalogue that holds the faults: they are no claims of a tutorial. */
const faultsPart = 'F';

/** The catalogue with what is said of each claim, and a sentence for each claim that says too little or nonsense. */
export function tutorialsOf(catalogue) {
  const problems = [];
  const tutorials = catalogue.parts.map((part) => ({
    ...part,
    sections: part.sections.map((section) => ({
      ...section,
      claims: section.items.map((item) => claimOf(item, problems)),
    })),
  }));
  return { tutorials, problems };
}

function claimOf({ id, says, more }, problems) {
  const status = [more.status ?? 'ok'].flat();
  for (const key of Object.keys(more))
    if (!['says', 'status', 'holds', 'truth'].includes(key)) problems.push(`${id} has an unknown key ${key}`);
  for (const word of status) if (!(word in statusWord)) problems.push(`${id} has an unknown status ${word}`);
  const doubtful = status.some((word) => word === 'wrong' || word === 'old' || word === 'typo');
  if (doubtful && !more.truth) problems.push(`${id} is ${status.join(', ')}: say by \`truth\` what is so`);
  if (status.includes('old') && more.holds === undefined)
    problems.push(`${id} is old: say by \`holds\` for which engines it is true`);
  if (typeof more.holds === 'string' && semver.validRange(more.holds) === null)
    problems.push(`${id}: expected a range of engine versions such as "<28", got ${JSON.stringify(more.holds)}`);
  const wrongAsPrinted = status.includes('wrong') || status.includes('typo');
  return { id, says, status, holds: more.holds ?? !wrongAsPrinted, truth: (more.truth ?? '').trim() };
}

function holdsOn(claim, engine) {
  if (typeof claim.holds === 'boolean') return claim.holds;
  const version = semver.coerce(engine);
  return version !== null && semver.satisfies(version, claim.holds);
}

/** Whether a claim holds on an engine. Its checks say what is true there: only when they pass is anything known of the claim. */
function cell(claim, item, engine) {
  const verdict = item?.verdicts[engine] ?? 'skipped';
  if (verdict === 'skipped') return '–';
  if (verdict !== 'pass') return '?';
  return holdsOn(claim, engine) ? '✓' : '✗';
}

function shownBy(checks, link) {
  const decided = checks.filter((check) => Object.values(check.verdicts).some((verdict) => verdict !== 'skipped'));
  const named = (decided.length > 0 ? decided : checks)
    .slice(0, checksShown)
    .map((check) => `[${plain(check.title)}](${link(check.file, check.line)})`);
  const more = checks.length - named.length;
  return `${named.join('; ')}${more > 0 ? `; and ${more} more` : ''}`;
}

function lastCell(claim, item, link) {
  const parts = [claim.truth === '' ? '' : plain(claim.truth.replace(/([^.?!])$/, '$1.'))];
  if (item === undefined || item.state === 'missing') parts.push('*No lab.*');
  else if (item.state === 'uncovered') parts.push(`*No lab: ${plain(item.reason)}*`);
  else parts.push(`*Lab:* ${shownBy(item.checks, link)}`);
  if (item?.state === 'undecided')
    parts.push(`*Not decided: ${plain(item.checks.find((check) => check.reason !== '')?.reason ?? '')}*`);
  return parts.filter((part) => part !== '').join(' ');
}

function headLines(tutorials, items) {
  const faults = new Set(tutorials.filter(({ id }) => id === faultsPart).flatMap(idsOf));
  const all = [...items.values()];
  const lines = [`- ${coverageLine(all.filter((item) => !faults.has(item.id)))}.`];
  if (faults.size > 0)
    lines.push(
      `- ${coverageLine(
        all.filter((item) => faults.has(item.id)),
        'faults',
      )}.`,
    );
  const claims = tutorials.filter(({ id }) => id !== faultsPart).flatMap(claimsOf);
  const doubtful = ['wrong', 'old', 'typo'].map((status) => {
    const some = claims.filter((claim) => claim.status.includes(status));
    const settled = some.filter((claim) => items.get(claim.id)?.state === 'settled').length;
    return `${settled} of ${some.length} ${status === 'typo' ? 'misprinted' : statusWord[status]}`;
  });
  return [...lines, `- Settled by a lab are ${doubtful.join(', ')} claims.`, ''];
}

const claimsOf = (tutorial) => tutorial.sections.flatMap((section) => section.claims);
const idsOf = (tutorial) => claimsOf(tutorial).map((claim) => claim.id);

function sectionLines(section, engines, items, link) {
  const columns = engines.filter(
    (engine) =>
      engine !== noEngine || section.claims.some((claim) => items.get(claim.id)?.verdicts[noEngine] !== undefined),
  );
  const heads = columns.map((engine) => `${engine === noEngine ? 'no engine' : plain(engine)} | `).join('');
  const rows = section.claims.map((claim) => {
    const item = items.get(claim.id);
    const words = claim.status.map((status) => statusWord[status]).filter((word) => word !== '');
    const says = `${plain(claim.says)}${words.length > 0 ? ` (${words.join(', ')})` : ''}`;
    const cells = columns.map((engine) => `${cell(claim, item, engine)} | `).join('');
    return `| ${claim.id} | ${says} | ${cells}${lastCell(claim, item, link)} |`;
  });
  return [
    `### ${plain(section.title)}`,
    '',
    `| item | claim | ${heads}what is true, and what shows it |`,
    `|---|---|${columns.map(() => ':-:|').join('')}---|`,
    ...rows,
    '',
  ];
}

/** The page of what every claim of the tutorials is worth, from what `netrig coverage --json` says. */
export function tutorialsMarkdown({ tutorials, coverage, source, link }) {
  const items = new Map(coverage.items.map((item) => [item.id, item]));
  return [
    '# What the tutorials claim, and what holds',
    '',
    'Generated by `npm run tutorials` from records of runs and from `scenarios/items.yaml`. Do not edit.',
    '',
    plain(source),
    '',
    'Signs: ✓ the claim holds on that engine, shown by a lab. ✗ it does not, shown by a lab. ? a lab did not come out as its scenario says, so nothing is known. – not shown there: the item has no lab, or its lab is not for that engine or this machine. A claim that is wrong, outdated or misprinted says so after its text; the last column says what is true instead, and which checks show it.',
    '',
    ...headLines(tutorials, items),
    ...tutorials.flatMap((tutorial) => [
      `## ${plain(tutorial.title)} (${tutorial.id})`,
      '',
      ...tutorial.sections.flatMap((section) => sectionLines(section, coverage.engines, items, link)),
    ]),
  ].join('\n');
}

function sourceLine({ runs, engines }) {
  const once = (values) => [...new Set(values)].filter((value) => value !== '');
  const days = once(runs.map((run) => run.startedAt?.slice(0, 10) ?? '')).sort();
  const kernels = once(runs.map((run) => shortVersion(run.kernel)));
  const named = engines.filter((engine) => engine !== noEngine).join(', ') || 'none';
  return `Results of ${runs.length === 1 ? 'one run' : `${runs.length} runs`} of ${days.join(', ')} with netrig ${once(runs.map((run) => run.netrig)).join(', ')} on kernel ${kernels.join(', ')}; engines as they state their versions themselves: ${named}.`;
}

function main() {
  const scenarios = join(root, 'scenarios');
  const loaded = loadCatalogue(scenarios);
  const { tutorials, problems } = tutorialsOf(loaded.catalogue);
  if (loaded.diagnostics.length + problems.length > 0) {
    process.stderr.write(`${[formatDiagnostics(loaded.diagnostics), ...problems].filter(Boolean).join('\n')}\n`);
    return 2;
  }
  const cli = join(root, 'dist', 'program', 'cli', 'main.js');
  const ended = spawnSync(process.execPath, [cli, 'coverage', '--json', ...process.argv.slice(2)], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 256 * 1024 * 1024,
  });
  if (ended.status !== 0 && ended.status !== 1) return ended.status ?? 3;
  const coverage = JSON.parse(ended.stdout);
  const page = join(root, 'docs', 'tutorials.md');
  const link = (file, line) =>
    `${relative(dirname(page), join(root, file)).split(sep).map(encodeURIComponent).join('/')}#L${line}`;
  writeFileSync(page, tutorialsMarkdown({ tutorials, coverage, source: sourceLine(coverage), link }));
  process.stdout.write('docs/tutorials.md\n');
  return ended.status;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = main();

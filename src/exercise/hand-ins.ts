import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { messageOf, NetrigError } from '../errors.js';
import { whatItHas } from '../language/wording.js';
import { loadScenarioText } from '../scenario/load.js';
import { maxFileBytes } from '../scenario/source.js';
import type { StepItem } from '../scenario/scenario.js';
import type { StepKind } from '../steps/kind.js';
import { runStep } from '../steps/run.js';
import type { Exercise } from './exercise.js';

/** An answer that was handed in as files. */
export interface HandIn {
  student: string;
  /** The file or folder, relative to the folder of all. */
  source: string;
  /** What the student does, in order. */
  steps: StepItem[];
  /** All that the student wrote, to be looked through for values of others. */
  text: string;
  /** Why it cannot be graded as it is; empty: it can. */
  problems: string[];
}

/** Kinds of steps that an answer may have: others reach beyond the hosts (files of the teacher, faults of the wires). */
const allowedKinds = new Set(['run', 'start', 'write']);

const scriptName = 'solution.sh';
const scenarioFile = /\.ya?ml$/i;
/** Names of students, in grade sheets and as names of folders. */
const studentName = /^[\p{L}\p{N}][\p{L}\p{N} ._@+-]{0,79}$/u;

export interface ReadOptions {
  /** The exercise with the values of a student. */
  of(student: string): Exercise;
  /** Whether somebody of this name belongs to those who were asked; default: everybody. */
  knows?: (student: string) => boolean;
  /** What one script may take, ms. */
  timeoutMs: number;
}

/**
 * The answers of a folder, sorted by student: for each a folder with a scenario file, with `HOST/solution.sh` or, where the
 * exercise has one host, with `solution.sh`; or a scenario file alone, whose name is the student's. Files of other names are
 * left alone.
 *
 * @throws NETRIG_USAGE when the folder cannot be read or holds no answer.
 */
export function readHandIns(folder: string, options: ReadOptions): HandIn[] {
  let entries;
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    throw new NetrigError('NETRIG_USAGE', `The folder of hand-ins cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
  const found = new Map<string, HandIn>();
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const student = entry.isDirectory() ? entry.name : entry.name.replace(scenarioFile, '');
    // A link may lead anywhere on this machine.
    if (entry.name.startsWith('.') || !(entry.isDirectory() || (entry.isFile() && scenarioFile.test(entry.name))))
      continue;
    const one = readHandIn(folder, entry.name, student, options);
    const other = found.get(student);
    if (other) other.problems.push(`there are two of this student: ${other.source} and ${one.source}`);
    else found.set(student, one);
  }
  if (found.size > 0) return [...found.values()];
  throw new NetrigError('NETRIG_USAGE', `${folder} holds no hand-in.`, {
    hint: `Put one folder a student in it, with HOST/${scriptName} or a scenario file; docs/teaching.md says more.`,
  });
}

function readHandIn(folder: string, name: string, student: string, options: ReadOptions): HandIn {
  const handIn: HandIn = { student, source: name, steps: [], text: '', problems: [] };
  if (!studentName.test(student)) handIn.problems.push('the name is none that a sheet can hold');
  if (options.knows?.(student) === false)
    handIn.problems.push(`the roster of the class has no ${student}, for whom no values were drawn`);
  const at = path.join(folder, name);
  const files =
    scenarioFile.test(name) && statSync(at).isFile() ? [name] : listed(at).map((one) => path.join(name, one));
  const read = (file: string): string | null => {
    try {
      const { size } = statSync(path.join(folder, file));
      if (size > maxFileBytes) throw new Error('it is larger than 1 MiB');
      const text = readFileSync(path.join(folder, file), 'utf8');
      handIn.text += `${text}\n`;
      return text;
    } catch (error) {
      handIn.problems.push(`${file} cannot be read: ${messageOf(error)}`);
      return null;
    }
  };
  const exercise = options.of(student);
  const scenarios = files.filter((file) => scenarioFile.test(file));
  const scripts = files.filter((file) => path.basename(file) === scriptName);
  if (scenarios.length + Math.min(1, scripts.length) !== 1)
    handIn.problems.push(
      scenarios.length + scripts.length === 0
        ? `there is neither a scenario file nor HOST/${scriptName}`
        : `there is more than one answer: ${[...scenarios, ...scripts].join(', ')}`,
    );
  else if (scenarios[0] !== undefined) {
    const text = read(scenarios[0]);
    if (text !== null) addScenario(handIn, text, besideNothing(path.resolve(folder, scenarios[0])), exercise);
  } else for (const script of scripts) addScript(handIn, script, read(script), exercise, options.timeoutMs);
  handIn.steps.forEach((step, index) => (step.id = `h${String(index + 1).padStart(2, '0')}`));
  return handIn;
}

/**
 * A name that cannot be there, since it lies below a file: a text that is read by it takes nothing of its neighbours, and what its
 * hosts and its set-up name is not looked for. That lies beside the exercise, whose hosts and set-up are the ones that count.
 */
function besideNothing(file: string): string {
  return path.join(file, path.basename(file));
}

/** Files of a student's folder and of the folders in it; links are left alone. */
function listed(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      if (entry.isFile()) return [entry.name];
      if (!entry.isDirectory()) return [];
      return readdirSync(path.join(folder, entry.name), { withFileTypes: true })
        .filter((below) => below.isFile() && below.name === scriptName)
        .map((below) => path.join(entry.name, below.name));
    });
}

/** Of a scenario file its steps of the solution; hosts, set-up and checks are those of the exercise. */
function addScenario(handIn: HandIn, text: string, file: string, exercise: Exercise): void {
  const { scenarios, diagnostics } = loadScenarioText(text, file, {
    environment: null,
    catalogue: null,
    parameters: exercise.values,
  });
  const mistake = diagnostics[0];
  if (mistake) {
    handIn.problems.push(`line ${mistake.line}: ${mistake.message}`);
    return;
  }
  const steps = (scenarios[0]?.items ?? []).flatMap((item) =>
    item.kind === 'step' && item.role === 'solution' ? [item] : [],
  );
  if (steps.length === 0) handIn.problems.push('it has no step with `role: solution`');
  const hosts = exercise.scenario.hosts.map(({ name }) => name);
  for (const step of steps) {
    const strange = step.on.find((host) => !hosts.includes(host));
    if (strange !== undefined)
      handIn.problems.push(`line ${step.source.line}: the exercise has no host ${strange}${whatItHas(strange, hosts)}`);
    if (!allowedKinds.has(step.type.name))
      handIn.problems.push(
        `line ${step.source.line}: a hand-in has steps of ${[...allowedKinds].join(', ')}, and this one is of ${step.type.name}`,
      );
  }
  handIn.steps = steps.map((step) => ({ ...step, stage: null }));
}

/** As a shell reads it: editors of Windows end lines by CR LF, and some begin a file with a byte order mark. */
function unixText(text: string): string {
  return text.replace(/^\ufeff/, '').replaceAll('\r\n', '\n');
}

function addScript(handIn: HandIn, file: string, text: string | null, exercise: Exercise, timeoutMs: number): void {
  const hosts = exercise.scenario.hosts.map(({ name }) => name);
  const [, host = hosts.length === 1 ? hosts[0]! : ''] = file.split(path.sep).slice(0, -1);
  if (!hosts.includes(host)) {
    handIn.problems.push(
      host === ''
        ? `${scriptName} of which host? Put it into a folder of the host’s name: ${hosts.join(', ')}`
        : `${file}: the exercise has no host ${host}${whatItHas(host, hosts)}`,
    );
    return;
  }
  if (text === null) return;
  handIn.steps.push({
    kind: 'step',
    id: '',
    title: `${scriptName} on ${host}`,
    type: runStep as unknown as StepKind,
    // From a file, so that what it runs does not read the rest of it as input.
    spec: { run: `cat >/root/${scriptName} && bash /root/${scriptName} </dev/null`, stdin: unixText(text) },
    on: [host],
    folders: { from: path.dirname(file), root: path.dirname(file) },
    source: { line: 1, column: 1, file },
    when: null,
    timeoutMs,
    covers: [],
    text: '',
    last: false,
    late: null,
    role: 'solution',
    stage: null,
  });
}

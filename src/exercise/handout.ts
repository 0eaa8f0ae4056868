import { readFileSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { stringify } from 'yaml';
import { messageOf, NetrigError } from '../errors.js';
import type { FeedbackLevel } from '../model/feedback.js';
import { locateOwn } from '../language/own-path.js';
import { composeScenario } from '../scenario/compose.js';
import { formatDiagnostics, loadScenarioText } from '../scenario/load.js';
import type { ParameterValues } from '../scenario/parameters.js';
import { isDataMap, readSource, type Data } from '../scenario/source.js';
import { exerciseOf, type Exercise } from './exercise.js';

/** An exercise as students take it home. */
export interface Handout {
  /** The scenario file: set-up and the tasks that are shown, without solution and without comments. */
  scenario: string;
  /** What is to be done, how to begin, and what to hand in; Markdown. */
  readme: string;
  /** Files beside the scenario that its set-up needs: where they are, and where they go, relative to the handout. */
  files: { from: string; to: string }[];
}

export interface HandoutSource {
  /** The text of the exercise's file, and its absolute path. */
  text: string;
  file: string;
  /** With the values of the student, where each has other ones. */
  exercise: Exercise;
  /** What the file tells of a task that did not pass; default: what the exercise says. */
  feedback?: FeedbackLevel;
  /** Written into the handout in place of the parameters; `null`: it keeps them, and everybody has the example's. */
  values: ParameterValues | null;
}

type Map = Record<string, Data>;

/** What a handout has nothing of: it may tell the solution, or belongs to the course that the exercise is taken from. */
const leftOut = new Set(['description', 'shared', 'extends']);

function refused(message: string, hint: string): NetrigError {
  return new NetrigError('NETRIG_USAGE', message, { hint });
}

/** The exercise put together from all its files. */
function composedData(text: string, file: string): Map {
  const { source } = composeScenario(readSource(text, file), file);
  if (source.usable && isDataMap(source.data)) return structuredClone(source.data) as Map;
  throw new NetrigError('NETRIG_SCENARIO_INVALID', formatDiagnostics(source.diagnostics, { color: false }));
}

/** Steps of the set-up, and the graded checks that students see from the start. */
function isHandedOut(item: Data, exercise: Exercise): boolean {
  if (!isDataMap(item)) return false;
  if (!('check' in item)) return item['role'] !== 'solution';
  return item['points'] !== undefined && (item['shown'] ?? 'always') === 'always' && exercise.points > 0;
}

function withoutCourse(item: Data): Data {
  if (!isDataMap(item)) return item;
  const { covers: _covers, ...rest } = item;
  return rest;
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw refused(`${file} cannot be read: ${messageOf(error)}.`, 'The exercise’s text is to be there.');
  }
}

/** The exercise's own keys, its text in them, and what is told of its tasks. */
function exerciseKeys(data: Data, file: string, feedback: FeedbackLevel): Data {
  if (!isDataMap(data)) return data;
  const { text } = data;
  const own = isDataMap(text) ? readText(path.join(path.dirname(file), String(text['file']))) : text!;
  return { ...data, text: own, feedback, handout: true };
}

/** Declared values that nothing names any more would be mistakes. */
function usedOnly(declared: Data | undefined, rest: Map): Data | undefined {
  if (!isDataMap(declared)) return declared;
  const text = JSON.stringify(rest);
  const used = Object.entries(declared).filter(([name]) => text.includes(`\${${name}`));
  return used.length === 0 ? undefined : Object.fromEntries(used);
}

function handedOutData({ text, file, exercise, feedback = exercise.feedback, values }: HandoutSource): Map {
  const { parameters, vars, steps, exercise: keys, ...top } = composedData(text, file);
  const kept = Object.fromEntries(Object.entries(top).filter(([key]) => !leftOut.has(key) && !key.startsWith('x-')));
  const items = (Array.isArray(steps) ? steps : []).filter((item) => isHandedOut(item, exercise)).map(withoutCourse);
  const rest: Map = { ...kept, exercise: exerciseKeys(keys!, file, feedback), steps: items };
  const all: Map = { ...(isDataMap(vars) ? vars : {}), ...(values ?? {}) };
  const own = usedOnly(all, { ...rest, vars: all });
  const drawn = values === null ? usedOnly(parameters, { ...rest, vars: all }) : undefined;
  const { scenario, title, exercise: first, ...others } = rest;
  return {
    scenario: scenario!,
    ...(title === undefined ? {} : { title }),
    exercise: first!,
    ...(drawn === undefined ? {} : { parameters: drawn }),
    ...(own === undefined ? {} : { vars: own }),
    ...others,
  };
}

/** Files that the set-up copies or hosts have, at the same places below the handout as below the exercise. */
function filesOf({ scenario }: Exercise): Handout['files'] {
  const at = (from: string): string => path.relative(realpathSync(path.dirname(scenario.file)), from);
  const copied = scenario.items.flatMap((item) => {
    if (item.kind !== 'step' || item.type.name !== 'copy' || item.role === 'solution') return [];
    const { copy } = item.spec as { copy: string };
    const found = locateOwn(copy, item.folders);
    if ('message' in found) throw refused(`${copy}: ${found.message}.`, 'The file is to be there.');
    return [{ from: found.path, to: at(path.resolve(item.folders.from, copy)) }];
  });
  const given = scenario.hosts.flatMap(({ files }) => files.map(({ from }) => ({ from, to: at(from) })));
  const all = new globalThis.Map([...copied, ...given].map((one) => [one.to, one]));
  return [...all.values()];
}

function readmeOf({ title, text, checks, stages }: Exercise, name: string, hosts: readonly string[]): string {
  const points = checks.filter(({ shown }) => shown === 'always');
  const tasks = points.map(({ title: task, points: worth, guard }) =>
    guard ? `- ${task} (must stay so; costs ${worth} where it does not)` : `- ${task} (${worth})`,
  );
  // Behind everything else only the last stage can stand; where an answer is graded, all of it is done, of whatever stage.
  const last = stages.at(-1);
  const stage = last === undefined ? '' : `\n    stage: ${last.name}`;
  return `# ${title}

${text.trim()}

## Tasks

${tasks.join('\n')}

## How to work on it

The lab needs netrig, on a Debian machine: get it as your teacher says. Where it is a clone of the project, \`npm run quickstart\` in
the clone installs it, and \`npm install --global .\` there makes \`netrig\` a command in every folder.

\`netrig play ${name}\` opens it in a browser, with terminals, tasks and hints. Without a browser:

\`\`\`sh
netrig up ${name}     # the lab, as you find it
netrig ssh ${hosts[0]}    # … and work on it
netrig check          # how far you are
netrig down
\`\`\`

## What to hand in

A folder of your name with a script for each host that you changed, \`HOST/solution.sh\` (hosts: ${hosts.join(', ')}), which makes all of
your changes on a lab that was just brought up; or this scenario file, with your changes as steps behind its own:

\`\`\`yaml
  - role: solution${stage}
    on: ${hosts[0]}
    run: the commands
\`\`\`

What counts is what the exercise's own checks see after that. There may be more of them than here.
`;
}

/**
 * An exercise for students to work on where they are: without its solution, its hidden tasks, and whatever else may tell them.
 *
 * @throws NETRIG_USAGE where something of it needs the solution; NETRIG_SCENARIO_INVALID for a file with mistakes.
 */
export function handoutOf(source: HandoutSource): Handout {
  const { file, exercise, values } = source;
  const name = path.basename(file);
  const body = stringify(handedOutData(source), { lineWidth: 120, aliasDuplicateObjects: false });
  const scenario = `# ${exercise.title.replace(/\s+/g, ' ')}: README.md says what to do.\n${body}`;
  const options = { catalogue: null, environment: null, ...(values === null ? {} : { parameters: values }) };
  const { scenarios, diagnostics } = loadScenarioText(scenario, file, options);
  const handedOut = scenarios[0] ? exerciseOf(scenarios[0]) : null;
  if (!handedOut)
    throw refused(
      `${name} cannot be handed out without its solution: ${diagnostics.map(({ message }) => message).join('; ')}.`,
      'What a shown task looks at must not come from a step of the solution.',
    );
  const hosts = handedOut.scenario.hosts.map((host) => host.name);
  return { scenario, readme: readmeOf(handedOut, name, hosts), files: filesOf(handedOut) };
}

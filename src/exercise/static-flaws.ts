import { loadScenarioText } from '../scenario/load.js';
import { exampleValues } from '../scenario/parameters.js';
import type { Exercise } from './exercise.js';
import type { Flaw } from './proof.js';

/** Draws that are tried: enough to meet what one value in ten does not fit. */
const drawsTried = 24;

/** Flaws that the file alone shows, without any lab. `text`: the file's. */
export function staticFlaws(exercise: Exercise, text: string): Flaw[] {
  return [...pointFlaws(exercise), ...solutionFlaws(exercise), ...stageFlaws(exercise), ...valueFlaws(exercise, text)];
}

function pointFlaws({ points, checks }: Exercise): Flaw[] {
  if (points > 0) return [];
  const tasks = checks.filter((check) => !check.guard).length;
  return [
    {
      name: 'no-points',
      line: null,
      sentence:
        tasks === 0
          ? `the exercise has no task: none of its checks has points${checks.length > 0 ? ' but guards' : ''}`
          : 'the points of all tasks sum to 0',
      mend: 'give `points` to the checks that show that the work is done',
    },
  ];
}

function solutionFlaws({ scenario, stages }: Exercise): Flaw[] {
  const solution = scenario.items.flatMap((item) => (item.kind === 'step' && item.role === 'solution' ? [item] : []));
  const flaw = (sentence: string, mend: string): Flaw => ({ name: 'no-solution', line: null, sentence, mend });
  if (solution.length === 0)
    return [
      flaw(
        'no step has `role: solution`: nobody knows whether it can be solved',
        'mark the steps that the student is to find',
      ),
    ];
  return stages
    .filter(({ name }) => !solution.some((step) => step.stage === name))
    .map(({ name }) => flaw(`stage ${name} has no step of the solution`, `add one with \`stage: ${name}\``));
}

function stageFlaws({ stages, checks }: Exercise): Flaw[] {
  return stages
    .filter(({ name }) => !checks.some((check) => check.stage === name && !check.guard))
    .map(({ name }) => ({
      name: 'empty-stage',
      line: null,
      sentence: `stage ${name} has no task`,
      mend: `give a check \`points\` and \`stage: ${name}\`, or take the stage out`,
    }));
}

/** Values are other ones for each student: the file must be sound with all of them. */
function valueFlaws(exercise: Exercise, text: string): Flaw[] {
  const { scenario, parameters } = exercise;
  if (Object.keys(parameters).length === 0) return [];
  for (let draw = 0; draw < drawsTried; draw += 1) {
    const values = exampleValues(parameters, scenario.name, `draw ${draw}`);
    const mistake = loadScenarioText(text, scenario.file, {
      parameters: values,
      matrix: Object.fromEntries(Object.entries(scenario.matrix).map(([name, value]) => [name, [value]])),
    }).diagnostics[0];
    if (mistake === undefined) continue;
    const with_ = Object.entries(values).map(([name, value]) => `${name} ${String(value)}`);
    return [
      {
        name: 'values-do-not-fit',
        line: mistake.line,
        sentence: `with ${with_.join(', ')} the file has a mistake: ${mistake.message}`,
        mend: 'narrow the range of the parameter, or leave values out by `except`',
      },
    ];
  }
  return [];
}

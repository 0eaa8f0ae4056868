import type { z } from 'zod';
import { findHostImageRow, hostImageRows } from '../../images/host-image.js';
import { shown, suggestion } from '../../language/wording.js';
import type { Path } from '../diagnostic.js';
import { check as checkShape } from '../issues.js';
import { exampleValues } from '../parameters.js';
import type { ParameterDeclarations, ParameterValues } from '../parameters.js';
import { zTop } from '../schema.js';
import type { Top } from '../schema.js';
import type { DataMap, ScenarioSource } from '../source.js';
import type { Scalar } from '../variables.js';
import { limits, withinLimit } from './limits.js';
import type { Report } from './mistakes.js';

export interface DeclaredVariables {
  vars: Map<string, Scalar>;
  /** One map of values for each scenario that the file makes. */
  combinations: Map<string, Scalar>[];
  matrixNames: string[];
  /** Of `vars` those that are secret. */
  secrets: Map<string, string>;
  /** Of `vars` those that are drawn for each student. */
  parameters: { declared: ParameterDeclarations; values: ParameterValues };
  /** False where declarations have mistakes of their own: then an unknown name may well be one that was meant to be declared. */
  sound: boolean;
}

/** What `vars`, `secrets`, `parameters` and `matrix` declare. `given`: values of parameters; without it, examples are drawn. */
export function declaredVariables(
  source: ScenarioSource,
  data: DataMap,
  reportTo: Report,
  environment: Environment,
  given?: ParameterValues,
): DeclaredVariables {
  let complaints = 0;
  const report: Report = (path, message, at) => {
    complaints += 1;
    reportTo(path, message, at);
  };
  const faithful = faithfulness(source, report);
  const vars = readVars(data, report, faithful);
  const secrets = readSecrets(data, vars, report, environment);
  for (const [name, value] of secrets) vars.set(name, value);
  const parameters = readParameters(data, vars, report, given);
  for (const [name, value] of Object.entries(parameters.values)) vars.set(name, value);
  const matrix = shapeOf<Top['matrix']>(zTop.shape.matrix, data.matrix, 'matrix', report);
  const combinations = matrix === null ? null : combine(matrix, vars, report, faithful, () => complaints);
  return {
    vars,
    secrets,
    parameters,
    combinations: combinations ?? [new Map()],
    matrixNames: matrix === null || combinations === null ? [] : Object.keys(matrix),
    sound: complaints === 0,
  };
}

type Faithful = (value: unknown, path: Path) => void;

/** `20.10` is read as the number 20.1: what stands in the file must be what is meant. */
function faithfulness(source: ScenarioSource, report: Report): Faithful {
  return (value, path) => {
    const text = source.spelling(path);
    if (typeof value === 'number' && text !== null && text !== String(value))
      report(path, `${text} is read as the number ${value}: put it in quotes`);
    if (typeof value === 'string' && value.includes('${'))
      report(path, 'values of variables cannot refer to other variables');
  };
}

function shapeOf<T>(schema: unknown, data: unknown, key: string, report: Report): T | null {
  const parsed = checkShape(schema as z.ZodType<T>, data === null ? undefined : data, [key]);
  if (parsed.ok) return parsed.value;
  parsed.problems.forEach((problem) => report(problem.path, problem.message, problem.at));
  return null;
}

function readVars(data: DataMap, report: Report, faithful: Faithful): Map<string, Scalar> {
  const vars = new Map<string, Scalar>();
  const parsed = shapeOf<Top['vars']>(zTop.shape.vars, data.vars, 'vars', report);
  if (parsed === null) return vars;
  if (!withinLimit(report, ['vars'], 'variables', Object.keys(parsed).length, limits.variables)) return vars;
  for (const [name, value] of Object.entries(parsed)) {
    faithful(value, ['vars', name]);
    // What stands where it is used would be a second mistake about the same.
    if (typeof value === 'string' && value.includes('${')) continue;
    vars.set(name, value);
  }
  return vars;
}

function readParameters(
  data: DataMap,
  vars: ReadonlyMap<string, Scalar>,
  report: Report,
  given: ParameterValues | undefined,
): DeclaredVariables['parameters'] {
  const none = { declared: {}, values: {} };
  const declared = shapeOf<Top['parameters']>(zTop.shape.parameters, data.parameters, 'parameters', report);
  if (declared === null) return none;
  const names = Object.keys(declared);
  if (!withinLimit(report, ['parameters'], 'parameters', names.length, limits.parameters)) return none;
  for (const name of names) {
    if (vars.has(name))
      report(['parameters', name], `\`${name}\` is declared in \`vars\` or \`secrets\` already`, 'key');
    if (given !== undefined && !(name in given))
      report(['parameters', name], `no value was drawn for \`${name}\``, 'key');
  }
  const drawn = given ?? exampleValues(declared, typeof data.scenario === 'string' ? data.scenario : '');
  return { declared, values: Object.fromEntries(names.map((name) => [name, drawn[name] ?? ''])) };
}

/** Where secrets come from; `null`: they are not there to be had, and any text stands for one. */
export type Environment = Readonly<Record<string, string | undefined>> | null;

function readSecrets(
  data: DataMap,
  vars: ReadonlyMap<string, Scalar>,
  report: Report,
  environment: Environment,
): Map<string, string> {
  const secrets = new Map<string, string>();
  const parsed = shapeOf<Top['secrets']>(zTop.shape.secrets, data.secrets, 'secrets', report);
  if (parsed === null || !withinLimit(report, ['secrets'], 'secrets', Object.keys(parsed).length, limits.variables))
    return secrets;
  for (const [name, secret] of Object.entries(parsed)) {
    const path = ['secrets', name];
    if (vars.has(name)) report(path, `\`${name}\` is declared in \`vars\` already`, 'key');
    if (typeof secret === 'string') {
      if (secret.includes('${')) report(path, 'values of variables cannot refer to other variables');
      secrets.set(name, secret);
      continue;
    }
    const value = environment === null ? 'a-secret' : environment[secret.env];
    if (value === undefined || value === '')
      report([...path, 'env'], `the environment has no ${secret.env}: set it, as in \`${secret.env}=… netrig run\``);
    else if (value.length < 4)
      report([...path, 'env'], `${secret.env} has fewer than 4 characters: no secret is so short`);
    else secrets.set(name, value);
  }
  return secrets;
}

function combine(
  matrix: Top['matrix'],
  vars: ReadonlyMap<string, Scalar>,
  report: Report,
  faithful: Faithful,
  complaints: () => number,
): Map<string, Scalar>[] | null {
  if (!withinLimit(report, ['matrix'], 'names in the matrix', Object.keys(matrix).length, limits.matrixNames))
    return null;
  const size = Object.values(matrix).reduce((product, values) => product * values.length, 1);
  if (size > limits.combinations) {
    report(['matrix'], `the matrix has ${size} combinations; at most ${limits.combinations} run from one file`, 'key');
    return null;
  }
  let combinations: Map<string, Scalar>[] = [new Map()];
  for (const [name, values] of Object.entries(matrix)) {
    if (vars.has(name)) report(['matrix', name], `\`${name}\` is declared in \`vars\` already`, 'key');
    const usable = values.filter((value, index) => {
      const before = complaints();
      faithful(value, ['matrix', name, index]);
      checkMatrixValue(name, values, index, report);
      return complaints() === before;
    });
    combinations = combinations.flatMap((combination) =>
      (usable.length > 0 ? usable : values.slice(0, 1)).map((value) => new Map([...combination, [name, value]])),
    );
  }
  return combinations;
}

function checkMatrixValue(name: string, values: readonly Scalar[], index: number, report: Report): void {
  const value = values[index]!;
  const path = ['matrix', name, index];
  if (values.findIndex((other) => String(other) === String(value)) < index)
    report(path, `the value ${shown(value)} stands here a second time`);
  if (!/^[\w.:/@+-]{1,64}$/.test(String(value)))
    report(
      path,
      `a matrix value becomes part of the scenario's name: letters, digits and .:/@+-_ only, got ${shown(value)}`,
    );
  if (name === 'image' && findHostImageRow(String(value)) === undefined) {
    const names = hostImageRows.map((row) => row.name);
    report(path, `no host image ${shown(value)}${suggestion(value, names) || `; there are ${names.join(', ')}`}`);
  }
}

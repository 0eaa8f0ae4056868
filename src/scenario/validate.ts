import type { z } from 'zod';
import { loadedName, parseReference } from '../images/containers/reference.js';
import { hostImageRows } from '../images/host-image.js';
import { shown, suggestion } from '../language/wording.js';
import { nameRecords, nameServerPackage, recordsOf } from './name-records.js';
import { segmentAddresses } from './addressing.js';
import type { Catalogue } from './covers.js';
import { formatPath, sortedDiagnostics } from './diagnostic.js';
import type { Diagnostic } from './diagnostic.js';
import { hintsOf } from './hints.js';
import { interpreted } from './issues.js';
import type { Kinds } from './kinds.js';
import { startOf } from './passes/engines.js';
import { containerImages } from './passes/container-images.js';
import { coveredItems } from './passes/covered-items.js';
import { declaredVariables } from './passes/declared-variables.js';
import type { DeclaredVariables, Environment } from './passes/declared-variables.js';
import { reportFormer } from './passes/former.js';
import { declaredLab, missingTop } from './passes/hosts-and-segments.js';
import type { DeclaredLab } from './passes/hosts-and-segments.js';
import { readExercise } from './passes/exercise.js';
import { readItems } from './passes/items.js';
import { checkDuration } from './passes/limits.js';
import { collectMistakes, mistakesTo } from './passes/mistakes.js';
import type { FileMistakes, Report } from './passes/mistakes.js';
import { pinsBeside } from './passes/pins.js';
import type { Reading } from './passes/reading.js';
import { reportImpossible } from './passes/when.js';
import type { WhenSeen } from './passes/when.js';
import { inStartOrder } from './start-order.js';
import type { DockerContainer, Scenario, ScenarioHost, ScenarioItem, ScenarioSegment } from './scenario.js';
import type { ProviderName } from './schema.js';
import { defaultBootTimeoutMs, topKeys, zTop } from './schema.js';
import type { HostShape, Top } from './schema.js';
import { isDataMap } from './source.js';
import type { DataMap, ScenarioSource } from './source.js';
import { itemKey, type CasesByItem } from './cases.js';
import type { ParameterValues } from './parameters.js';
import { savedNames, type SavedNames } from './saved-values.js';
import { replaceVariables } from './variables.js';
import type { Scalar } from './variables.js';

export interface ValidateOptions {
  /** Matrix values wanted, by name: of a name that the file declares, only these; `image` also where hosts leave theirs open. */
  wanted?: Record<string, readonly string[]> | undefined;
  /** Values of items that a `for` wrote out. */
  cases?: CasesByItem;
  /** Where secrets come from; `null`: any text stands for one. Default: this process’s environment. */
  environment?: Environment | undefined;
  /** The provider that will be used whatever the file says; without it, the file’s own. */
  provider?: string | null | undefined;
  /** What `covers` may name; without it, any id. */
  catalogue?: Catalogue | null | undefined;
  /** Values of an exercise's parameters; default: its examples. */
  parameters?: ParameterValues | undefined;
}

/**
 * All scenarios of a source, one for each combination of its matrix, and everything that is wrong with it; with mistakes
 * there are no scenarios. The work is that of the passes in `passes/`, each over one part of the language; their cost is
 * linear in the size of the file, and what no lab needs so many of has a limit (`passes/limits.ts`).
 */
export function validateSource(
  source: ScenarioSource,
  absoluteFile: string,
  kinds: Kinds,
  {
    wanted = {},
    cases = new Map(),
    catalogue = null,
    provider = null,
    environment = process.env,
    parameters,
  }: ValidateOptions = {},
): Validated {
  const mistakes = collectMistakes(source);
  const data = source.data;
  if (!source.usable || !isDataMap(data)) return { scenarios: [], diagnostics: mistakes.diagnostics(), hints: [] };

  // Whatever else is wrong with a file of the former language, it is to be rewritten first.
  if (reportFormer(data, mistakes.report)) return { scenarios: [], diagnostics: mistakes.diagnostics(), hints: [] };
  reportUnknownTop(data, mistakes.report);
  const variables = declaredVariables(source, data, mistakes.report, environment, parameters);
  // Hosts that leave their image open take the images asked for; mistakes are looked for in what the file itself says.
  const open = !variables.matrixNames.includes('image') && usesDefaultImage(data);
  if (open && wanted['image'] !== undefined)
    variables.combinations = variables.combinations.flatMap((combination) =>
      wanted['image']!.map((image) => new Map([...combination, ['image', image]])),
    );
  const file: FileReading = {
    source,
    data,
    kinds,
    catalogue,
    given: (provider ?? data.provider) === givenMachines,
    variables,
    cases,
    saved: savedNames(data),
    mistakes,
    whens: new Map(),
    absoluteFile,
  };
  reportSavedVariables(file);
  const { scenarios, replaced, used } = scenariosOf(file);
  // A condition may be for images that somebody asks for on the command line.
  if (open) seeOtherImages(file);
  reportImpossible(file.whens, mistakes.report);
  const chosen = scenarios.filter((scenario) =>
    Object.entries(wanted).every(
      ([name, values]) => scenario.matrix[name] === undefined || values.includes(scenario.matrix[name]),
    ),
  );
  const vars = [...variables.vars.keys()].filter(
    (name) => !variables.secrets.has(name) && !(name in variables.parameters.values),
  );
  const hints = mistakes.any() ? [] : hintsOf({ source, data, replaced, scenarios, vars, used });
  return {
    scenarios: mistakes.any() ? [] : chosen,
    diagnostics: withoutSecrets(mistakes.diagnostics(), variables.secrets),
    hints: withoutSecrets(sortedDiagnostics(hints), variables.secrets),
  };
}

/** What became of a source: its scenarios, or what is wrong with it; and where it is valid, what is hardly meant. */
export interface Validated {
  scenarios: Scenario[];
  diagnostics: Diagnostic[];
  hints: Diagnostic[];
}

/** The provider whose hosts are not made for the lab: what is on them may have been there before. */
const givenMachines = 'ssh' satisfies ProviderName;

interface FileReading {
  source: ScenarioSource;
  data: DataMap;
  kinds: Kinds;
  catalogue: Catalogue | null;
  given: boolean;
  variables: DeclaredVariables;
  cases: CasesByItem;
  saved: SavedNames;
  mistakes: FileMistakes;
  whens: Map<string, WhenSeen>;
  absoluteFile: string;
}

/** A mistake quotes the file and the value that is wrong: not where it is secret. */
function withoutSecrets(diagnostics: Diagnostic[], secrets: ReadonlyMap<string, string>): Diagnostic[] {
  if (secrets.size === 0) return diagnostics;
  const hide = (text: string): string =>
    [...secrets].reduce((out, [name, value]) => out.replaceAll(value, `\${${name}}`), text);
  return diagnostics.map((one) => ({
    ...one,
    message: hide(one.message),
    lines: one.lines.map(({ number, text }) => ({ number, text: hide(text) })),
  }));
}

/** A name is a variable's or a saved value's, not both. */
function reportSavedVariables({ data, variables, cases, saved, mistakes }: FileReading): void {
  const items = [
    ...(Array.isArray(data.steps) ? data.steps : []),
    ...(Array.isArray(data.finally) ? data.finally : []),
  ];
  const steps = Array.isArray(data.steps) ? data.steps.length : 0;
  const declared = new Set([
    ...variables.vars.keys(),
    ...variables.matrixNames,
    ...[...cases.values()].flatMap((row) => [...row.keys()]),
  ]);
  for (const [name, first] of saved.first) {
    if (!declared.has(name)) continue;
    const path = first < steps ? ['steps', first] : ['finally', first - steps];
    const save = (items[first] as DataMap).save;
    mistakes.report(
      [...path, 'save', ...(isDataMap(save) ? [name] : [])],
      `\`${name}\` is a variable of the file already: save the value by another name`,
      isDataMap(save) ? 'key' : 'value',
    );
  }
}

function reportUnknownTop(data: DataMap, report: Report): void {
  for (const key of Object.keys(data)) {
    if (!topKeys.includes(key))
      report(
        [key],
        () => `unknown key ${shown(key)}${suggestion(key, topKeys) || `; known here: ${topKeys.join(', ')}`}`,
        'key',
      );
  }
}

function scenariosOf(file: FileReading): { scenarios: Scenario[]; replaced: DataMap[]; used: Set<string> } {
  const { data, variables, cases, saved, mistakes, absoluteFile } = file;
  const used = new Set<string>();
  const scenarios: Scenario[] = [];
  const read: DataMap[] = [];
  for (const matrix of variables.combinations) {
    const unknownVariables = new Set<string>();
    const unknown: Report = (path, message, at) => {
      unknownVariables.add(formatPath(path));
      if (variables.sound || at === 'key') mistakes.report(path, message, at);
    };
    const all = new Map([...variables.vars, ...matrix]);
    const replaced = replaceVariables(data, all, unknown, used, cases, saved, (name) =>
      variables.secrets.has(name),
    ) as DataMap;
    const told = mistakesTo(mistakes.report, unknownVariables);
    const variablesOf = variablesOfItems(all, cases);
    const scenario = readScenario(
      {
        ...file,
        secrets: variables.secrets,
        parameters: variables.parameters,
        data: replaced,
        matrix,
        mistakes: told,
        variablesOf,
        used,
      },
      absoluteFile,
    );
    if (scenario !== null) scenarios.push(scenario);
    read.push(replaced);
    if (replaced.hosts !== undefined && usesDefaultImage(replaced)) used.add('image');
  }
  for (const name of Object.keys(variables.parameters.values))
    if (!used.has(name))
      mistakes.report(['parameters', name], `\`${name}\` is used nowhere: every student would have the same`, 'key');
  for (const name of variables.matrixNames) {
    if (!used.has(name))
      mistakes.report(
        ['matrix', name],
        `\`${name}\` of the matrix is used nowhere: its runs would all be the same`,
        'key',
      );
  }
  return { scenarios, replaced: read, used };
}

/** Reads the file as if for each host image, to see whether a condition that cannot hold by default could hold there. */
function seeOtherImages(file: FileReading): void {
  const { data, variables, cases, saved, whens, absoluteFile } = file;
  if ([...whens.values()].every(({ possible }) => possible)) return;
  for (const { name } of hostImageRows) {
    const matrix = new Map<string, Scalar>([['image', name]]);
    const all = new Map([...variables.vars, ...matrix]);
    const replaced = replaceVariables(data, all, () => undefined, new Set(), cases, saved) as DataMap;
    const mistakes = mistakesTo(() => undefined);
    const variablesOf = variablesOfItems(all, cases);
    readScenario(
      {
        ...file,
        secrets: variables.secrets,
        parameters: variables.parameters,
        data: replaced,
        matrix,
        mistakes,
        variablesOf,
        used: new Set(),
      },
      absoluteFile,
    );
  }
}

/** The variables that an item sees: the file's, and those of its case. */
function variablesOfItems(all: ReadonlyMap<string, Scalar>, cases: CasesByItem): Reading['variablesOf'] {
  return (path) => {
    const own = cases.get(itemKey(path));
    return own === undefined ? all : new Map([...all, ...own]);
  };
}

function usesDefaultImage(data: DataMap): boolean {
  return (
    isDataMap(data.hosts) && Object.values(data.hosts).some((host) => !isDataMap(host) || host.image === undefined)
  );
}

/** One scenario; `null` where it has mistakes. */
function readScenario(reading: Reading, file: string): Scenario | null {
  const { mistakes } = reading;
  const top = readTop(reading);
  const covers = coveredItems(reading, reading.data.covers, top.covers, ['covers']);
  const lab = declaredLab(reading);
  const items = readItems(reading, lab);
  // A host with a mistake of its own may be the one that has an engine.
  const hostsSound = lab.hosts.size > 0 && lab.hosts.size === lab.hostNames.size;
  if (top.images !== undefined && hostsSound && ![...lab.hosts.keys()].some(lab.hasEngine))
    mistakes.report(['images'], 'no host of this scenario has an engine that could have them', 'key');
  checkDuration(mistakes.report, ['boot-timeout'], top['boot-timeout']);
  const exercise = readExercise(reading, top.exercise, items, file);
  const images = containerImages(reading, { images: top.images, outside: top.outside ?? false, lab, items });
  const pins = pinsBeside(reading);
  if (mistakes.found > 0) return null;
  const assembled = assemble(reading, file, top as Top, lab, items);
  return {
    ...assembled,
    hosts: assembled.hosts.map((host) => (images.pulling.has(host.name) ? { ...host, pulls: true } : host)),
    covers,
    containerImages: images.own,
    wantedImages: images.wanted,
    ...(pins ? { pins } : {}),
    ...(exercise ? { exercise } : {}),
  };
}

/** What stands at the top of a file but hosts, segments, steps and declarations of variables. */
function readTop({ data, mistakes }: Reading): Partial<Top> {
  const top: Partial<Record<keyof Top, unknown>> = {};
  for (const [key, schema] of Object.entries(zTop.shape) as [keyof Top, z.ZodType][]) {
    if (['hosts', 'segments', 'vars', 'secrets', 'matrix', 'parameters'].includes(key)) continue;
    if (key in data) {
      const parsed = mistakes.parse(schema, data[key], [key]);
      if (parsed.ok) top[key] = parsed.value;
      continue;
    }
    const absent = schema.safeParse(undefined, interpreted);
    if (absent.success) top[key] = absent.data;
    else {
      const what = key === 'scenario' ? 'a name such as overlay-consul' : 'one line that says what the scenario shows';
      missingTop(mistakes, data, key, `"${key}" is missing: ${what}`);
    }
  }
  if ('covers' in data && Array.isArray(data.steps) && !data.steps.some((item) => isDataMap(item) && 'check' in item))
    mistakes.report(['covers'], 'a scenario without a check proves nothing of the catalogue', 'key');
  return top as Partial<Top>;
}

function assemble(
  reading: Reading,
  file: string,
  top: Top,
  lab: DeclaredLab,
  items: ScenarioItem[],
): Omit<Scenario, 'covers' | 'containerImages' | 'wantedImages'> {
  const matrix = Object.fromEntries([...reading.matrix].map(([name, value]) => [name, String(value)]));
  const values = Object.entries(matrix).map(([name, value]) => `${name}=${value}`);
  const hosts = [...lab.hosts].map(([name, host]) => plannedHost(reading, lab, name, host, top.outside));
  return {
    file,
    name: top.scenario,
    id: values.length === 0 ? top.scenario : `${top.scenario}[${values.join(',')}]`,
    title: top.title,
    description: top.description?.trim() ?? '',
    text: top.text?.trim() ?? '',
    matrix,
    tags: [...new Set(top.tags ?? [])],
    requires: [...new Set(top.requires ?? [])],
    provider: top.provider ?? null,
    hosts,
    secrets: [...reading.secrets.values()],
    segments: [...lab.segments].map(([name, segment]): ScenarioSegment => ({
      name,
      subnets: segment.subnet,
      mtu: segment.mtu ?? null,
      hosts: segmentAddresses(segment),
    })),
    items,
    bootTimeoutMs: top['boot-timeout'] ?? defaultBootTimeoutMs,
    ...(top.limits ? { limits: top.limits } : {}),
  };
}

/** Containers by the names that their images have in the engine's store, where nothing has a digest. */
function withLoadedNames(containers: Record<string, DockerContainer>): Record<string, DockerContainer> {
  return Object.fromEntries(
    Object.entries(containers).map(([name, container]) => {
      const reference = parseReference(container.image);
      return [name, reference?.digest ? { ...container, image: loadedName(reference) } : container];
    }),
  );
}

/** Where the file names each of the packages of a host. */
function packagePlaces({ source, data }: Reading, host: string, packages: readonly string[]): Record<string, string> {
  const shape = (data.hosts as DataMap)[host] as DataMap;
  const path = ['hosts', host, 'packages'];
  return Object.fromEntries(
    packages.map((name, index) => {
      const { file, line, column } = source.diagnostic(Array.isArray(shape.packages) ? [...path, index] : path, '');
      return [name, `${file}:${line}:${column}`];
    }),
  );
}

function plannedHost(
  reading: Reading,
  lab: DeclaredLab,
  name: string,
  host: HostShape,
  outside: boolean,
): ScenarioHost {
  const { source } = reading;
  const records = nameRecords(lab, host);
  const simulated = typeof host.outside === 'object' ? host.outside.simulated : undefined;
  return {
    name,
    image: lab.images.get(name)!,
    ...(lab.roots.has(name) ? { root: lab.roots.get(name)! } : {}),
    init: host.init,
    engine: lab.hasEngine(name),
    ...(startOf(host.engine) === 'on-demand' ? { engineOnDemand: true } : {}),
    routes: host.routes,
    sysctls: host.sysctls,
    packages: recordsOf(host).length > 0 ? [...host.packages, nameServerPackage] : host.packages,
    ...(host.packages.length > 0 ? { packagePlaces: packagePlaces(reading, name, host.packages) } : {}),
    files: lab.files.get(name) ?? [],
    outside: simulated === undefined && ((host.outside as boolean | undefined) ?? outside),
    records: recordsOf(host).length > 0 ? records : null,
    standsFor: [...new Set(Object.values(simulated ?? {}).flat())],
    ...(host.limits ? { limits: host.limits } : {}),
    docker: {
      networks: host.docker?.networks ?? {},
      containers: withLoadedNames(inStartOrder(host.docker?.containers ?? {})),
    },
    source: source.place(['hosts', name]),
  };
}

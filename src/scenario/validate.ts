import semver from 'semver';
import type { z } from 'zod';
import type { EndpointUse } from '../checks/kind.js';
import { findHostImageRow, hostImageRows } from '../images/host-image.js';
import { parseCidr } from '../model/cidr.js';
import { formatDuration } from '../model/duration.js';
import type { StepKind } from '../steps/kind.js';
import { dockerProblems, overlapProblems, routeProblems, segmentAddresses, segmentProblems } from './addressing.js';
import { expandCovers } from './covers.js';
import { formatPath, sortedDiagnostics } from './diagnostic.js';
import type { Diagnostic, Path } from './diagnostic.js';
import { parseTarget, parseVantage } from '../language/endpoint.js';
import { zName } from '../language/fields.js';
import { check as checkShape, keysAt } from './issues.js';
import type { Checked, Problem } from './issues.js';
import type { Kinds } from './kinds.js';
import type { CheckItem, Scenario, ScenarioHost, ScenarioItem, ScenarioSegment, StepItem, When } from './scenario.js';
import { defaultBootTimeoutMs, defaultImage, zCheckFrame, zHost, zSegment, zStepFrame, zTop } from './schema.js';
import type { CheckFrame, HostShape, SegmentShape, StepFrame, Top, WhenShape } from './schema.js';
import { isDataMap } from './source.js';
import type { Data, DataMap, ScenarioSource } from './source.js';
import { replaceVariables } from './variables.js';
import type { Scalar } from './variables.js';
import { nearest, shown, suggestion } from '../language/wording.js';

const hourMs = 3_600_000;
const maxCombinations = 64;

const topKeys = [...Object.keys(zTop.shape), 'steps'];
const stepFrameKeys = new Set(Object.keys(zStepFrame.shape));
const checkFrameKeys = new Set(Object.keys(zCheckFrame.shape));

type Report = (path: Path, message: string, at?: 'key' | 'value') => void;

/** Whether an item's `when` could hold, gathered over all matrix combinations. */
interface WhenSeen {
  path: Path;
  possible: boolean;
  have: Set<string>;
}

/** All scenarios of a source, one for each matrix combination, and everything that is wrong with it. With mistakes there are no scenarios. */
export function validateSource(
  source: ScenarioSource,
  absoluteFile: string,
  kinds: Kinds,
  wanted: Record<string, readonly string[]> = {},
): { scenarios: Scenario[]; diagnostics: Diagnostic[] } {
  const diagnostics = [...source.diagnostics];
  const report: Report = (path, message, at) => diagnostics.push(source.diagnostic(path, message, at));
  const data = source.data;
  if (!source.usable || !isDataMap(data)) return { scenarios: [], diagnostics: sortedDiagnostics(diagnostics) };

  for (const key of Object.keys(data)) {
    if (!topKeys.includes(key))
      report(
        [key],
        `unknown key ${shown(key)}${suggestion(key, topKeys) || `; known here: ${topKeys.join(', ')}`}`,
        'key',
      );
  }

  const variables = variablesOf(source, data, report);
  // Hosts that leave their image open take the images asked for; mistakes are looked for in what the file itself says.
  const open = !variables.matrixNames.includes('image') && usesDefaultImage(data);
  if (open && wanted['image'] !== undefined)
    variables.combinations = variables.combinations.flatMap((combination) =>
      wanted['image']!.map((image) => new Map([...combination, ['image', image]])),
    );
  const used = new Set<string>();
  const whens = new Map<number, WhenSeen>();
  const scenarios: Scenario[] = [];
  for (const matrix of variables.combinations) {
    const all = new Map([...variables.vars, ...matrix]);
    const unknownVariables = new Set<string>();
    const unknown: Report = (path, message, at) => {
      unknownVariables.add(formatPath(path));
      if (variables.sound || at === 'key') report(path, message, at);
    };
    const replaced = replaceVariables(data, all, unknown, used) as DataMap;
    const scenario = new Combination(source, replaced, matrix, kinds, report, whens, unknownVariables).scenario(
      absoluteFile,
    );
    if (scenario !== null) scenarios.push(scenario);
    if (replaced.hosts !== undefined && usesDefaultImage(replaced)) used.add('image');
  }
  for (const name of variables.matrixNames) {
    if (!used.has(name))
      report(['matrix', name], `\`${name}\` of the matrix is used nowhere: its runs would all be the same`, 'key');
  }
  // A condition may be for images that somebody asks for on the command line.
  if (open && [...whens.values()].some(({ possible }) => !possible)) {
    for (const { name } of hostImageRows) {
      const all = new Map([...variables.vars, ['image', name] as const]);
      const replaced = replaceVariables(data, all, () => undefined, new Set()) as DataMap;
      new Combination(source, replaced, new Map([['image', name]]), kinds, () => undefined, whens, new Set()).scenario(
        absoluteFile,
      );
    }
  }
  for (const { path, possible, have } of whens.values()) {
    if (!possible) report(path, `this can never hold here: ${[...have].join(', ') || 'no host'}`);
  }
  const chosen = scenarios.filter((scenario) =>
    Object.entries(wanted).every(
      ([name, values]) => scenario.matrix[name] === undefined || values.includes(scenario.matrix[name]),
    ),
  );
  return { scenarios: diagnostics.length > 0 ? [] : chosen, diagnostics: sortedDiagnostics(diagnostics) };
}

function usesDefaultImage(data: DataMap): boolean {
  return (
    isDataMap(data.hosts) && Object.values(data.hosts).some((host) => !isDataMap(host) || host.image === undefined)
  );
}

interface Variables {
  vars: Map<string, Scalar>;
  combinations: Map<string, Scalar>[];
  matrixNames: string[];
  /** False where declarations have mistakes of their own: then an unknown name may well be one that was meant to be declared. */
  sound: boolean;
}

function variablesOf(source: ScenarioSource, data: DataMap, report: Report): Variables {
  let complaints = 0;
  const complain: Report = (path, message, at) => {
    complaints += 1;
    report(path, message, at);
  };
  /** `20.10` is read as the number 20.1: what stands in the file must be what is meant. */
  const faithful = (value: unknown, path: Path): void => {
    const text = source.spelling(path);
    if (typeof value === 'number' && text !== null && text !== String(value))
      complain(path, `${text} is read as the number ${value}: put it in quotes`);
    if (typeof value === 'string' && value.includes('${'))
      complain(path, 'values of variables cannot refer to other variables');
  };

  const vars = new Map<string, Scalar>();
  const parsedVars = checkShape(zTop.shape.vars as z.ZodType<Top['vars']>, data.vars === null ? undefined : data.vars, [
    'vars',
  ]);
  if (!parsedVars.ok) parsedVars.problems.forEach((problem) => complain(problem.path, problem.message, problem.at));
  else {
    for (const [name, value] of Object.entries(parsedVars.value)) {
      faithful(value, ['vars', name]);
      vars.set(name, value);
    }
  }

  let combinations: Map<string, Scalar>[] = [new Map()];
  const matrixNames: string[] = [];
  const parsedMatrix = checkShape(
    zTop.shape.matrix as z.ZodType<Top['matrix']>,
    data.matrix === null ? undefined : data.matrix,
    ['matrix'],
  );
  if (!parsedMatrix.ok) parsedMatrix.problems.forEach((problem) => complain(problem.path, problem.message, problem.at));
  else {
    const size = Object.values(parsedMatrix.value).reduce((product, values) => product * values.length, 1);
    if (size > maxCombinations) {
      complain(['matrix'], `the matrix has ${size} combinations; at most ${maxCombinations} run from one file`, 'key');
      return { vars, combinations, matrixNames, sound: false };
    }
    for (const [name, values] of Object.entries(parsedMatrix.value)) {
      if (vars.has(name)) complain(['matrix', name], `\`${name}\` is declared in \`vars\` already`, 'key');
      const usable = values.filter((value, index) => {
        const before = complaints;
        faithful(value, ['matrix', name, index]);
        if (values.findIndex((other) => String(other) === String(value)) < index)
          complain(['matrix', name, index], `the value ${shown(value)} stands here a second time`);
        if (!/^[\w.:/@+-]{1,64}$/.test(String(value)))
          complain(
            ['matrix', name, index],
            `a matrix value becomes part of the scenario's name: letters, digits and .:/@+-_ only, got ${shown(value)}`,
          );
        if (name === 'image' && findHostImageRow(String(value)) === undefined) {
          const names = hostImageRows.map((row) => row.name);
          complain(
            ['matrix', name, index],
            `no host image ${shown(value)}${suggestion(value, names) || `; there are ${names.join(', ')}`}`,
          );
        }
        return complaints === before;
      });
      matrixNames.push(name);
      combinations = combinations.flatMap((combination) =>
        (usable.length > 0 ? usable : values.slice(0, 1)).map((value) => new Map([...combination, [name, value]])),
      );
    }
  }
  return { vars, combinations, matrixNames, sound: complaints === 0 };
}

const strictSchemas = new WeakMap<StepKind, z.ZodObject>();

/** A step kind's schema that refuses unknown keys, whatever its author chose. */
function strictSchema(kind: StepKind): z.ZodObject {
  let schema = strictSchemas.get(kind);
  if (schema === undefined) {
    schema = kind.schema._zod.def.catchall === undefined ? kind.schema.strict() : kind.schema;
    strictSchemas.set(kind, schema);
  }
  return schema;
}

function pick(data: DataMap, keep: (key: string) => boolean): DataMap {
  const out = Object.create(null) as DataMap;
  for (const [key, value] of Object.entries(data)) if (keep(key)) out[key] = value;
  return out;
}

/** The engine version that an image is expected to carry, and whether it may be newer by the time it is built. */
function imageEngine(image: string): { version: string; rolling: boolean } | null {
  const row = findHostImageRow(image);
  return row === undefined || row.engine === '' ? null : { version: row.engine, rolling: row.suite === 'sid' };
}

function engineFits(image: string, range: string): boolean {
  const engine = imageEngine(image);
  return engine !== null && semver.satisfies(engine.version, range, { includePrerelease: true });
}

/** As `engineFits`, but the engine of a suite that moves on may be newer than the table knows. */
function engineMayFit(image: string, range: string): boolean {
  const engine = imageEngine(image);
  return (
    engineFits(image, range) || (engine !== null && engine.rolling && semver.intersects(range, `>=${engine.version}`))
  );
}

/** A word that stands for itself in a text, not as a part of a longer name. */
function mentions(text: string, word: string): boolean {
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) {
    const before = text[at - 1] ?? ' ';
    const after = text[at + word.length] ?? ' ';
    if (!/[\w.-]/.test(before) && !/[\w-]/.test(after)) return true;
  }
  return false;
}

function textsIn(data: Data | undefined): string[] {
  if (typeof data === 'string') return [data];
  if (Array.isArray(data)) return data.flatMap(textsIn);
  return isDataMap(data) ? Object.values(data).flatMap(textsIn) : [];
}

/** One matrix combination of a file on its way to a `Scenario`. */
class Combination {
  private readonly hosts = new Map<string, HostShape>();
  private readonly segments = new Map<string, SegmentShape>();
  private readonly hostNames: string[];
  /** Texts of the steps that run on a host: what may create containers and namespaces there. */
  private readonly texts = new Map<string, string[]>();
  private mistakes = 0;

  constructor(
    private readonly source: ScenarioSource,
    private readonly data: DataMap,
    private readonly matrix: ReadonlyMap<string, Scalar>,
    private readonly kinds: Kinds,
    private readonly reportTo: Report,
    private readonly whens: Map<number, WhenSeen>,
    private readonly unknownVariables: ReadonlySet<string>,
  ) {
    this.hostNames = isDataMap(data.hosts) ? Object.keys(data.hosts) : [];
  }

  private readonly report: Report = (path, message, at) => {
    this.mistakes += 1;
    // Whatever else is wrong with a text whose variable is not known, that comes first.
    if (this.unknownVariables.has(formatPath(path))) return;
    this.reportTo(path, message, at);
  };

  private tell(problems: readonly Problem[]): void {
    for (const problem of problems) this.report(problem.path, problem.message, problem.at);
  }

  private parse<T>(schema: z.ZodType<T>, data: unknown, path: Path, otherKeys: readonly string[] = []): Checked<T> {
    const result = checkShape(schema, data, path, otherKeys);
    if (!result.ok) this.tell(result.problems);
    return result;
  }

  scenario(file: string): Scenario | null {
    const top: Partial<Record<keyof Top, unknown>> = {};
    for (const [key, schema] of Object.entries(zTop.shape) as [keyof Top, z.ZodType][]) {
      if (key === 'hosts' || key === 'segments' || key === 'vars' || key === 'matrix') continue;
      if (!(key in this.data)) {
        if (!schema.safeParse(undefined).success)
          this.missingTop(
            key,
            `"${key}" is missing: ${key === 'scenario' ? 'a name such as overlay-consul' : 'one line that says what the scenario shows'}`,
          );
        else top[key] = schema.parse(undefined);
        continue;
      }
      const parsed = this.parse(schema, this.data[key], [key]);
      if (parsed.ok) top[key] = parsed.value;
    }
    this.readHosts();
    this.readSegments();
    const images = this.hostImages();
    this.checkHosts(images);
    const items = this.readItems(images);
    const covers = this.covers(top.covers as string[] | undefined);
    if (
      'covers' in this.data &&
      Array.isArray(this.data.steps) &&
      !this.data.steps.some((item) => isDataMap(item) && 'check' in item)
    ) {
      this.report(['covers'], 'a scenario without a check proves nothing of the catalogue', 'key');
    }
    this.checkDuration(['bootTimeout'], top.bootTimeout as number | undefined);
    if (this.mistakes > 0) return null;

    const valid = top as Top;
    const matrix = Object.fromEntries([...this.matrix].map(([name, value]) => [name, String(value)]));
    const values = Object.entries(matrix).map(([name, value]) => `${name}=${value}`);
    const hosts = [...this.hosts].map(([name, host]) => this.host(name, host, images.get(name)!));
    return {
      file,
      name: valid.scenario,
      id: values.length === 0 ? valid.scenario : `${valid.scenario}[${values.join(',')}]`,
      title: valid.title,
      description: valid.description?.trim() ?? '',
      matrix,
      covers,
      tags: [...new Set(valid.tags ?? [])],
      requires: [...new Set(valid.requires ?? [])],
      provider: valid.provider ?? null,
      hosts,
      segments: [...this.segments].map(([name, segment]): ScenarioSegment => ({
        name,
        subnet: segment.subnet,
        mtu: segment.mtu ?? null,
        hosts: segmentAddresses(segment),
      })),
      items,
      bootTimeoutMs: valid.bootTimeout ?? defaultBootTimeoutMs,
      containerImages: [
        ...new Set([
          ...(valid.images ?? []),
          ...hosts.flatMap((host) => Object.values(host.docker.containers).map((container) => container.image)),
        ]),
      ],
    };
  }

  private host(name: string, host: HostShape, image: string): ScenarioHost {
    return {
      name,
      image,
      init: host.init,
      engine: this.hasEngine(name, image),
      routes: host.routes,
      sysctls: host.sysctls,
      docker: { networks: host.docker?.networks ?? {}, containers: host.docker?.containers ?? {} },
      source: this.source.place(['hosts', name]),
    };
  }

  /** Says that a key of the file itself is missing, unless it stands there misspelt. */
  private missingTop(key: string, message: string): void {
    this.mistakes += 1;
    if (!Object.keys(this.data).some((other) => !topKeys.includes(other) && nearest(other, topKeys) === key))
      this.report([], message);
  }

  private readHosts(): void {
    const hosts = this.data.hosts;
    if (hosts === undefined)
      return this.missingTop(
        'hosts',
        '"hosts" is missing: a map from the names of the hosts, such as `hosts: { node1: }`',
      );
    if (!isDataMap(hosts))
      return this.report(['hosts'], `expected a map from the names of the hosts, got ${shown(hosts)}`);
    if (this.hostNames.length === 0) this.report(['hosts'], 'a lab has at least one host');
    for (const [name, shape] of Object.entries(hosts)) {
      const named = checkShape(zName as z.ZodType<string>, name, ['hosts', name]);
      if (!named.ok) named.problems.forEach((problem) => this.report(problem.path, problem.message, 'key'));
      const parsed = this.parse(zHost as z.ZodType<HostShape>, shape ?? {}, ['hosts', name]);
      if (parsed.ok) this.hosts.set(name, parsed.value);
    }
  }

  private readSegments(): void {
    const segments = this.data.segments ?? {};
    if (!isDataMap(segments))
      return this.report(['segments'], `expected a map from the names of the segments, got ${shown(segments)}`);
    for (const [name, shape] of Object.entries(segments)) {
      const path = ['segments', name];
      const named = checkShape(zName as z.ZodType<string>, name, path);
      if (!named.ok) named.problems.forEach((problem) => this.report(problem.path, problem.message, 'key'));
      const parsed = this.parse(zSegment as z.ZodType<SegmentShape>, shape, path);
      if (!parsed.ok) continue;
      const problems = segmentProblems(parsed.value, path, this.hostNames);
      this.tell(problems);
      this.segments.set(name, parsed.value);
    }
    this.tell(overlapProblems(this.segments));
  }

  /** The image of every host that has no mistake about it. */
  private hostImages(): Map<string, string> {
    const images = new Map<string, string>();
    const wanted = this.matrix.get('image');
    const fallback = typeof wanted === 'string' && findHostImageRow(wanted) ? wanted : defaultImage;
    for (const [name, host] of this.hosts) {
      const range = typeof host.engine === 'string' && host.engine !== 'none' ? host.engine : null;
      const path = ['hosts', name, 'engine'];
      if (range !== null && host.init === 'light') {
        this.report(path, 'a light host has no engine: leave out `engine`, or `init: light`');
        continue;
      }
      if (range === null) images.set(name, host.image ?? fallback);
      else if (host.image !== undefined || this.matrix.has('image')) {
        const image = host.image ?? fallback;
        if (engineFits(image, range)) images.set(name, image);
        else
          this.report(
            path,
            `${image} carries engine ${imageEngine(image)?.version ?? 'none'}, which is not in ${range}`,
          );
      } else {
        const image = [fallback, ...hostImageRows.map((row) => row.name)].find((candidate) =>
          engineFits(candidate, range),
        );
        if (image !== undefined) images.set(name, image);
        else
          this.report(
            path,
            `no host image has an engine in ${range}; there are ${hostImageRows.map((row) => `${row.name} with ${row.engine || 'none'}`).join(', ')}`,
          );
      }
    }
    return images;
  }

  private hasEngine(name: string, image: string | undefined): boolean {
    const host = this.hosts.get(name);
    if (host === undefined || host.init === 'light' || host.engine === false || host.engine === 'none') return false;
    return image === undefined || imageEngine(image) !== null;
  }

  private checkHosts(images: ReadonlyMap<string, string>): void {
    for (const [name, host] of this.hosts) {
      const segments = [...this.segments].flatMap(([segment, shape]) => {
        const addresses = segmentAddresses(shape);
        return name in addresses
          ? [{ name: segment, subnet: parseCidr(shape.subnet)!, address: addresses[name] ?? null }]
          : [];
      });
      const networks = { name, host, segments };
      this.tell(routeProblems(networks));
      this.tell(dockerProblems(networks));
      if (host.docker !== undefined && !this.hasEngine(name, images.get(name)))
        this.report(['hosts', name, 'docker'], `${name} has no engine${this.whyNoEngine(name)}`, 'key');
    }
  }

  private whyNoEngine(name: string): string {
    const host = this.hosts.get(name);
    if (host?.init === 'light') return ': its `init` is light';
    return host?.engine === false || host?.engine === 'none' ? ': it says so itself by `engine`' : '';
  }

  private covers(texts: readonly string[] | undefined): string[] {
    const ids = new Set<string>();
    (texts ?? []).forEach((text) => {
      const expanded = expandCovers(text);
      if ('ids' in expanded) expanded.ids.forEach((id) => ids.add(id));
    });
    return [...ids];
  }

  private checkDuration(path: Path, ms: number | undefined): void {
    if (ms !== undefined && ms > hourMs)
      this.report(path, `${formatDuration(ms)} is longer than an hour, the longest that anything may take`);
  }

  private readItems(images: ReadonlyMap<string, string>): ScenarioItem[] {
    const steps = this.data.steps;
    if (steps === undefined) {
      this.missingTop('steps', '"steps" is missing: a list of steps and checks');
      return [];
    }
    if (!Array.isArray(steps)) {
      this.report(['steps'], `expected a list of steps and checks, got ${shown(steps)}`);
      return [];
    }
    if (steps.length === 0)
      this.report(['steps'], 'the list of steps is empty: a scenario does or checks something', 'key');

    for (const item of steps) {
      if (!isDataMap(item) || 'check' in item) continue;
      const on = typeof item.on === 'string' ? [item.on] : Array.isArray(item.on) ? item.on : this.hostNames;
      for (const host of on) {
        if (typeof host === 'string')
          this.texts.set(host, [
            ...(this.texts.get(host) ?? []),
            ...textsIn(pick(item, (key) => !stepFrameKeys.has(key))),
          ]);
      }
    }
    return steps.flatMap((item, index) => this.readItem(item, index, images) ?? []);
  }

  private readItem(item: Data, index: number, images: ReadonlyMap<string, string>): ScenarioItem | null {
    const path: Path = ['steps', index];
    const stepNames = this.kinds.steps.map((kind) => kind.name);
    const checkNames = this.kinds.checks.map((kind) => kind.name);
    if (!isDataMap(item)) {
      this.report(path, `expected a step (\`run: …\`) or a check (\`check: …\`), got ${shown(item)}`);
      return null;
    }
    if ('check' in item && 'step' in item) {
      this.report([...path, 'check'], 'an item is a step or a check, not both: make two items of it', 'key');
      return null;
    }
    if ('check' in item) return this.readCheck(item, index, images);
    if ('step' in item || stepNames.some((name) => name in item)) return this.readStep(item, index, images);
    if (checkNames.some((name) => name in item)) return this.readCheck(item, index, images);

    const known = ['step', 'check', ...stepNames, ...checkNames];
    const typo = Object.keys(item).find(
      (key) => !stepFrameKeys.has(key) && !checkFrameKeys.has(key) && nearest(key, known) !== null,
    );
    if (typo !== undefined) this.report([...path, typo], `unknown key ${shown(typo)}${suggestion(typo, known)}`, 'key');
    else
      this.report(
        path,
        `neither a step (${stepNames.join(', ')}) nor a check (\`check: …\` with ${checkNames.join(', ')})`,
      );
    return null;
  }

  private readStep(item: DataMap, index: number, images: ReadonlyMap<string, string>): StepItem | null {
    const path: Path = ['steps', index];
    const before = this.mistakes;
    const names = this.kinds.steps.map((kind) => kind.name);
    const marked = this.kinds.steps.filter((kind) => kind.name in item);
    // A key of one kind may bear the name of another.
    const own = marked.filter((kind) => !marked.some((other) => other !== kind && kind.name in other.schema.shape));
    const kind = own[0] ?? marked[0];
    const frame = this.parse(
      zStepFrame as z.ZodType<StepFrame>,
      pick(item, (key) => stepFrameKeys.has(key)),
      path,
    );

    if (kind === undefined) {
      const rest = Object.keys(item).filter((key) => !stepFrameKeys.has(key));
      const checkName = rest.find((key) => this.kinds.checks.some((check) => check.name === key));
      if (checkName !== undefined)
        this.report(
          [...path, 'step'],
          `\`${checkName}\` is a kind of check: its title goes into \`check:\`, not \`step:\``,
          'key',
        );
      else if (rest.length === 0)
        this.report([...path, 'step'], `this step does nothing: add one of ${names.join(', ')}`, 'key');
      else
        for (const key of rest)
          this.report(
            [...path, key],
            `unknown key ${shown(key)}${suggestion(key, names) || `; a step is one of ${names.join(', ')}`}`,
            'key',
          );
      return null;
    }
    for (const other of own.slice(1))
      this.report(
        [...path, other.name],
        `a step does one thing, and this one has \`${kind.name}\` already: make two items of it`,
        'key',
      );

    const foreign = new Set(own.slice(1).map((other) => other.name));
    for (const key of Object.keys(item)) {
      if (stepFrameKeys.has(key) || key in kind.schema.shape) continue;
      if (checkFrameKeys.has(key)) {
        foreign.add(key);
        this.report(
          [...path, key],
          key === 'covers'
            ? '`covers` belongs to checks: a step proves nothing by itself'
            : `\`${key}\` belongs to checks; a step has \`timeout\``,
          'key',
        );
      } else if (this.kinds.checks.some((check) => check.name === key)) {
        foreign.add(key);
        this.report([...path, key], `\`${key}\` is a kind of check: make an item of its own with \`check:\``, 'key');
      }
    }
    const spec = this.parse(
      strictSchema(kind) as z.ZodType<unknown>,
      pick(item, (key) => !stepFrameKeys.has(key) && !foreign.has(key)),
      path,
      [...stepFrameKeys],
    );
    const on = this.hostsOfStep(item, frame, path);
    if (frame.ok) {
      this.checkDuration([...path, 'timeout'], frame.value.timeout);
      this.checkWhen(frame.value.when, index, on, images);
    }
    if (spec.ok && frame.ok) this.checkUntil(item, spec.value, frame.value, path);
    if (!frame.ok || !spec.ok || this.mistakes > before) return null;
    return {
      kind: 'step',
      id: itemId('s', index),
      type: kind,
      spec: spec.value,
      title: frame.value.step ?? oneLine(kind.describe(spec.value)),
      source: this.source.place(path),
      when: whenOf(frame.value.when),
      timeoutMs: frame.value.timeout ?? null,
      covers: [],
      on,
    };
  }

  private hostsOfStep(item: DataMap, frame: Checked<StepFrame>, path: Path): string[] {
    if (!('on' in item)) {
      if (this.hostNames.length === 1) return [...this.hostNames];
      const misspelt = Object.keys(item).some((key) => !stepFrameKeys.has(key) && nearest(key, stepFrameKeys) === 'on');
      if (this.hostNames.length > 1 && !misspelt)
        this.report(path, `"on" is missing: on which of ${this.hostNames.join(', ')}?`);
      return [];
    }
    if (!frame.ok || frame.value.on === undefined) return [];
    frame.value.on.forEach((host, position) => {
      const at = Array.isArray(item.on) ? [...path, 'on', position] : [...path, 'on'];
      if (!this.hostNames.includes(host))
        this.report(
          at,
          `no host ${shown(host)} in this scenario${suggestion(host, this.hostNames) || `; there are ${this.hostNames.join(', ')}`}`,
        );
      else if (frame.value.on!.indexOf(host) < position) this.report(at, `${host} is named twice`);
    });
    return frame.value.on;
  }

  /** A step that may take less time than what it waits for can never wait long enough. */
  private checkUntil(item: DataMap, spec: unknown, frame: StepFrame, path: Path): void {
    const until = (spec as { until?: { within?: unknown } } | null)?.until;
    if (!isDataMap(item.until) || !('within' in item.until) || typeof until?.within !== 'number') return;
    this.checkDuration([...path, 'until', 'within'], until.within);
    if (frame.timeout !== undefined && until.within > frame.timeout) {
      this.report(
        [...path, 'until', 'within'],
        `it may wait ${formatDuration(until.within)}, and the whole step only ${formatDuration(frame.timeout)} by its \`timeout\``,
      );
    }
  }

  private readCheck(item: DataMap, index: number, images: ReadonlyMap<string, string>): CheckItem | null {
    const path: Path = ['steps', index];
    const before = this.mistakes;
    const names = this.kinds.checks.map((kind) => kind.name);
    const marked = this.kinds.checks.filter((kind) => kind.name in item);
    const kind = marked[0];
    if (!('check' in item))
      this.report([...path, kind!.name], 'a check needs a title: add `check: what must be true`', 'key');
    const frame = this.parse(
      zCheckFrame as z.ZodType<CheckFrame>,
      { check: 'untitled', ...pick(item, (key) => checkFrameKeys.has(key)) },
      path,
    );

    for (const other of marked.slice(1))
      this.report(
        [...path, other.name],
        `a check has one kind, and this one has \`${kind!.name}\` already: make two checks of it`,
        'key',
      );
    const rest = Object.keys(item).filter((key) => !checkFrameKeys.has(key) && !names.includes(key));
    const inside = kind === undefined ? [] : keysAt(kind.schema, []);
    for (const key of rest) {
      const step = this.kinds.steps.some((one) => one.name === key);
      if (kind !== undefined && inside.includes(key))
        this.report([...path, key], `\`${key}\` belongs inside \`${kind.name}:\``, 'key');
      else if (key === 'on')
        this.report([...path, key], '`on` belongs to steps: a check says inside its kind where it looks from', 'key');
      else if (step)
        this.report([...path, key], `\`${key}\` is a kind of step: make an item of its own without \`check:\``, 'key');
      else
        this.report(
          [...path, key],
          `unknown key ${shown(key)}${suggestion(key, kind === undefined ? [...names, ...checkFrameKeys] : checkFrameKeys) || (kind === undefined ? `; kinds of checks are ${names.join(', ')}` : `; known here: ${[...checkFrameKeys].join(', ')}`)}`,
          'key',
        );
    }
    if (kind === undefined) {
      if (rest.length === 0)
        this.report([...path, 'check'], `this check checks nothing: add one of ${names.join(', ')}`, 'key');
      return null;
    }

    const spec = this.parse(kind.schema as z.ZodType<unknown>, item[kind.name], [...path, kind.name]);
    let hosts: string[] = [];
    if (spec.ok) {
      const uses = kind.endpoints(spec.value);
      for (const use of uses) this.checkEndpoint(use, [...path, kind.name], item, images);
      const vacuous = kind.cannotFail?.(spec.value);
      if (vacuous) this.report([...path, kind.name, ...vacuous.path], `this check cannot fail: ${vacuous.why}`);
      hosts = [...new Set(uses.flatMap((use) => parseVantage(use.endpoint)?.host ?? []))].filter((host) =>
        this.hostNames.includes(host),
      );
    }
    let covers: string[] = [];
    if (frame.ok) {
      const { within, timeout } = frame.value;
      const holdsFor = frame.value['holds-for'];
      covers = this.covers(frame.value.covers);
      this.checkDuration([...path, 'within'], within);
      this.checkDuration([...path, 'holds-for'], holdsFor);
      this.checkDuration([...path, 'timeout'], timeout);
      if (within !== undefined && timeout !== undefined && timeout > within) {
        this.report(
          [...path, 'timeout'],
          `one attempt may take ${formatDuration(timeout)}, and it must become true within ${formatDuration(within)}`,
        );
      }
      if (
        within !== undefined &&
        holdsFor !== undefined &&
        within <= hourMs &&
        holdsFor <= hourMs &&
        within + holdsFor > hourMs
      ) {
        this.report(
          [...path, 'holds-for'],
          `\`within\` and \`holds-for\` together are longer than an hour, the longest that anything may take`,
        );
      }
      this.checkWhen(frame.value.when, index, hosts.length > 0 ? hosts : this.hostNames, images);
    }
    if (!frame.ok || !spec.ok || this.mistakes > before) return null;
    return {
      kind: 'check',
      id: itemId('c', index),
      type: kind,
      spec: spec.value,
      title: frame.value.check,
      source: this.source.place(path),
      when: whenOf(frame.value.when),
      timeoutMs: frame.value.timeout ?? null,
      withinMs: frame.value.within ?? null,
      holdsForMs: frame.value['holds-for'] ?? null,
      covers,
    };
  }

  private checkWhen(
    when: WhenShape | undefined,
    index: number,
    hosts: readonly string[],
    images: ReadonlyMap<string, string>,
  ): void {
    if (when === undefined) return;
    let seen = this.whens.get(index);
    if (seen === undefined) {
      seen = { path: ['steps', index, 'when'], possible: false, have: new Set() };
      this.whens.set(index, seen);
    }
    // Seen from hosts without an engine (a router, a client), the condition is about the lab's engines.
    const none =
      when.engine !== undefined && hosts.every((host) => images.has(host) && !this.hasEngine(host, images.get(host)));
    for (const host of none ? this.hostNames : hosts) {
      const image = images.get(host);
      // A host with a mistake about its image leaves the question open.
      if (image === undefined) {
        seen.possible = true;
        continue;
      }
      const engine = this.hasEngine(host, image) ? imageEngine(image) : null;
      seen.have.add(`${host} is ${image}${engine === null ? ' without an engine' : ` with engine ${engine.version}`}`);
      const imageFits = when.image === undefined || when.image.includes(image);
      const versionFits = when.engine === undefined || (engine !== null && engineMayFit(image, when.engine));
      if (imageFits && versionFits) seen.possible = true;
    }
  }

  private checkEndpoint(use: EndpointUse, base: Path, item: DataMap, images: ReadonlyMap<string, string>): void {
    const path = [...base, ...use.path];
    const target = use.role === 'vantage' ? parseVantage(use.endpoint) : parseTarget(use.endpoint, this.hostNames);
    if (target === null) {
      return this.report(
        path,
        use.role === 'vantage'
          ? `expected a host, host/container or host/netns:name, got ${shown(use.endpoint)}`
          : `expected an endpoint, an address or a name to resolve, got ${shown(use.endpoint)}`,
      );
    }
    if (target.kind === 'address') return;
    if (target.kind === 'name') return this.checkName(target.name, path, item);
    if (!this.hostNames.includes(target.host)) {
      return this.report(
        path,
        `no host ${shown(target.host)} in this scenario${suggestion(target.host, this.hostNames) || `; there are ${this.hostNames.join(', ')}`}`,
      );
    }
    if (target.kind === 'container') this.checkContainer(target.host, target.container, path, images);
    if (target.kind === 'netns') {
      const texts = this.texts.get(target.host) ?? [];
      // A name that the shell puts together is not known before it runs.
      if (texts.some((text) => mentions(text, target.netns) || /netns[^\n]*\$/.test(text))) return;
      this.report(path, `no step creates the network namespace ${target.netns} on ${target.host}`);
    }
  }

  private declaredContainers(host: string): string[] {
    return Object.keys(this.hosts.get(host)?.docker?.containers ?? {});
  }

  private createsContainer(host: string, container: string): boolean {
    if (this.declaredContainers(host).includes(container)) return true;
    return (this.texts.get(host) ?? []).some((text) => {
      if (mentions(text, container)) return true;
      // `--name web$i` and Compose projects make names that are not known before they run.
      for (const [, prefix] of text.matchAll(/--name[= ]\s*["']?([\w.-]*)[$`{]/g))
        if (container.startsWith(prefix!)) return true;
      return /docker[- ]compose\b/.test(text);
    });
  }

  private checkContainer(host: string, container: string, path: Path, images: ReadonlyMap<string, string>): void {
    if (this.hosts.has(host) && !this.hasEngine(host, images.get(host)))
      return this.report(path, `${host} has no engine, so no containers${this.whyNoEngine(host)}`);
    if (this.createsContainer(host, container)) return;
    const named = (name: string): string[] => [
      ...this.declaredContainers(name),
      ...(this.texts.get(name) ?? []).flatMap((text) =>
        [...text.matchAll(/--name[= ]\s*["']?([A-Za-z0-9][\w.-]+)/g)].map((match) => match[1]!),
      ),
    ];
    const elsewhere = this.hostNames.filter((other) => other !== host && named(other).includes(container));
    const hint =
      elsewhere.length > 0 ? `; ${elsewhere.join(', ')} has one of that name` : suggestion(container, named(host));
    this.report(path, `no step creates the container ${container} on ${host}${hint}`);
  }

  /** A name to resolve may be anything, but one that is nearly a host's, and stands nowhere else, is a slip of the pen. */
  private checkName(name: string, path: Path, item: DataMap): void {
    if (name.includes('.') || name.length < 3) return;
    const close = nearest(name, this.hostNames);
    if (close === null || sameButDigits(close, name)) return;
    const everywhere = [
      ...[...this.texts.values()].flat(),
      ...this.hostNames.flatMap((host) => textsIn(isDataMap(this.data.hosts) ? this.data.hosts[host] : undefined)),
      ...this.hostNames.flatMap((host) => this.declaredContainers(host)),
    ];
    if (everywhere.some((text) => mentions(text, name))) return;
    if (textsIn(item).some((text) => ['unknown-host', 'nxdomain', 'servfail', 'no-answer'].includes(text))) return;
    this.report(
      path,
      `no host ${shown(name)} in this scenario, and nothing in it makes such a name; did you mean ${shown(close)}?`,
    );
  }
}

/** `node3` beside `node1` is a name somebody chose, `nod1` is not. */
function sameButDigits(a: string, b: string): boolean {
  return a.replace(/\d+/g, '#') === b.replace(/\d+/g, '#');
}

function itemId(letter: 's' | 'c', index: number): string {
  return `${letter}${String(index + 1).padStart(2, '0')}`;
}

function whenOf(when: WhenShape | undefined): When | null {
  if (when === undefined) return null;
  return {
    ...(when.engine === undefined ? {} : { engine: when.engine }),
    ...(when.image === undefined ? {} : { image: when.image }),
  };
}

function oneLine(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > 160 ? `${line.slice(0, 159)}…` : line;
}

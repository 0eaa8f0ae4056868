import type { z } from 'zod';
import type { EndpointUse } from '../../checks/kind.js';
import { parseTarget, parseVantage } from '../../language/endpoint.js';
import type { SavedValue } from '../../model/saved.js';
import type { Path } from '../diagnostic.js';
import { check as checkShape } from '../issues.js';
import type { Checked, Problem } from '../issues.js';
import {
  asWritten,
  samplesFor,
  savedUses,
  saying,
  valuesFor,
  withoutSamples,
  withUses,
  type SavedUse,
} from '../saved-values.js';
import type { LateValues } from '../scenario.js';
import type { Data } from '../source.js';
import type { ItemPlace, Reading } from './reading.js';

/** More ways to fill an item's references than anybody will ever wait for. */
const maxTries = 2000;

export interface LateSpec<Spec> {
  checked: Checked<Spec>;
  late: LateValues | null;
}

interface SpecPlace {
  /** Where the spec's data stands: the item, or the kind's key in it. */
  base: Path;
  item: ItemPlace;
  otherKeys?: readonly string[];
  /** The endpoints of a spec, which must name hosts of the lab once the values are known. */
  endpoints?: (spec: unknown) => EndpointUse[];
  hostNames: ReadonlySet<string>;
}

/**
 * Parses the data of an item, in which values may stand that earlier steps save: until they are known samples stand for them,
 * so that all else is validated before anything runs. Once they are, `late` makes the spec that runs.
 */
export function parseLateSpec<Spec>(
  reading: Reading,
  schema: z.ZodType<Spec>,
  data: Data,
  place: SpecPlace,
): LateSpec<Spec> {
  const { base, otherKeys = [] } = place;
  const known = [...reading.saved.first].filter(([, first]) => first < place.item.index).map(([name]) => name);
  const uses = known.length === 0 ? [] : savedUses(data, base, known);
  if (uses.length === 0) return { checked: reading.mistakes.parse(schema, data, base, otherKeys), late: null };
  const names = [...new Set(uses.flatMap((use) => use.names))];
  const fill = (values: readonly Data[]): Checked<Spec> =>
    checkShape(schema, withUses(data, base, uses, values), base, otherKeys);
  const checked = firstThatFits(
    uses.map((use) => samplesFor(use, names)),
    fill,
  );
  if (!checked.ok) {
    reading.mistakes.tell(checked.problems.map((problem) => wordedForUse(problem, uses)));
    return { checked, late: null };
  }
  return {
    checked,
    late: {
      names,
      shown: (text) => withoutSamples(text, names),
      resolve: (values) => resolved(reading, schema, data, place, uses, values),
    },
  };
}

/** Every way to choose one of each; those that choose alike first. */
function* choices(options: readonly (readonly Data[])[]): Generator<Data[]> {
  const most = Math.max(...options.map((one) => one.length));
  for (let at = 0; at < most; at += 1) yield options.map((one) => one[Math.min(at, one.length - 1)]!);
  const indices = options.map(() => 0);
  for (;;) {
    yield indices.map((index, at) => options[at]![index]!);
    let at = 0;
    while (at < indices.length && indices[at]! + 1 >= options[at]!.length) indices[at++] = 0;
    if (at === indices.length) return;
    indices[at]! += 1;
  }
}

/** The first choice without a problem, or the one with the fewest. */
function firstThatFits<Spec>(
  options: readonly (readonly Data[])[],
  fill: (values: Data[]) => Checked<Spec>,
): Checked<Spec> {
  let best: Checked<Spec> | null = null;
  let tries = 0;
  for (const choice of choices(options)) {
    const checked = fill(choice);
    if (checked.ok) return checked;
    if (best === null || (!best.ok && checked.problems.length < best.problems.length)) best = checked;
    if ((tries += 1) >= maxTries) break;
  }
  return best!;
}

function isAt(problem: Problem, use: SavedUse): boolean {
  const length = Math.min(problem.path.length, use.path.length);
  return problem.path.slice(0, length).every((part, at) => part === use.path[at]);
}

/** A field that takes one of a few words cannot wait for its value. */
function wordedForUse(problem: Problem, uses: readonly SavedUse[]): Problem {
  // A key that has no place is no matter of its value.
  if (problem.at === 'key' || !uses.some((one) => isAt(problem, one))) return problem;
  const expected = problem.message.replace(/, got .*$/s, '');
  return { ...problem, message: `a value that is known at run time only cannot stand here: ${expected}` };
}

function resolved<Spec>(
  reading: Reading,
  schema: z.ZodType<Spec>,
  data: Data,
  place: SpecPlace,
  uses: readonly SavedUse[],
  values: ReadonlyMap<string, SavedValue>,
): { spec: unknown } | { message: string } {
  const { base, otherKeys = [] } = place;
  const options = uses.map((use) => valuesFor(use, values));
  const checked = firstThatFits(options, (choice) =>
    checkShape(schema, withUses(data, base, uses, choice), base, otherKeys),
  );
  const wrong = (path: Path, message: string, use: SavedUse | undefined): { message: string } => {
    const { file, line, column } = reading.source.diagnostic(path, message);
    const said = use === undefined ? '' : ` (${saying(use.names, values)})`;
    return { message: `${file}:${line}:${column}: ${asWritten(message)}${said}` };
  };
  if (!checked.ok) {
    const problem = checked.problems[0]!;
    return wrong(
      problem.path,
      problem.message,
      uses.find((use) => isAt(problem, use)),
    );
  }
  for (const use of place.endpoints?.(checked.value) ?? []) {
    const target = use.role === 'vantage' ? parseVantage(use.endpoint) : parseTarget(use.endpoint, place.hostNames);
    const path = [...base, ...use.path];
    const from = uses.find((one) => one.path.every((part, at) => part === path[at]));
    if (target === null) return wrong(path, `${use.endpoint} is no endpoint`, from);
    if ('host' in target && !place.hostNames.has(target.host))
      return wrong(path, `no host ${JSON.stringify(target.host)} in this scenario`, from);
  }
  return { spec: checked.value };
}

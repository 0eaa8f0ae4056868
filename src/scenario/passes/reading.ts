import type { Catalogue } from '../covers.js';
import type { Path } from '../diagnostic.js';
import type { Kinds } from '../kinds.js';
import type { SavedNames } from '../saved-values.js';
import type { DataMap, ScenarioSource } from '../source.js';
import type { Scalar } from '../variables.js';
import type { DeclaredVariables } from './declared-variables.js';
import type { Mistakes } from './mistakes.js';
import type { WhenSeen } from './when.js';

/** One scenario of a file on its way to be a `Scenario`: what every pass over it looks at. */
export interface Reading {
  readonly source: ScenarioSource;
  /** Of the scenario, absolute. */
  readonly absoluteFile: string;
  /** The file's content with this scenario's variables replaced. */
  readonly data: DataMap;
  readonly matrix: ReadonlyMap<string, Scalar>;
  readonly kinds: Kinds;
  /** Whether the hosts are machines that exist already. */
  readonly given: boolean;
  /** What `covers` may name; `null`: any id. */
  readonly catalogue: Catalogue | null;
  readonly mistakes: Mistakes;
  /** By the place of the condition. Shared by all scenarios of the file. */
  readonly whens: Map<string, WhenSeen>;
  /** The variables that an item at a path sees. */
  readonly variablesOf: (path: Path) => ReadonlyMap<string, Scalar>;
  /** Values that nobody is to read, by the names of their variables. */
  readonly secrets: ReadonlyMap<string, string>;
  /** What an exercise draws for each student, and what was drawn here. */
  readonly parameters: DeclaredVariables['parameters'];
  /** Names of values that steps save. */
  readonly saved: SavedNames;
  /** Names of variables that something in the file depends on. */
  readonly used: Set<string>;
}

/** Where an item stands: in `steps` or `finally`. */
export interface ItemPlace {
  path: Path;
  /** Counted over all items of the file. */
  index: number;
}

/** The part of a map whose keys are wanted. */
export function pick(data: DataMap, keep: (key: string) => boolean): DataMap {
  const out = Object.create(null) as DataMap;
  for (const [key, value] of Object.entries(data)) if (keep(key)) out[key] = value;
  return out;
}

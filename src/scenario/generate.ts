import { scenarioJsonSchema } from './json-schema.js';
import { builtInKinds } from './kinds.js';
import type { Kinds } from './kinds.js';
import { migratingMarkdown } from './migrating-page.js';
import { scenarioReferenceMarkdown } from './reference.js';

/** Files that are made from the language's definitions, as paths below the package's root with their content. */
export function generatedScenarioFiles(kinds: Kinds = builtInKinds): Map<string, string> {
  return new Map([
    ['schema/scenario.schema.json', `${JSON.stringify(scenarioJsonSchema(kinds), null, 2)}\n`],
    ['docs/migrating.md', migratingMarkdown()],
    ['docs/scenario-reference.md', scenarioReferenceMarkdown(kinds)],
  ]);
}

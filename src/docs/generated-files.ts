import { generatedScenarioFiles } from '../scenario/generate.js';
import { classSchemaJson } from './class-schema.js';
import { cliReferenceMarkdown } from './cli-reference.js';
import { causesReferenceMarkdown } from './causes-reference.js';
import { errorsReferenceMarkdown } from './errors-reference.js';

/** Every file of the project that is made from its code: path from the project's root, and what must stand in it. */
export function generatedFiles(): { path: string; content: string }[] {
  return [...[...generatedScenarioFiles()].map(([path, content]) => ({ path, content })), { path: 'docs/errors.md', content: errorsReferenceMarkdown() }, { path: 'docs/causes.md', content: causesReferenceMarkdown() }, { path: 'docs/cli.md', content: cliReferenceMarkdown() }, { path: 'schema/class.schema.json', content: classSchemaJson() }];
}

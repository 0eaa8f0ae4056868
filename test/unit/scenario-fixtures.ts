import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { readCatalogue } from '../../src/scenario/catalogue.js';
import { composeScenario } from '../../src/scenario/compose.js';
import type { Catalogue } from '../../src/scenario/covers.js';
import type { Diagnostic } from '../../src/scenario/diagnostic.js';
import type { Scenario } from '../../src/scenario/scenario.js';
import { readSource } from '../../src/scenario/source.js';
import { validateSource } from '../../src/scenario/validate.js';
import { testKinds } from './scenario-kinds.js';

/** The package's root, seen from the compiled test. */
export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
export const fixtures = path.join(root, 'test/fixtures/scenarios');

/** What the fixtures' `covers` may name. */
const { catalogue } = readCatalogue(readFileSync(path.join(fixtures, 'items.yaml'), 'utf8'), 'items.yaml');

export interface Read {
  scenarios: Scenario[];
  diagnostics: Diagnostic[];
}

/** Validates a text with the small language of these tests. */
export function validateText(text: string, catalogue: Catalogue | null = null): Read {
  const file = '/labs/lab.yaml';
  const { source, cases } = composeScenario(readSource(text, 'lab.yaml'), file);
  return validateSource(source, file, testKinds, { cases, catalogue });
}

export function validateFixture(name: string): Read {
  return validateText(readFileSync(path.join(fixtures, name), 'utf8'), catalogue);
}

/** `line:column message` of each. */
export function lines(diagnostics: readonly Diagnostic[]): string[] {
  return diagnostics.map((one) => `${one.line}:${one.column} ${one.message}`);
}

/** A valid scenario around some lines of `steps:`, on node1 and node2 with one segment. */
export function lab(steps: string, top = ''): string {
  return `scenario: lab
title: A lab
${top}hosts: { node1: , node2: }
segments: { lan: { subnet: 10.0.0.0/24, hosts: [node1, node2] } }
steps:
${steps}
`;
}

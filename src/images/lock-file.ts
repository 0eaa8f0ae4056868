import { z } from 'zod';
import type { Pins } from './pins.js';

const zPins = z.strictObject({
  version: z.literal(1),
  images: z.record(z.string(), z.string().regex(/^sha256:[0-9a-f]{64}$/)),
  packages: z.record(z.string(), z.record(z.string(), z.string())),
});

/** The lock file of a scenario file: `lab.yaml` has `lab.lock.json` beside it. */
export function lockFileOf(scenario: string): string {
  return `${scenario.replace(/\.ya?ml$/i, '')}.lock.json`;
}

/** Reads the text of a lock file, or says why it is none. */
export function parsePins(text: string): Pins | { problem: string } {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    return { problem: 'it is not JSON' };
  }
  const parsed = zPins.safeParse(data);
  if (parsed.success) return { images: parsed.data.images, packages: parsed.data.packages };
  const [issue] = parsed.error.issues;
  return { problem: `${issue?.path.join('.') || 'it'}: ${issue?.message ?? 'not as it should be'}` };
}

export function printPins({ images, packages }: Pins): string {
  const sorted = <T>(record: Record<string, T>): Record<string, T> =>
    Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
  const versions = Object.fromEntries(Object.entries(sorted(packages)).map(([name, all]) => [name, sorted(all)]));
  return `${JSON.stringify({ version: 1, images: sorted(images), packages: versions }, null, 2)}\n`;
}

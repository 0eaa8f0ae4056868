import { z } from 'zod';
import type { RunEvent } from '../model/events.js';
import { causes, verdicts } from '../model/verdict.js';

/**
 * The shape of every event, for the door through which a record comes in: a file that anybody may have written. What fits
 * may have more fields than are named here (a later version only adds), and keeps them.
 */

const text = z.string();
const texts = z.array(text);
const level = z.enum(['info', 'warn', 'error']);
const attachment = z.looseObject({ title: text, file: text, mime: text });

const planned = z.looseObject({
  id: text,
  kind: z.enum(['step', 'check']),
  type: text,
  title: text,
  detail: text,
  line: z.number(),
  column: z.number(),
  covers: texts,
  file: text.optional(),
  text: text.optional(),
  last: z.literal(true).optional(),
  level: z.literal('warning').optional(),
});

const topology = z.looseObject({
  hosts: z.array(
    z.looseObject({
      name: text,
      image: text,
      init: text,
      interfaces: z.array(z.looseObject({ name: text, segment: text, address: text })),
    }),
  ),
  segments: z.array(z.looseObject({ name: text, mtu: z.number().optional() })),
});

const engine = z.looseObject({
  host: text,
  version: text,
  networks: z.array(z.looseObject({ name: text, driver: text, scope: text, subnet: text })),
  containers: z.array(
    z.looseObject({
      name: text,
      image: text,
      state: text,
      networks: z.array(z.looseObject({ name: text, address: text })),
      ports: texts,
    }),
  ),
});

const transcript = z.looseObject({
  host: text,
  command: text,
  exitCode: z.number().nullable(),
  signal: text.optional(),
  timedOut: z.boolean().optional(),
  durationMs: z.number(),
  stdout: text,
  stderr: text,
  stdoutBytes: z.number(),
  stderrBytes: z.number(),
});

const outcome = z.looseObject({
  verdict: z.enum(verdicts),
  cause: z.enum(causes).optional(),
  reason: text,
  expected: text.optional(),
  actual: text.optional(),
  again: z.looseObject({ on: text, command: text }).optional(),
  controls: z.array(z.looseObject({ title: text, held: z.boolean(), seen: text })).optional(),
  measures: z
    .array(z.looseObject({ name: text, value: z.number(), unit: z.enum(['ms', 'bytes', 'count', 'percent']) }))
    .optional(),
  attachments: z.array(attachment).optional(),
  output: z.array(z.looseObject({ title: text, text })).optional(),
  table: z.array(texts).optional(),
});

const scenarioPlan = {
  scenario: text,
  file: text,
  title: text,
  description: text,
  text: text.optional(),
  tags: texts,
  covers: texts,
  matrix: z.record(text, text),
  provider: text,
  planned: z.array(planned),
  topology,
};

/** One shape a type: the compiler asks for a new type's shape here. */
const bodies: Record<RunEvent['type'], z.ZodType> = {
  'run:start': z.looseObject({ netrig: text, node: text, kernel: text, argv: texts, cwd: text }),
  'scenario:plan': z.looseObject(scenarioPlan),
  'scenario:start': z.looseObject({ ...scenarioPlan, attempt: z.number() }),
  phase: z.looseObject({
    scenario: text,
    phase: z.enum(['image', 'boot', 'provision', 'teardown']),
    state: z.enum(['start', 'end']),
    host: text.optional(),
    text,
    durationMs: z.number().optional(),
  }),
  isolation: z.looseObject({ scenario: text, mode: z.enum(['users', 'none']), text }),
  'item:start': z.looseObject({ scenario: text, item: text }),
  command: z.looseObject({ scenario: text, item: text.nullable(), transcript }),
  'item:end': z.looseObject({
    scenario: text,
    item: text,
    outcome,
    attempts: z.number(),
    durationMs: z.number(),
  }),
  engine: z.looseObject({ scenario: text, state: engine }),
  log: z.looseObject({ scenario: text.nullable(), level, text }),
  lost: z.looseObject({ events: z.number().int().positive() }),
  artifact: z.looseObject({ scenario: text, item: text.nullable(), attachment }),
  'scenario:end': z.looseObject({
    scenario: text,
    durationMs: z.number(),
    error: z.looseObject({ code: text, message: text }).optional(),
    stays: text.optional(),
  }),
  'run:end': z.looseObject({ durationMs: z.number(), interrupted: z.boolean(), failures: z.number().optional() }),
};

const stamp = z.looseObject({
  v: z.literal(1),
  // Some instant that Date knows: reports do sums with it.
  t: z.string().refine((t) => Number.isFinite(Date.parse(t))),
  pid: z.number(),
  type: z.string(),
});

/** The value as an event, or `null` when it is none of this version: an unknown type, a field of another kind or missing. */
export function eventOf(value: unknown): RunEvent | null {
  const head = stamp.safeParse(value);
  if (!head.success || !Object.hasOwn(bodies, head.data.type)) return null;
  return bodies[head.data.type as RunEvent['type']].safeParse(value).success ? (value as RunEvent) : null;
}

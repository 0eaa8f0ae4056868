import { z } from 'zod';
import type { CheckKind, EndpointUse } from '../../src/checks/kind.js';
import { zCauses, zDuration, zEndpoint, zPort, zTarget } from '../../src/language/fields.js';
import type { Kinds } from '../../src/scenario/kinds.js';
import type { StepKind } from '../../src/steps/kind.js';

/** A language small enough that tests of the language do not change with every new kind. Nothing here is ever run. */

const neverRun = (): never => {
  throw new Error('kinds of these tests are not run');
};

const run: StepKind = {
  name: 'run',
  repeatable: false,
  summary: 'Runs a command.',
  example: 'on: node1\nrun: ip link',
  schema: z.object({
    run: z.string().min(1).describe('Command line.'),
    stdin: z.string().optional().describe('Input.'),
  }),
  describe: (spec) => (spec as { run: string }).run,
  run: neverRun,
};

const start: StepKind = {
  name: 'start',
  repeatable: false,
  summary: 'Starts a process.',
  example: 'on: node1\nstart: sleep 60',
  schema: z.strictObject({
    start: z.string().min(1).describe('Command line.'),
    until: z
      .strictObject({
        tcp: z.string().optional().describe('Address and port.'),
        within: zDuration.default(30_000).describe('Deadline.'),
      })
      .optional()
      .describe('Readiness.'),
  }),
  describe: (spec) => (spec as { start: string }).start,
  run: neverRun,
};

const write: StepKind = {
  name: 'write',
  repeatable: true,
  summary: 'Writes a file.',
  example: 'on: node1\nwrite: /etc/motd\ncontent: hello',
  schema: z.strictObject({ write: z.string().describe('Path.'), content: z.string().describe('Content.') }),
  describe: (spec) => `writes ${(spec as { write: string }).write}`,
  run: neverRun,
};

interface PingSpec {
  from: string;
  to: string | string[];
}

const pingShape = z.strictObject({
  from: zEndpoint.describe('Source.'),
  to: z.union([zTarget, z.array(zTarget).min(1)]).describe('Target or targets.'),
  count: z.int().min(1).max(100).default(3).describe('Packets.'),
  size: z.int().min(0).optional().describe('Bytes.'),
  expect: z
    .union([z.literal('reply'), z.strictObject({ fails: zCauses.describe('Causes.') })])
    .default('reply')
    .describe('What must happen.'),
});

const ping: CheckKind = {
  name: 'ping',
  mayChange: () => null,
  summary: 'Pings.',
  example: 'check: they meet\nping: { from: node1, to: node2 }',
  schema: pingShape,
  endpoints: (spec) => {
    const { from, to } = spec as PingSpec;
    const targets: EndpointUse[] = Array.isArray(to)
      ? to.map((endpoint, index) => ({ endpoint, path: ['to', index], role: 'target' }))
      : [{ endpoint: to, path: ['to'], role: 'target' }];
    return [{ endpoint: from, path: ['from'], role: 'vantage' }, ...targets];
  },
  describe: (spec) => `${(spec as PingSpec).from} pings ${String((spec as PingSpec).to)}`,
  run: neverRun,
};

const port: CheckKind = {
  name: 'port',
  mayChange: () => null,
  summary: 'Connects.',
  example: 'check: open\nport: { from: node1, to: node2, port: 80 }',
  schema: z.strictObject({
    from: zEndpoint,
    to: zTarget,
    port: zPort,
    protocol: z.enum(['tcp', 'udp']).default('tcp').describe('Protocol.'),
  }),
  endpoints: (spec) => {
    const { from, to } = spec as { from: string; to: string };
    return [
      { endpoint: from, path: ['from'], role: 'vantage' },
      { endpoint: to, path: ['to'], role: 'target' },
    ];
  },
  describe: (spec) => `${(spec as PingSpec).from} connects`,
  run: neverRun,
};

export const testKinds: Kinds = { steps: [run, start, write], checks: [ping, port] };

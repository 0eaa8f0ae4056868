import { z } from 'zod';
import { mapOrAssignments, oneOrMany, zDockerName, zText } from '../language/fields.js';
import { shown } from '../language/wording.js';

/** Keys of a container beyond what it is, in Compose’s words: its health, what it waits for, what it may use. */

const zSpan = z
  .string({ error: (issue) => `expected a duration such as 30s or 1m30s, got ${shown(issue.input)}` })
  .regex(/^(?:\d+(?:\.\d+)?(?:us|ms|s|m|h))+$/, {
    error: (issue) => `expected a duration such as 30s or 1m30s, got ${shown(issue.input)}`,
  });

const zBytes = z
  .union([z.int().min(0), z.string()], { error: (issue) => `expected a size such as 256m, got ${shown(issue.input)}` })
  .transform(String)
  .refine((text) => /^\d+(?:\.\d+)?(?:[bkmg]b?)?$/i.test(text), {
    error: (issue) => `expected a size such as 256m or 1g, got ${shown(issue.input)}`,
  });

const zProcessors = z
  .union([z.number(), z.string()])
  .transform(String)
  .refine((text) => /^\d*\.?\d+$/.test(text) && Number(text) > 0, {
    error: (issue) => `expected a number of processors such as 0.5, got ${shown(issue.input)}`,
  });

function isHealthTest([kind, ...words]: readonly string[]): boolean {
  if (kind === 'CMD') return words.length > 0;
  return words.length === (kind === 'CMD-SHELL' ? 1 : 0) && (kind === 'CMD-SHELL' || kind === 'NONE');
}

const zHealthcheck = z.strictObject({
  test: z
    .union([z.string().min(1), z.array(z.string())])
    .refine((test) => typeof test === 'string' || isHealthTest(test), {
      error: (issue) =>
        `expected a command, or a list that begins with CMD, CMD-SHELL or NONE, got ${shown(issue.input)}`,
    })
    .optional()
    .describe('Command that says by exit status 0 that all is well: a text, or a list after `CMD` or `CMD-SHELL`.'),
  interval: zSpan.optional().describe('Time between two attempts. Default: 30s.'),
  timeout: zSpan.optional().describe('Time that one may take. Default: 30s.'),
  start_period: zSpan.optional().describe('Time after the start in which failures do not count.'),
  retries: z.int().min(1).optional().describe('Failures in a row that make it unhealthy. Default: 3.'),
  disable: z.boolean().optional().describe('None, not even the image’s own.'),
});

const conditions = ['service_started', 'service_healthy', 'service_completed_successfully'] as const;

/** What a container waits for in another one. */
export type StartCondition = (typeof conditions)[number];

const zDependsOn = z
  .union([
    z.array(zDockerName),
    z.record(
      zDockerName,
      z.strictObject({
        condition: z
          .enum(conditions, {
            error: (issue) => `expected ${conditions.join(', ')}, got ${shown(issue.input)}`,
          })
          .default('service_started')
          .describe('What it waits for.'),
      }),
    ),
  ])
  .transform((value): Record<string, StartCondition> =>
    Array.isArray(value)
      ? Object.fromEntries(value.map((name) => [name, 'service_started' as const]))
      : Object.fromEntries(Object.entries(value).map(([name, { condition }]) => [name, condition])),
  );

const zUlimit = z.union(
  [
    z.int().min(-1),
    z.strictObject({
      soft: z.int().min(-1).describe('What holds until a process asks for more.'),
      hard: z.int().min(-1).describe('The most that a process may ask for.'),
    }),
  ],
  {
    error: (issue) => `expected a number, or \`{ soft, hard }\`, got ${shown(issue.input)}`,
  },
);

/** The keys, for the schema of a container. */
export const containerKeys = {
  depends_on: zDependsOn
    .optional()
    .describe(
      'Containers of the host that are started before it: a list, or a map with a `condition` that it waits for (`service_healthy`, `service_completed_successfully`).',
    ),
  healthcheck: zHealthcheck.optional().describe('How the engine finds out whether it is well.'),
  stop_grace_period: zSpan.optional().describe('Time that it has to end when it is stopped. Default: 10s.'),
  mem_limit: zBytes.optional().describe('Memory: `256m`.'),
  mem_reservation: zBytes.optional().describe('Memory that it is left with where memory runs short.'),
  memswap_limit: zBytes.optional().describe('Memory and swap together.'),
  shm_size: zBytes.optional().describe('Size of /dev/shm. Default: 64m.'),
  cpus: zProcessors.optional().describe('Processors’ worth of time: `0.5`.'),
  cpu_shares: z.int().min(2).optional().describe('Weight among the containers where processors run short.'),
  cpuset: zText.optional().describe('Processors that it may use: `0-1`.'),
  pids_limit: z.int().min(-1).optional().describe('Processes and threads.'),
  ulimits: z
    .record(z.string().regex(/^[a-z]+$/), zUlimit)
    .optional()
    .describe('Limits of its processes: `nofile: 1024`, or `{ soft, hard }`.'),
  security_opt: z.array(z.string().min(1)).optional().describe('Options of security: `no-new-privileges:true`.'),
  devices: z.array(z.string().min(1)).optional().describe('Devices of the host: `/dev/net/tun`.'),
  group_add: z.array(zText).optional().describe('Further groups of its user.'),
  pid: z.string().min(1).optional().describe('`host`: the host’s processes are in sight.'),
  ipc: z.string().min(1).optional().describe('`host`, `private`, `shareable` or `none`.'),
  mac_address: z.string().min(1).optional().describe('Hardware address on its first network.'),
  logging: z
    .strictObject({
      driver: z.string().min(1).optional().describe('Driver: `json-file`, `local`, `none`, …'),
      options: mapOrAssignments('option').optional().describe('Options of the driver.'),
    })
    .optional()
    .describe('Where the engine keeps what it writes.'),
};

/** Names of profiles of a Compose file. */
export const zProfiles = oneOrMany(
  z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/, {
    error: (issue) => `expected the name of a profile, got ${shown(issue.input)}`,
  }),
);

/** What these keys say of one container. */
export type ContainerKeys = { [Key in keyof typeof containerKeys]?: z.output<(typeof containerKeys)[Key]> };

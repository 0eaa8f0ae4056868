import { z } from 'zod';
import { hostImageRows } from '../images/host-image.js';
import { dnsNamePattern } from '../language/endpoint.js';
import { containerKeys, zProfiles } from './container-keys.js';
import { coversFormProblem } from './covers.js';
import { exerciseCheckFrame, exerciseStepFrame, zExercise, zParameter } from './exercise-schema.js';
import { zImages } from './image-sources.js';
import {
  mapOrAssignments,
  oneOrMany,
  zAddress,
  zCidr,
  zDockerName,
  zDuration,
  zName,
  zPackage,
  zSemverRange,
  zText,
} from '../language/fields.js';
import { isCapabilityName, namedCapabilities } from '../model/capability.js';
import { familyOf } from '../model/cidr.js';
import { uplink } from '../model/uplink.js';
import { parseSize, type ResourceLimits } from '../model/size.js';
import { zHostPath, zMode, zOwner, zOwnPath } from '../language/own-path.js';
import { shown, suggestion } from '../language/wording.js';
import { defaultStepTimeoutMs } from '../steps/kind.js';

/**
 * The scenario language, once: types, validation, JSON Schema and the reference page all come from these definitions. Step
 * and check kinds bring their own (`steps/registry.ts`, `checks/registry.ts`) and are joined to these in `json-schema.ts`
 * and `validate.ts`.
 */

/** What `provider:` may say; each has its line in `providers/registry.ts`, as the compiler sees to. */
export const providerNames = ['local', 'container', 'vagrant', 'ssh'] as const;
export type ProviderName = (typeof providerNames)[number];

export const defaultImage = 'debian-12';
export const defaultBootTimeoutMs = 60_000;

const imageNames = hostImageRows.map((row) => row.name) as [string, ...string[]];

const noImage = (input: unknown): string =>
  `no host image ${shown(input)}${suggestion(input, imageNames) || `; there are ${imageNames.join(', ')}`}`;

const zImage = z
  .enum(imageNames, { error: (issue) => noImage(issue.input) })
  .meta({ title: 'host image', description: `A host image: ${imageNames.map((name) => `\`${name}\``).join(', ')}.` });

/** Shorter ones turn up everywhere by chance: masking them would garble the reports, and tell them all the same. */
const leastSecretLength = 4;

const zSecret = z.union(
  [
    z.string().min(leastSecretLength, { error: `a secret has at least ${leastSecretLength} characters` }),
    z.strictObject({
      env: z
        .string()
        .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, {
          error: (issue) => `expected the name of an environment variable, got ${shown(issue.input)}`,
        })
        .describe('Environment variable that holds it where netrig runs.'),
    }),
  ],
  { error: 'expected a text, or `{ env: NAME }` for an environment variable' },
);

/** One line of text for people. */
const zTitle = z
  .string({ error: (issue) => `expected a line of text, got ${shown(issue.input)}` })
  .regex(/\S/, { error: 'expected a line of text, got nothing but blanks' })
  .regex(/^[^\r\n]*\s*$/, { error: 'a title is one line' })
  .max(200, { error: 'a title has at most 200 characters' })
  .transform((text) => text.trim());

const zScalar = z.union([z.string(), z.number(), z.boolean()], {
  error: (issue) => `expected a text, a number or true/false, got ${shown(issue.input)}`,
});

const variableName = /^[A-Za-z_][A-Za-z0-9_-]*$/;
const zVariableName = z.string().regex(variableName, {
  error: (issue) => `expected a variable's name (letters, digits, dashes, underscores), got ${shown(issue.input)}`,
});

const portPattern =
  /^(?:(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-fA-F:.]+\]):(?:\d{1,5}(?:-\d{1,5})?)?:|\d{1,5}(?:-\d{1,5})?:)?\d{1,5}(?:-\d{1,5})?(?:\/(?:tcp|udp|sctp))?$/;
const portShape = 'a port as Compose writes it, such as "8080:80", "127.0.0.1:8080:80/udp" or 80';

const zPublished = z
  .union([z.int(), z.string()], { error: (issue) => `expected ${portShape}, got ${shown(issue.input)}` })
  .transform(String)
  .refine((text) => portPattern.test(text) && portNumbers(text).every((port) => port >= 1 && port <= 65_535), {
    error: (issue) => `expected ${portShape}, got ${shown(issue.input)}`,
  })
  .meta({
    title: 'published port',
    description:
      'A published port: `HOST:CONTAINER`, `ADDRESS:HOST:CONTAINER`, a bare container port; with `/udp` or `/sctp` where it is not TCP.',
  });

function portNumbers(text: string): number[] {
  return text
    .replace(/\/\w+$/, '')
    .replace(/^(?:\[[^\]]*\]|\d+\.\d+\.\d+\.\d+):/, '')
    .split(/[:-]/)
    .filter((part) => part !== '')
    .map(Number);
}

const zNetwork = z
  .strictObject({
    driver: z
      .string()
      .min(1)
      .default('bridge')
      .describe('Driver of the network: `bridge`, `macvlan`, `ipvlan`, `overlay`, …'),
    driver_opts: z
      .record(z.string(), zText)
      .default({})
      .describe('Options of the driver, such as `parent: eth0` for macvlan.'),
    internal: z.boolean().default(false).describe('No way out of the network.'),
    attachable: z.boolean().default(false).describe('Plain containers may join an overlay of a swarm.'),
    enable_ipv6: z.boolean().default(false).describe('IPv6 addresses too.'),
    ipam: z
      .strictObject({
        driver: z.string().min(1).optional().describe('Driver that hands out addresses.'),
        config: z
          .array(
            z.strictObject({
              subnet: zCidr.optional().describe('Subnet of the network.'),
              gateway: zAddress.optional().describe('Address of the gateway.'),
              ip_range: zCidr.optional().describe('Part of the subnet that containers get addresses from.'),
              aux_addresses: z.record(z.string(), zAddress).optional().describe('Addresses that are taken by others.'),
            }),
          )
          .default([])
          .describe('Subnets of the network.'),
      })
      .default({ config: [] })
      .describe('Addresses of the network.'),
    labels: mapOrAssignments('label').default({}).describe('Labels, as a map or as `key=value` items.'),
  })
  .meta({ id: 'DockerNetwork', description: 'A network as `docker network create` takes it, in Compose’s words.' });

const emptyNetwork = zNetwork.parse({});

const zAttachment = z
  .strictObject({
    ipv4_address: zAddress.optional().describe('Fixed IPv4 address on the network.'),
    ipv6_address: zAddress.optional().describe('Fixed IPv6 address on the network.'),
    aliases: z.array(z.string().min(1)).default([]).describe('Further names of the container on the network.'),
  })
  .nullable()
  .transform((value) => value ?? { aliases: [] });

const zContainer = z
  .strictObject({
    image: z
      .string()
      .min(1)
      .describe(
        'Container image: `busybox`, `web`, a name that `images` explains, or a reference as for `docker pull` (`postgres:16`). The engine has it from the start.',
      ),
    command: z
      .union([z.string(), z.array(zText)])
      .nullable()
      .default(null)
      .describe('What the container runs: one text or a list of arguments.'),
    hostname: z.string().min(1).nullable().default(null).describe('Host name inside the container.'),
    network_mode: z
      .string()
      .min(1)
      .nullable()
      .default(null)
      .describe('`host`, `none`, `bridge` or `container:NAME`, instead of `networks`.'),
    networks: z
      .union([z.array(zDockerName), z.record(zDockerName, zAttachment)])
      .default({})
      .transform(
        (value) =>
          (Array.isArray(value)
            ? Object.fromEntries(value.map((name) => [name, { aliases: [] as string[] }]))
            : value) as Record<string, z.output<typeof zAttachment>>,
      )
      .describe(
        'Networks the container is on: a list of names, or a map from a name to its address and aliases there.',
      ),
    ports: z.array(zPublished).default([]).describe('Published ports.'),
    expose: z.array(zText).default([]).describe('Ports that are exposed without being published.'),
    environment: mapOrAssignments('NAME').default({}).describe('Environment, as a map or as `NAME=value` items.'),
    dns: oneOrMany(zAddress).default([]).describe('DNS servers.'),
    dns_search: oneOrMany(z.string()).default([]).describe('Search domains.'),
    dns_opt: z.array(z.string()).default([]).describe('Resolver options.'),
    extra_hosts: z
      .union([
        z.array(
          z
            .string()
            .regex(/^[^\s:=]+[:=]\S+$/, { error: (issue) => `expected \`name:address\`, got ${shown(issue.input)}` }),
        ),
        z.record(z.string(), zText),
      ])
      .default([])
      .transform((value) =>
        Array.isArray(value) ? value : Object.entries(value).map(([name, address]) => `${name}:${address}`),
      )
      .describe('Lines for the container’s hosts file: `name:address` items or a map.'),
    links: z
      .array(z.string().min(1))
      .default([])
      .describe('Links to other containers of the host: `name` or `name:alias`.'),
    cap_add: z.array(z.string().min(1)).default([]).describe('Capabilities to add, such as `NET_ADMIN`.'),
    cap_drop: z.array(z.string().min(1)).optional().describe('Capabilities to take away.'),
    privileged: z.boolean().optional().describe('All that the host itself may do.'),
    entrypoint: z
      .union([z.string().min(1), z.array(zText).min(1)])
      .optional()
      .describe('Program that runs instead of the image’s entry point: one, or a list with its first arguments.'),
    working_dir: z.string().min(1).optional().describe('Directory in which it runs.'),
    user: zText.optional().describe('User, and group, as whom it runs: `1000:1000`.'),
    read_only: z.boolean().optional().describe('Root file system that cannot be written to.'),
    tmpfs: oneOrMany(z.string().min(1)).optional().describe('File systems in memory: `/run`, `/tmp:size=64m`.'),
    init: z.boolean().optional().describe('An init of the engine’s as PID 1, which reaps processes.'),
    stop_signal: z.string().min(1).optional().describe('Signal that stops it: `SIGQUIT`.'),
    tty: z.boolean().optional().describe('A terminal.'),
    stdin_open: z.boolean().optional().describe('Its standard input stays open, which it does anyway.'),
    sysctls: mapOrAssignments('key')
      .default({})
      .describe('Kernel parameters of the container, as a map or as `key=value` items.'),
    volumes: z.array(z.string().min(1)).default([]).describe('Mounts: `SOURCE:TARGET[:ro]`.'),
    restart: z
      .string()
      .regex(/^(no|always|unless-stopped|on-failure(:\d+)?)$/, {
        error: (issue) => `expected no, always, unless-stopped or on-failure[:N], got ${shown(issue.input)}`,
      })
      .nullable()
      .default(null)
      .describe('When the engine starts the container again.'),
    labels: mapOrAssignments('label').default({}).describe('Labels, as a map or as `key=value` items.'),
    ...containerKeys,
  })
  .meta({ id: 'DockerContainer', description: 'A container as `docker run -d` takes it, in Compose’s words.' });

const zDocker = z
  .strictObject({
    networks: z
      .union([z.array(zDockerName), z.record(zDockerName, zNetwork.nullable())])
      .default({})
      .transform((value) =>
        Array.isArray(value)
          ? Object.fromEntries(value.map((name) => [name, emptyNetwork]))
          : (Object.fromEntries(
              Object.entries(value).map(([name, network]) => [name, network ?? emptyNetwork]),
            ) as Record<string, z.output<typeof zNetwork>>),
      )
      .describe('Networks of the engine: a map from names, or a list of names of plain bridges.'),
    containers: z
      .record(zDockerName, zContainer)
      .default({})
      .describe('Containers of the engine, started in the order of the file, each after those that it depends on.'),
    compose: zOwnPath
      .optional()
      .describe(
        'A Compose file beside the scenario, whose services and networks the engine has from the start, too; see docs/images.md.',
      ),
    profiles: zProfiles
      .optional()
      .describe(
        'Profiles of the Compose file whose services are there, too. Default: services with `profiles` are not.',
      ),
  })
  .meta({
    id: 'Docker',
    description: 'Networks and containers that the host’s engine has from the start, in Docker Compose’s vocabulary.',
  });

const zRoute = z
  .strictObject({
    to: z
      .string({ error: (issue) => `expected a subnet in CIDR form or \`default\`, got ${shown(issue.input)}` })
      .refine((text) => text === 'default' || zCidr.safeParse(text).success, {
        error: (issue) => `expected a subnet in CIDR form or \`default\`, got ${shown(issue.input)}`,
      })
      .describe('Destination: a subnet in CIDR form, or `default`: all of IPv4, or of IPv6 where `via` is of that.'),
    via: zAddress.describe('Address of the next hop, on a segment of the host.'),
  })
  // `ip route show exact default` is of IPv4 whatever stands behind it: the other family's has a name of its own from here on.
  .transform(({ to, via }) => ({ to: to === 'default' && familyOf(via) === 6 ? '::/0' : to, via }));

const zSysctlName = z.string().regex(/^net(?:\.[A-Za-z0-9_-]+){1,8}$|^net(?:\/[A-Za-z0-9_.-]+){1,8}$/, {
  error: (issue) => `a host owns its \`net.…\` sysctls only, got ${shown(issue.input)}`,
});

const zSize = z
  .string({ error: (issue) => `expected a size such as 400M, got ${shown(issue.input)}` })
  .refine((text) => parseSize(text) !== null, {
    error: (issue) => `expected a size such as 400M or 1.5G, got ${shown(issue.input)}`,
  })
  .transform((text) => parseSize(text)!)
  .meta({
    title: 'size',
    description: 'A size: a number with `k`, `M` or `G` (also `kB`, `MiB`, …), in powers of 1024.',
    examples: ['400M', '1.5G'],
  });

const zLimits = z
  .strictObject({
    memory: zSize
      .optional()
      .describe('Memory, with the files that were written and the caches. What goes beyond ends processes.'),
    pids: z
      .int({ error: (issue) => `expected a number of processes, got ${shown(issue.input)}` })
      .min(64, { error: (issue) => `a host has at least 64 processes, got ${shown(issue.input)}` })
      .optional()
      .describe('Processes and threads. What goes beyond cannot be started.'),
    cpus: z
      .number({ error: (issue) => `expected a number of processors such as 0.5, got ${shown(issue.input)}` })
      .min(0.05, { error: (issue) => `expected at least 0.05 processors, got ${shown(issue.input)}` })
      .optional()
      .describe('Processors’ worth of time; `0.5` is half of one. It only slows things down.'),
  })
  .transform(({ memory, pids, cpus }): ResourceLimits => ({
    memory: memory ?? null,
    pids: pids ?? null,
    cpus: cpus ?? null,
    disk: null,
  }));

const zHostLimits = z
  .strictObject({
    ...zLimits.in.shape,
    disk: zSize
      .optional()
      .describe(
        'Size of the root file system, which lies in memory. Default: half of the memory. What goes beyond is refused.',
      ),
  })
  .transform(({ memory, pids, cpus, disk }): ResourceLimits => ({
    memory: memory ?? null,
    pids: pids ?? null,
    cpus: cpus ?? null,
    disk: disk ?? null,
  }));

const zRoot = z.strictObject({
  root: zOwnPath.describe('A directory with a root file system, or a tar archive of one.'),
});
const zOci = z.strictObject({
  oci: zOwnPath.describe('An archive of an OCI image (an OCI layout, or what `docker save` writes).'),
});

const zFiles = z
  .record(
    zOwnPath,
    z.union([
      zHostPath,
      z.strictObject({
        to: zHostPath.describe('Absolute path on the host.'),
        owner: zOwner.optional().describe('Owner: `frr`, `frr:adm`. Default: root.'),
        mode: zMode
          .optional()
          .describe('Octal permission bits of a file, in quotes: `"0640"`. Default: those that it has here.'),
      }),
    ]),
  )
  .transform((files) =>
    Object.entries(files).map(([from, given]) => {
      const { to, owner, mode } =
        typeof given === 'string' ? { to: given } : { owner: undefined, mode: undefined, ...given };
      return {
        from,
        to,
        ...(owner === undefined ? {} : { owner }),
        ...(mode === undefined ? {} : { mode: Number.parseInt(mode, 8) }),
      };
    }),
  );

/** Names with their addresses, or with hosts of the lab that have them. */
const zRecords = z
  .record(
    z.string().regex(dnsNamePattern, {
      error: (issue) => `expected a name such as www.example.org, got ${shown(issue.input)}`,
    }),
    oneOrMany(
      z.union([zAddress, zName], {
        error: (issue) => `expected an address or a host of the lab, got ${shown(issue.input)}`,
      }),
    ),
    { error: (issue) => `expected a map from names to addresses, got ${shown(issue.input)}` },
  )
  .meta({
    id: 'Records',
    description: 'Names with their addresses: a map; one address or a list, or a host of the lab.',
  });

export const zHost = z
  .strictObject({
    image: z
      .union([zImage, zRoot, zOci], {
        error: ({ input }) => (typeof input === 'object' && input !== null ? undefined : noImage(input)),
      })
      .optional()
      .describe(
        `Host image, or somebody else’s root file system: \`{ root: ./rootfs.tar.gz }\` (a directory or a tar archive), \`{ oci: ./image.tar }\` (an archive of an OCI image, or of \`docker save\`), beside the scenario; see [hosts of another root](foreign-hosts.md). Default: the value of \`image\` in \`matrix\`, else an image whose engine fits \`engine\`, else \`${defaultImage}\`.`,
      ),
    init: z
      .enum(['systemd', 'light'], { error: (issue) => `expected systemd or light, got ${shown(issue.input)}` })
      .default('systemd')
      .describe(
        '`systemd`: a full Debian boot. `light`: own root and SSH in a fraction of the time, without systemd and without an engine. Its SSH server serves netrig alone: nothing listens at port 22 on its segments, so start one (`start: /usr/sbin/sshd -D`) where a lab is about it.',
      ),
    engine: z
      .union([z.literal(false), z.enum(['started', 'on-demand']), zSemverRange], {
        error: (issue) =>
          `expected false, started, on-demand or a version range such as ">=28", got ${shown(issue.input)}`,
      })
      .optional()
      .describe(
        '`false`: no Docker engine. `started`: it runs before the first step, as on any Debian host that has it: docker0, its rules and IP forwarding are there. `on-demand`: it starts at the first docker command, which saves the time where few hosts of many use theirs; until then the host is one without an engine. A version range picks an image whose engine is in it. Default: the image’s engine, `started`; none on light hosts.',
      ),
    routes: z.array(zRoute).default([]).describe('Routes beyond those of the segments.'),
    sysctls: z
      .record(zSysctlName, zText)
      .default({})
      .describe('Kernel parameters under `net`, set before anything else.'),
    limits: zHostLimits
      .optional()
      .describe(
        'What the host may use of the machine; on the local provider. Default: its part of the lab’s memory (1 GiB at least, where the lab has that), half of that as disk, 4096 processes. What reaches a limit is an error with its name.',
      ),
    packages: oneOrMany(zPackage)
      .default([])
      .describe(
        'Debian packages that the host has beyond those of its image: `[frr, keepalived]`. Fetched once from the mirror that the machine’s apt knows, then kept; services that they bring start with the host. On machines that exist (`ssh`) apt installs them, and purges them at the end.',
      ),
    files: zFiles
      .default([])
      .describe(
        'Files and directories beside the scenario that the host has from its start: `{ ./frr/r1/: /etc/frr/, ./id: { to: /etc/id, owner: frr, mode: "0640" } }`. They lie in the scenario’s folder or below. Modes are kept; of a directory, what is in it goes into the directory on the host. They are there before services start; on machines that exist (`ssh`), before the first step.',
      ),
    outside: z
      .union([z.boolean(), z.strictObject({ simulated: zRecords })], {
        error: (issue) =>
          `expected true, false or \`{ simulated: { www.example.org: 93.184.216.34 } }\`, got ${shown(issue.input)}`,
      })
      .optional()
      .describe(
        'A way to the outside for this host, or none; see `outside` of the file, its default. `{ simulated: { www.example.org: 93.184.216.34 } }`: this host stands for the outside, without a packet leaving the lab. It has these addresses, resolves these names, and serves a web page at each; hosts on its segments send there what they have no other way for, and ask it for names.',
      ),
    dns: zRecords
      .optional()
      .describe(
        'The host is a name server, and this is all that it knows: `{ www.example.org: 10.0.0.80, db.example.org: node2 }`, by addresses or by hosts of the lab. It is dnsmasq, of the Debian package dnsmasq-base. Hosts on its segments ask it, unless they have a way to the outside.',
      ),
    docker: zDocker.optional().describe('What the host’s engine has from the start.'),
  })
  .meta({ id: 'Host', description: 'A host of the lab. Everything has a default: `node1:` alone is a host.' });

export const zSegment = z
  .strictObject({
    subnet: z
      .union([zCidr, z.array(zCidr).min(1, { error: 'the list is empty: name at least one' })])
      .transform((subnet) => [subnet].flat())
      .describe('The segment’s subnet, or two: one of IPv4 and one of IPv6, in the order of preference.'),
    mtu: z
      .int({ error: (issue) => `expected an MTU from 68 to 65535, got ${shown(issue.input)}` })
      .min(68, { error: (issue) => `an MTU is at least 68 (RFC 791), got ${shown(issue.input)}` })
      .max(65_535, { error: (issue) => `an MTU is at most 65535, got ${shown(issue.input)}` })
      .optional()
      .describe('MTU of every interface on the segment. Default: the kernel’s, 1500.'),
    hosts: z
      .union([
        z.array(zName).min(1, { error: 'a segment connects at least one host' }),
        z.record(
          zName,
          z
            .union([zAddress, z.array(zAddress).min(1, { error: 'the list is empty: name at least one' })])
            .nullable()
            .transform((addresses) => (addresses === null ? null : [addresses].flat())),
        ),
      ])
      .describe(
        'The hosts on the segment, with their addresses (`~`: an interface without one; a list where the segment has two subnets); a list of hosts hands out the addresses of each subnet in its order.',
      ),
  })
  .meta({
    id: 'Segment',
    description:
      'A layer-2 segment: one broadcast domain. A host has an interface on each segment that names it, `eth0` and on in the order of the file.',
  });

const zCovers = oneOrMany(
  z
    .string({
      error: (issue) => `expected an item such as REQ-7, or a range such as REQ-7..REQ-12, got ${shown(issue.input)}`,
    })
    .superRefine((text, context) => {
      const message = coversFormProblem(text);
      if (message !== null) context.addIssue({ code: 'custom', message, input: text });
    })
    .meta({
      title: 'catalogue items',
      pattern: '^[A-Za-z0-9]+([-_:/.][A-Za-z0-9]+)*(\\.\\.[A-Za-z0-9]+([-_:/.][A-Za-z0-9]+)*)?$',
    }),
).describe('Items of the catalogue: ids (`REQ-7`) and ranges (`REQ-7..REQ-12`).');

/** What is no capability, with the one that was most likely meant, or those of its kind. */
function noCapability(given: unknown): string {
  if (typeof given !== 'string') return `expected a capability such as kernel:8021q, got ${shown(given)}`;
  const near = suggestion(given, namedCapabilities);
  if (near !== '') return `no provider knows the capability ${shown(given)}${near}`;
  const kind = /^[a-z]+:/.exec(given)?.[0];
  const alike = namedCapabilities.filter((name) => kind !== undefined && name.startsWith(kind));
  const rest =
    alike.length > 0 ? `there is ${alike.join(', ')}` : 'such are kernel:8021q and engine; `netrig doctor` names all';
  return `no provider knows the capability ${shown(given)}; ${rest}`;
}

const zCapability = z
  .string({ error: (issue) => noCapability(issue.input) })
  .refine(isCapabilityName, { error: (issue) => noCapability(issue.input) })
  .meta({ title: 'capability', examples: namedCapabilities });

const zTag = z.string().regex(/^[a-z0-9][a-z0-9-]{0,39}$/, {
  error: (issue) => `expected a tag of lower-case letters, digits and dashes, got ${shown(issue.input)}`,
});

const zScenarioName = z
  .string({ error: (issue) => `expected a name of lower-case letters, digits and dashes, got ${shown(issue.input)}` })
  .max(40, { error: 'a scenario’s name has at most 40 characters' })
  .regex(/^[a-z0-9][a-z0-9-]*$/, {
    error: (issue) => `expected a name of lower-case letters, digits and dashes, got ${shown(issue.input)}`,
  });

/** Rows of a table of cases; that all have the names of the first is looked after where they are written out. */
export const zCases = z
  .array(z.record(zVariableName, zScalar), {
    error: (issue) => `expected a list of cases such as \`- { host: node1, port: 80 }\`, got ${shown(issue.input)}`,
  })
  .min(1, { error: 'the list is empty: name at least one case' })
  .max(500, { error: 'at most 500 cases' })
  .refine((rows) => Object.keys(rows[0] ?? {}).length > 0, { error: 'a case has at least one value' });

const zMarkdown = z
  .string({ error: (issue) => `expected Markdown text, got ${shown(issue.input)}` })
  .max(20_000, { error: 'a text has at most 20000 characters' });

const zSharedFile = z
  .string({ error: (issue) => `expected the name of a shared file, got ${shown(issue.input)}` })
  .min(1, { error: 'expected the name of a shared file, got an empty text' });

/** Everything at the top of a file but `steps` and `finally`, whose items are dispatched by their marking key. */
export const zTop = z.strictObject({
  scenario: zScenarioName.describe(
    'The scenario’s name: lower-case letters, digits and dashes, at most 40. Unique among the files of a run.',
  ),
  title: zTitle.describe('What the scenario shows, one line.'),
  description: z.string().optional().describe('More about it, for reports.'),
  text: zMarkdown.optional().describe('Text for readers of the reports, in Markdown.'),
  extends: oneOrMany(zSharedFile)
    .optional()
    .describe(
      'Shared files whose hosts, segments, variables and steps the scenario takes in; see [Shared files](#shared-files).',
    ),
  covers: zCovers
    .optional()
    .describe(
      'Items of the catalogue that the scenario proves: ids (`REQ-7`) and ranges (`REQ-7..REQ-12`). The catalogue is the file `items.yaml` beside the scenario or in a directory above it; without one, ids are free.',
    ),
  tags: oneOrMany(zTag).optional().describe('Words for `--tag`.'),
  requires: oneOrMany(zCapability)
    .optional()
    .describe(
      'Capabilities the scenario needs, such as `kernel:8021q`; where one is missing the scenario is skipped with that reason. See [Capabilities](#capabilities).',
    ),
  provider: z
    .enum(providerNames, {
      error: (issue) =>
        `no provider ${shown(issue.input)}${suggestion(issue.input, providerNames) || `; there is ${providerNames.join(', ')}`}`,
    })
    .optional()
    .describe('Provider that must make the hosts. Default: the one the command line names.'),
  vars: z
    .record(zVariableName, zScalar)
    .default({})
    .describe(
      'Variables: `${name}` anywhere in a text of the file becomes the value. In shell text (`run`, `start`, `content`, `command`) only names declared here are replaced, the rest is left to the shell. `$${` stands for a plain `${`.',
    ),
  secrets: z
    .record(zVariableName, zSecret)
    .default({})
    .describe(
      'Variables whose values are masked wherever netrig writes: on the terminal, in the record, in reports and kept files. `{ env: NAME }` takes the value from the environment, so that it does not stand in the file.',
    ),
  matrix: z
    .record(
      zVariableName,
      z
        .array(zScalar, { error: (issue) => `expected a list of values, got ${shown(issue.input)}` })
        .min(1, { error: 'a matrix key needs at least one value' }),
    )
    .default({})
    .describe(
      'The scenario runs once for each combination of these values, which are variables too. `image` is the host image of every host that names none.',
    ),
  exercise: zExercise.optional().describe('Makes an exercise of the scenario; see [Exercises](#exercises).'),
  parameters: z
    .record(zVariableName, zParameter)
    .default({})
    .describe(
      'Variables of an exercise that every student has other values of, drawn from the class’s secret, the exercise and the student.',
    ),
  images: zImages
    .optional()
    .describe(
      'Container images that the engines have from the start, beyond those that `docker:` and the steps name: a name, a list of names, or a map from a name to where it comes from. See docs/images.md.',
    ),
  'boot-timeout': zDuration.optional().describe('How long one host may take to boot. Default: `60s`.'),
  limits: zLimits
    .optional()
    .describe(
      'What all hosts together may use of the machine; on the local provider. Default: four fifths of its memory.',
    ),
  outside: z
    .boolean({ error: (issue) => `expected true or false, got ${shown(issue.input)}` })
    .default(false)
    .describe(
      `Whether hosts have a way to the outside, by the machine: to package sources, registries, the Internet. Reports say so. Off, no packet leaves the lab. Addresses and routes of the lab win over it; nothing on the machine’s loopback is reached. On the local provider and on virtual machines (\`vagrant\`), by slirp4netns over an interface \`${uplink.device}\` (${uplink.subnet}); on \`container\`, by a network of the engine.`,
    ),
  hosts: z.record(zName, zHost.nullable()).describe('The hosts of the lab, by name.'),
  segments: z.record(zName, zSegment).default({}).describe('The wires between the hosts, by name.'),
});

const zWhen = z
  .strictObject({
    engine: zSemverRange.optional().describe('Only where the engine’s version is in the range: `">=28"`.'),
    image: oneOrMany(zImage).optional().describe('Only on these host images.'),
    vars: z
      .record(zVariableName, oneOrMany(zText))
      .refine((names) => Object.keys(names).length > 0, { error: 'name at least one variable' })
      .optional()
      .describe(
        'Only where these variables (of `vars`, `matrix` or a `for`) have these values: `{ mode: [nat, routed] }`.',
      ),
  })
  .refine((value) => value.engine !== undefined || value.image !== undefined || value.vars !== undefined, {
    error: 'name `engine`, `image` or `vars`',
  })
  .describe('A condition: the item is skipped, with this as the reason, where it does not hold.');

/** Keys that steps and checks both have. */
const commonFrame = {
  for: zCases
    .optional()
    .describe(
      'The item is written out once for each of these cases, whose values are variables in it: `[{ host: node1, port: 80 }, { host: node2, port: 81 }]`. Titles must differ.',
    ),
  text: zMarkdown.optional().describe('Text for readers of the reports, in Markdown.'),
};

/** Keys that every step has beside those of its kind. */
export const zStepFrame = z.strictObject({
  step: zTitle.optional().describe('Title. Default: what the step does.'),
  on: oneOrMany(zName)
    .optional()
    .describe('The host or hosts it runs on. May be left out in a scenario with one host.'),
  timeout: zDuration
    .optional()
    .describe(`The time the whole step may take, on all its hosts. Default: \`${defaultStepTimeoutMs / 1000}s\`.`),
  when: zWhen.optional(),
  ...commonFrame,
  ...exerciseStepFrame,
});

/** Keys that every check has beside its kind. */
export const zCheckFrame = z.strictObject({
  check: zTitle.describe('Title: what must be true.'),
  within: zDuration
    .optional()
    .describe(
      'It becomes true within this time; how long it took is recorded. Default: it is true at the first attempt.',
    ),
  'holds-for': zDuration.optional().describe('It stays true for this long.'),
  timeout: zDuration.optional().describe('The time one attempt may take. Default: what its kind says, else `15s`.'),
  level: z
    .enum(['error', 'warning'], { error: (issue) => `expected error or warning, got ${shown(issue.input)}` })
    .default('error')
    .describe('`warning`: where it does not hold, reports say so, and the run is as good as without it.'),
  when: zWhen.optional(),
  ...commonFrame,
  covers: zCovers.optional().describe('Items of the catalogue that this check proves.'),
  ...exerciseCheckFrame,
});

/** Every key that may stand at the top of a file. */
export const topKeys: readonly string[] = [...Object.keys(zTop.shape), 'steps', 'finally'];
export const stepFrameKeys: ReadonlySet<string> = new Set(Object.keys(zStepFrame.shape));
export const checkFrameKeys: ReadonlySet<string> = new Set(Object.keys(zCheckFrame.shape));

export type Top = z.output<typeof zTop>;
export type StepFrame = z.output<typeof zStepFrame>;
export type CheckFrame = z.output<typeof zCheckFrame>;
export type HostShape = z.output<typeof zHost>;
export type DockerShape = z.output<typeof zDocker>;
export type SegmentShape = z.output<typeof zSegment>;
export type RecordsShape = z.output<typeof zRecords>;
export type WhenShape = z.output<typeof zWhen>;

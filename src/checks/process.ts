import { z } from 'zod';
import { zEndpoint, zPort } from '../language/fields.js';
import type { Outcome } from '../model/verdict.js';
import { quoteArg, quoteArgv } from '../ssh/quote.js';
import { describeWanted, failed, findings } from '../judging/finding.js';
import { defineCheck, looksOnly } from './kind.js';
import { claims, zCount } from '../judging/claims.js';
import type { ProbeContext } from '../places/context.js';
import { absent, describeMatcher, match, showValue, zMatcher } from '../judging/match.js';
import type { Matcher } from '../judging/match.js';
import { fail, inconclusive, pass } from '../judging/outcome.js';
import { placeAt } from '../judging/place.js';
import {
  ownProcesses,
  parseHolders,
  parsePasswd,
  parsePids,
  parseProcesses,
  parseSockets,
} from '../facts/proc-listing.js';
import type { ListeningSocket, ProcessFacts } from '../facts/proc-listing.js';
import { runScript, whyUnfinished } from '../places/script.js';
import type { Vantage } from '../places/vantage.js';

const facts = {
  argv: 'List of the program and its arguments, as it got them.',
  'command-line': 'The same as one text, joined by blanks.',
  user: 'Name of the user (effective) that it runs as, or the id where passwd has no name for it.',
  parent: 'Name of its parent process (its command name, at most 15 characters).',
  state: 'R running, S sleeping, D waiting for a device, T stopped, Z ended but not collected.',
} as const;
type Fact = keyof typeof facts;

const zFacts = Object.fromEntries(
  Object.entries(facts).map(([name, about]) => [name, zMatcher.optional().describe(about)]),
) as unknown as Record<Fact, z.ZodOptional<z.ZodType<Matcher>>>;

const zSpec = z
  .strictObject({
    on: zEndpoint.describe(
      'A host (all processes that ps shows there, also those of containers, without netrig’s own: its session, and what keeps a light host alive), a container (the processes of its control group, whatever else it may see), or a network namespace (processes that are in it).',
    ),
    name: zMatcher.optional().describe('Command name, as ps -o comm shows it: the kernel keeps 15 characters.'),
    argv: zMatcher.optional().describe(facts.argv),
    'command-line': zMatcher.optional().describe(facts['command-line']),
    user: zMatcher.optional().describe(facts.user),
    listens: z
      .strictObject({
        port: zPort.describe('Port that it listens at.'),
        protocol: z
          .enum(['tcp', 'udp'])
          .default('tcp')
          .describe('tcp: in the state LISTEN. udp: bound, without a peer.'),
        address: zMatcher.optional().describe('Address that it is bound to: 0.0.0.0, "::", 127.0.0.1, …'),
      })
      .optional()
      .describe('A socket that it holds.'),
    expect: claims({
      count: zCount.optional().describe('How many such processes there are; at least one where left out.'),
      ...zFacts,
      absent: z.literal(true).optional().describe('There is no such process.'),
    })
      .default({})
      .describe('Properties of each process that was found.'),
  })
  .transform(({ on, ...rest }) => ({ ...rest, of: on }))
  .check((check) => {
    const { expect, name, argv, 'command-line': line, user, listens } = check.value;
    const wrong = (path: string[], message: string): void =>
      void check.issues.push({ code: 'custom', input: check.value, path, continue: true, message });
    if ([name, argv, line, user, listens].every((one) => one === undefined))
      wrong([], 'must say which process: name, argv, command-line, user or listens');
    if (expect.absent && Object.keys(expect).length > 1)
      wrong(['expect'], 'a process that is absent has no properties');
    if (typeof name === 'string' && Buffer.byteLength(name) > 15)
      wrong(
        ['name'],
        'the kernel keeps 15 characters of a name: no process can have this one (command-line has all of it)',
      );
  });
type Spec = z.output<typeof zSpec>;

interface Listing {
  processes: ProcessFacts[];
  /** Names of all processes that the host sees, for parents. */
  names: Map<number, string>;
  users: Map<number, string>;
}

const keepBytes = 8 << 20;

/** `grep` has nothing to find (1) or lost a process on the way (2): what it found stands all the same. */
const listingParts = [
  { name: 'status', shell: `grep -asH -E '^(Name|State|PPid|Uid):' /proc/[0-9]*/status`, errors: 'apart' as const },
  { name: 'cmdline', shell: `grep -azsH '' /proc/[0-9]*/cmdline`, errors: 'apart' as const },
  {
    name: 'netns',
    shell: `find /proc/[0-9]*/ns/net -maxdepth 0 -printf '%p %l\\n' 2>/dev/null`,
    errors: 'apart' as const,
  },
  { name: 'self', shell: 'echo $$', errors: 'apart' as const },
  {
    name: 'units',
    shell: `grep -asHF '/system-netrig' /proc/[0-9]*/cgroup`,
    errors: 'apart' as const,
  },
];

/** The processes of the place. grep and find of the host read them, whatever a container has. */
async function listProcesses(context: ProbeContext, place: Vantage): Promise<Listing | { unknown: string }> {
  const { container } = place;
  const namespace =
    place.endpoint.kind === 'netns'
      ? [{ name: 'here', shell: quoteArgv(place.enter(['readlink', '/proc/self/ns/net'])) }]
      : [];
  const inside =
    container === null
      ? []
      : [
          {
            name: 'cgroup',
            shell: `grep -asHF ${quoteArg(container.id)} /proc/[0-9]*/cgroup`,
            errors: 'apart' as const,
          },
        ];
  const passwd = container === null ? '/etc/passwd' : `/proc/${container.pid}/root/etc/passwd`;
  const script = await runScript(
    place.host,
    [
      ...listingParts,
      ...inside,
      ...namespace,
      { name: 'passwd', shell: `cat ${quoteArg(passwd)}`, errors: 'apart' as const },
    ],
    {
      timeoutMs: Math.min(context.timeLeftMs(), 15_000),
      signal: context.signal,
      prelude: 'LC_ALL=C; export LC_ALL',
      keepBytes,
    },
  );
  const unknown = (why: string): { unknown: string } => ({
    unknown: `the processes of ${place.label} could not be listed: ${why}`,
  });
  const part = (name: string): string | null => script.parts.get(name)?.output ?? null;
  const passwdText = part('passwd');
  if (passwdText === null) return unknown(whyUnfinished(script.exec));
  const missing = ['status', 'cmdline', 'netns'].find((name) => (script.parts.get(name)?.exitCode ?? 127) > 2);
  if (missing !== undefined)
    return unknown(
      `${place.host.name} has no usable ${missing === 'netns' ? 'find' : 'grep'}: ${script.exec.stderr.trim().split('\n').at(-1) ?? ''}`,
    );
  if (script.exec.stdoutBytes > keepBytes) return unknown(`${script.exec.stdoutBytes} bytes are more than is read`);
  const all = parseProcesses(part('status') ?? '', part('cmdline') ?? '', part('netns') ?? '');
  if (all === null) return unknown('/proc holds something in a form that is not known');
  // A listing without the first process is no listing, and shows no absence.
  if (!all.some((one) => one.pid === 1 && one.netns !== null)) return unknown('process 1 is not among them');
  const self = /^(\d+)\n$/.exec(part('self') ?? '')?.[1];
  if (self === undefined || !all.some((one) => one.pid === Number(self)))
    return unknown('the shell that lists them is not among them');
  const own = ownProcesses(all, Number(self), parsePids(part('units') ?? ''));
  const others = all.filter((one) => !own.has(one.pid));
  const names = new Map(all.map((one) => [one.pid, one.name]));
  const users = parsePasswd(passwdText);
  if (container !== null) {
    const pids = parsePids(part('cgroup') ?? '');
    if (!pids.has(container.pid))
      return unknown(`its first process ${container.pid} is not among those of its control group`);
    return { processes: others.filter((one) => pids.has(one.pid)), names, users };
  }
  if (place.endpoint.kind === 'netns') {
    const here = script.parts.get('here');
    if (here === undefined || here.exitCode !== 0 || !/^net:\[\d+\]$/.test(here.output.trim()))
      return unknown(here?.output.trim() || whyUnfinished(script.exec));
    return { processes: others.filter((one) => one.netns === here.output.trim()), names, users };
  }
  return { processes: others, names, users };
}

/** Which of the processes hold a listening socket like the one wanted. */
async function listening(
  context: ProbeContext,
  place: Vantage,
  processes: readonly ProcessFacts[],
  wanted: NonNullable<Spec['listens']>,
): Promise<{ holders: Map<number, ListeningSocket[]> } | { unknown: string }> {
  // Inodes of sockets are unique on a machine, but each namespace lists its own: one process of each speaks for it.
  const speakers = new Map<string, number>();
  for (const one of processes)
    if (one.netns !== null && one.state !== 'Z' && !speakers.has(one.netns)) speakers.set(one.netns, one.pid);
  const unknown = (why: string): { unknown: string } => ({
    unknown: `the sockets of ${place.label} could not be listed: ${why}`,
  });
  const script = await runScript(
    place.host,
    [
      ...[...speakers.values()].map((pid) => ({
        name: `net.${pid}`,
        shell: `cat /proc/${pid}/net/${wanted.protocol} && { test ! -e /proc/${pid}/net/${wanted.protocol}6 || cat /proc/${pid}/net/${wanted.protocol}6; }`,
        errors: 'apart' as const,
      })),
      {
        name: 'holders',
        shell: `find /proc/[0-9]*/fd -lname 'socket:*' -printf '%h %l\\n' 2>/dev/null`,
        errors: 'apart' as const,
      },
    ],
    { timeoutMs: Math.min(context.timeLeftMs(), 15_000), signal: context.signal, keepBytes },
  );
  const held = script.parts.get('holders');
  if (held === undefined) return unknown(whyUnfinished(script.exec));
  if (held.exitCode > 1) return unknown(`${place.host.name} has no usable find`);
  if (script.exec.stdoutBytes > keepBytes) return unknown(`${script.exec.stdoutBytes} bytes are more than is read`);
  const sockets: ListeningSocket[] = [];
  for (const [netns, pid] of speakers) {
    const part = script.parts.get(`net.${pid}`);
    if (part === undefined || part.exitCode !== 0)
      return unknown(`process ${pid}, which stands for its network namespace ${netns}, ended meanwhile`);
    const parsed = parseSockets(part.output, wanted.protocol);
    if (parsed === null) return unknown(`/proc/${pid}/net/${wanted.protocol} is in a form that is not known`);
    sockets.push(...parsed);
  }
  const like = sockets.filter(
    (socket) =>
      socket.port === wanted.port && (wanted.address === undefined || match(wanted.address, socket.address).ok),
  );
  const holders = new Map<number, ListeningSocket[]>();
  for (const [pid, inodes] of parseHolders(held.output)) {
    const own = like.filter((socket) => inodes.has(socket.inode));
    if (own.length > 0) holders.set(pid, own);
  }
  return { holders };
}

function describeProcess(spec: Spec): string {
  const { name, argv, 'command-line': line, user, listens } = spec;
  const socket =
    listens === undefined
      ? []
      : [
          `a socket that listens at ${listens.protocol} port ${listens.port}${listens.address === undefined ? '' : ` of ${describeMatcher(listens.address)}`}`,
        ];
  return `process with ${[...describeWanted({ name, argv, 'command-line': line, user }), ...socket].join(' and ')}`;
}

function valuesOf(one: ProcessFacts, { names, users }: Listing): Record<Fact | 'name', unknown> {
  return {
    name: one.name,
    argv: one.argv,
    'command-line': one.argv.join(' '),
    user: users.get(one.uid) ?? String(one.uid),
    // Parent 0 is outside of the namespace of processes: nobody that can be named.
    parent: names.get(one.parent) ?? absent,
    state: one.state,
  };
}

function show(one: ProcessFacts): string {
  const line = one.argv.length === 0 ? `[${one.name}]` : one.argv.join(' ');
  return `${one.pid} ${line.length > 120 ? `${line.slice(0, 119)}…` : line}`;
}

export const processCheck = defineCheck<Spec>({
  name: 'process',
  summary:
    'Processes with a certain name, command line, user or listening socket run (or do not), as many as expected, each with the properties expected.',
  example: `- check: one docker-proxy listens for the published port
  process:
    on: node1
    name: docker-proxy
    listens: { port: 8080, address: 0.0.0.0 }
    expect: { count: 1, parent: dockerd, argv: { contains: -container-ip } }`,
  schema: zSpec as z.ZodType<Spec>,
  mayChange: looksOnly,
  timeoutMs: 20_000,
  endpoints: (spec) => [{ endpoint: spec.of, path: ['on'], role: 'vantage' }],
  describe: (spec) => {
    const { absent: none, count, ...wanted } = spec.expect;
    if (none) return `${spec.of} has no ${describeProcess(spec)}`;
    const rest = describeWanted(wanted);
    return `${spec.of} has ${count === undefined ? 'a' : `${describeMatcher(count)} ×`} ${describeProcess(spec)}${rest.length === 0 ? '' : `: ${rest.join(', ')}`}`;
  },
  async run(spec, context): Promise<Outcome> {
    const place = await placeAt(context, spec.of);
    if ('verdict' in place) return place;
    const listing = await listProcesses(context, place);
    if ('unknown' in listing) return inconclusive(listing.unknown);
    const { name, argv, 'command-line': line, user, listens } = spec;
    const named = listing.processes.filter(
      (one) => findings({ name, argv, 'command-line': line, user }, valuesOf(one, listing)).length === 0,
    );
    let found = named;
    if (listens !== undefined) {
      const sockets = await listening(context, place, named, listens);
      if ('unknown' in sockets) return inconclusive(sockets.unknown);
      found = named.filter((one) => sockets.holders.has(one.pid));
    }
    const seen = found.length === 0 ? 'none' : found.map(show).join('\n');
    const near =
      found.length === 0 && named.length > 0 ? `; without that socket: ${named.slice(0, 5).map(show).join('; ')}` : '';
    const control = {
      title: `the processes of ${spec.of} can be listed`,
      held: true,
      seen: `${listing.processes.length} processes`,
    };
    const { absent: none, count, ...wanted } = spec.expect;
    if (none) {
      if (found.length === 0)
        return pass(`${spec.of} has no ${describeProcess(spec)} among ${listing.processes.length} processes${near}`, {
          controls: [control],
        });
      return fail(
        'present',
        `${spec.of} has a ${describeProcess(spec)}, which must not be there: ${found.map(show).join('; ')}`,
        { expected: 'absent', actual: seen },
      );
    }
    const counted = match(count ?? { 'at-least': 1 }, found.length);
    if (!counted.ok) {
      return fail(
        found.length === 0 ? 'absent' : 'wrong-value',
        `${spec.of}: the number of processes that are a ${describeProcess(spec)} ${counted.sentence}${found.length === 0 ? near : `: ${found.map(show).join('; ')}`}`,
        { expected: counted.expected, actual: seen },
      );
    }
    const wrong = found.flatMap((one) =>
      findings(wanted, valuesOf(one, listing)).map((finding) => ({
        ...finding,
        name: `${finding.name} of ${one.pid}`,
      })),
    );
    if (wrong.length > 0) return failed(`processes of ${spec.of}`, wrong);
    if (found.length === 0)
      return pass(`${spec.of} has no ${describeProcess(spec)} among ${listing.processes.length} processes${near}`, {
        controls: [control],
      });
    const more =
      Object.keys(wanted).length === 0
        ? ''
        : `, ${Object.keys(wanted)
            .map((key) => `${key} ${showValue(valuesOf(found[0]!, listing)[key as Fact])}`)
            .join(', ')}`;
    return pass(
      `${spec.of} has ${found.length === 1 ? 'one' : found.length} ${describeProcess(spec)}: ${found.slice(0, 5).map(show).join('; ')}${more}`,
      { actual: seen },
    );
  },
});

import { z } from 'zod';
import type { Cause, Control, Outcome } from '../model/verdict.js';
import { diagnose } from '../diagnosis/diagnose.js';
import { zDuration, zEndpoint, zPort } from '../language/fields.js';
import { quoteArg, quoteArgv } from '../ssh/quote.js';
import { causeOfError, connectCommand, connectProgram, readConnectOutput } from '../probes/connect-probe.js';
import { isVantage, parseEndpoint } from '../places/endpoint.js';
import { readFping } from '../probes/fping-output.js';
import { defineCheck, looksOnly } from './kind.js';
import type { EndpointUse } from './kind.js';
import type { ProbeContext } from '../places/context.js';
import { inconclusive, withDiagnosis } from '../judging/outcome.js';
import { runScript, whyUnfinished } from '../places/script.js';
import type { ScriptPart } from '../places/script.js';
import { containerAddress, hostAddress, isTargetProblem, resolveTarget } from '../probes/target.js';
import { inside, isVantageProblem, resolveVantage } from '../places/vantage.js';
import type { Vantage } from '../places/vantage.js';

const groupName = /^[A-Za-z][A-Za-z0-9_-]*$/;
const rulePattern = /^([A-Za-z][A-Za-z0-9_-]*) *(<?->) *([A-Za-z][A-Za-z0-9_-]*)$/;

const schema = z
  .strictObject({
    groups: z
      .record(
        z.string().regex(groupName, 'a group name of letters, digits, dashes and underscores'),
        z.array(zEndpoint).min(1),
      )
      .describe(
        'Groups of hosts, containers or network namespaces, by name. Members of one group may reach each other.',
      ),
    allow: z
      .array(z.string().regex(rulePattern, 'a rule such as "web -> db" or "web <-> db"'))
      .default([])
      .describe('Who may reach whom besides: `web -> db`, or `web <-> db` for both ways. Everybody else must not.'),
    by: z
      .union([z.literal('ping'), z.strictObject({ tcp: zPort })])
      .default('ping')
      .describe('What is sent: `ping`, or `{ tcp: PORT }` for connection attempts.'),
    via: z
      .string()
      .min(1)
      .optional()
      .describe('The segment (of hosts) or network (of containers) to take addresses from.'),
    family: z
      .union([z.literal(4), z.literal(6)])
      .default(4)
      .describe('IP version; 4 by default.'),
    wait: zDuration
      .default(500)
      .describe('Time to wait for each answer; 500 ms by default. What gets none is asked twice more.'),
  })
  .check((check) => {
    const { groups, allow } = check.value;
    const members = Object.values(groups).flat();
    const twice = members.find((member, at) => members.indexOf(member) !== at);
    if (twice !== undefined)
      check.issues.push({
        code: 'custom',
        input: check.value,
        path: ['groups'],
        continue: true,
        message: `${twice} must be in one group only`,
      });
    if (members.length < 2)
      check.issues.push({
        code: 'custom',
        input: check.value,
        path: ['groups'],
        continue: true,
        message: 'must have at least two members in all',
      });
    allow.forEach((rule, at) => {
      const [, from, , to] = rulePattern.exec(rule) ?? [];
      for (const name of [from, to]) {
        if (name !== undefined && !Object.hasOwn(groups, name))
          check.issues.push({
            code: 'custom',
            input: rule,
            path: ['allow', at],
            continue: true,
            message: `there is no group ${name}; there are ${Object.keys(groups).join(', ')}`,
          });
      }
    });
  });
type ReachSpec = z.output<typeof schema>;

/**
 * net.ipv4.neigh.default.gc_thresh3 as the kernel sets it (arp(7)). The table is one for all network namespaces of a machine,
 * and only the first of them sees the sysctl, so that a lab host cannot ask.
 */
const neighbourTableSize = 1024;
/** Sends to a target that stays silent, the first one included. */
const tries = 3;

interface Member {
  name: string;
  group: string;
  vantage: Vantage;
}

type Seen =
  | { reached: true; ms: number | null }
  | { reached: false; cause: Cause; text: string }
  | { reached: null; text: string };

/** The address of `to` as `from` sees it, or why there is none. */
async function addressFor(
  context: ProbeContext,
  from: Vantage,
  to: Vantage,
  spec: ReachSpec,
): Promise<string | { reason: string }> {
  const options = { via: spec.via, family: spec.family };
  if (to.endpoint.kind === 'host') {
    const found = hostAddress(context.plan, from.endpoint.host, to.endpoint.host, options);
    return typeof found === 'string' ? { reason: found } : found.address;
  }
  if (to.container && to.container.networks.some((network) => network.address !== null || network.address6 !== null)) {
    const found = containerAddress(to.container, from, options);
    return typeof found === 'string' ? { reason: found } : found.address;
  }
  const found = await resolveTarget(context, from, to.endpoint, options);
  return isTargetProblem(found) ? { reason: found.reason } : found.address;
}

/** The shell text that probes all targets from a vantage at once. What it prints is read by `readAnswers`. */
function probeShell(spec: ReachSpec, vantage: Vantage, targets: readonly string[]): string {
  if (spec.by === 'ping') {
    const argv = [
      'fping',
      `-${spec.family}`,
      '-e',
      '-r',
      String(tries - 1),
      '-t',
      String(Math.ceil(spec.wait / tries)),
      '-B',
      '1',
      '-i',
      '0.01',
      ...targets,
    ];
    return inside(vantage, quoteArgv(argv));
  }
  const { tcp } = spec.by;
  return `printf '%s' "$program" | ${inside(vantage, connectCommand({ proto: 'tcp', waitMs: spec.wait, targets: targets.map((address) => ({ address, port: tcp })) }))}`;
}

function readAnswers(spec: ReachSpec, output: string, targets: readonly string[]): Map<string, Seen> | null {
  if (spec.by === 'ping') {
    const answers = readFping(output, targets);
    return (
      answers &&
      new Map(
        [...answers].map(([target, seen]): [string, Seen] => [
          target,
          seen.saw === 'reply'
            ? { reached: true, ms: seen.ms }
            : seen.saw === 'silence'
              ? { reached: false, cause: 'timeout', text: 'no answer' }
              : { reached: false, cause: seen.cause, text: seen.text },
        ]),
      )
    );
  }
  const sightings = readConnectOutput(output, targets.length);
  return (
    sightings &&
    new Map(
      sightings.map((sighting, at): [string, Seen] => {
        if (sighting.saw === 'open') return [targets[at]!, { reached: true, ms: sighting.ms }];
        if (sighting.saw === 'silent') return [targets[at]!, { reached: false, cause: 'timeout', text: 'no answer' }];
        if (sighting.saw === 'data') return [targets[at]!, { reached: null, text: 'data came before a connection' }];
        const cause = causeOfError(sighting, spec.family);
        return [
          targets[at]!,
          cause === null ? { reached: null, text: sighting.errno } : { reached: false, cause, text: sighting.errno },
        ];
      }),
    )
  );
}

/** Every vantage of one host in one exec, all at once. Answers by member name, then by address. */
async function probeFromHost(
  context: ProbeContext,
  spec: ReachSpec,
  jobs: readonly { member: Member; targets: string[] }[],
): Promise<Map<string, Map<string, Seen> | string>> {
  const { host } = jobs[0]!.member.vantage;
  const program = spec.by === 'ping' ? '' : `program=${quoteArg(connectProgram)}\n`;
  const shell = [
    'd=$(mktemp -d) || exit 1',
    ...jobs.map(
      ({ member, targets }, at) =>
        `{ ${probeShell(spec, member.vantage, targets)}\n} >"$d/${at}" 2>&1 </dev/null & p${at}=$!`,
    ),
    ...jobs.map((_, at) => `wait "$p${at}"; echo $? >"$d/${at}.s"`),
    ...jobs.map((_, at) => `cat "$d/${at}"; printf '\\n@@ %s\\n' "$(cat "$d/${at}.s")"`),
    'rm -rf "$d"',
  ].join('\n');
  // One vantage is the common case with hosts, and needs none of that.
  const parts: ScriptPart[] =
    jobs.length === 1
      ? [{ name: 'all', shell: `${program}${probeShell(spec, jobs[0]!.member.vantage, jobs[0]!.targets)}` }]
      : [{ name: 'all', shell: `${program}${shell}` }];
  const { parts: results, exec } = await runScript(host, parts, {
    timeoutMs: Math.max(5000, context.timeLeftMs()),
    signal: context.signal,
  });
  const all = results.get('all');
  const found = new Map<string, Map<string, Seen> | string>();
  const chunks =
    all === undefined
      ? []
      : jobs.length === 1
        ? [{ output: all.output, status: all.exitCode }]
        : [...all.output.matchAll(/([\s\S]*?)\n@@ (\d+)(?:\n|$)/g)].map((match) => ({
            output: match[1]!,
            status: Number(match[2]),
          }));
  jobs.forEach(({ member, targets }, at) => {
    const chunk = chunks[at];
    const tool = spec.by === 'ping' ? 'fping' : 'perl';
    if (!chunk) found.set(member.name, `no probe could be sent from ${member.name}: ${whyUnfinished(exec)}`);
    else if (chunk.status === 127) found.set(member.name, `${host.name} has no ${tool}, which sends the probes`);
    else
      found.set(
        member.name,
        readAnswers(spec, chunk.output, targets) ??
          `what ${tool} said at ${member.name} is not understood: “${chunk.output.trim().split('\n').at(-1) ?? ''}”`,
      );
  });
  return found;
}

function mayReach(spec: ReachSpec, from: Member, to: Member): boolean {
  if (from.group === to.group) return true;
  return spec.allow.some((rule) => {
    const [, a, arrow, b] = rulePattern.exec(rule)!;
    return (a === from.group && b === to.group) || (arrow === '<->' && a === to.group && b === from.group);
  });
}

function listed(texts: readonly string[], most = 6): string {
  return texts.length <= most
    ? texts.join('; ')
    : `${texts.slice(0, most).join('; ')}; and ${texts.length - most} more`;
}

/** What most of them failed with. */
function commonCause(causes: readonly Cause[]): Cause {
  const counts = new Map<Cause, number>();
  for (const cause of causes) counts.set(cause, (counts.get(cause) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1])[0]![0];
}

async function findMembers(context: ProbeContext, spec: ReachSpec): Promise<Member[] | string[]> {
  const problems: string[] = [];
  const members = await Promise.all(
    Object.entries(spec.groups).flatMap(([group, names]) =>
      names.map(async (name): Promise<Member | null> => {
        const endpoint = parseEndpoint(name, context.plan);
        if (!isVantage(endpoint)) {
          problems.push(`${name} is no place a probe can start from`);
          return null;
        }
        const vantage = await resolveVantage(context, endpoint);
        if (!isVantageProblem(vantage)) return { name, group, vantage };
        problems.push(vantage.reason);
        return null;
      }),
    ),
  );
  return problems.length > 0 ? problems : members.filter((member) => member !== null);
}

async function run(spec: ReachSpec, context: ProbeContext): Promise<Outcome> {
  const found = await findMembers(context, spec);
  if (typeof found[0] === 'string') return inconclusive(`Not every member is there: ${listed(found as string[])}.`);
  const members = found as Member[];

  // Addresses first: a member without one can be neither reached nor cut off.
  const addresses = new Map<Member, Map<Member, string>>();
  for (const from of members) {
    const row = new Map<Member, string>();
    for (const to of members) {
      const address = await addressFor(context, from.vantage, to.vantage, spec);
      if (typeof address !== 'string')
        return inconclusive(`${to.name} has no address to probe from ${from.name}: ${address.reason}`);
      row.set(to, address);
    }
    addresses.set(from, row);
  }

  const byHost = new Map<string, { member: Member; targets: string[] }[]>();
  for (const member of members) {
    // The member's own address is among its targets: whoever reaches itself is alive and can send this kind of probe.
    const targets = [...new Set(addresses.get(member)!.values())];
    const name = member.vantage.host.name;
    byHost.set(name, [...(byHost.get(name) ?? []), { member, targets }]);
  }
  const answers = new Map(
    (await Promise.all([...byHost.values()].map((jobs) => probeFromHost(context, spec, jobs)))).flatMap((one) => [
      ...one,
    ]),
  );

  const own = (member: Member): Seen | string => {
    const all = answers.get(member.name);
    if (typeof all === 'string' || all === undefined) return all ?? 'it was not asked';
    return all.get(addresses.get(member)!.get(member)!) ?? 'it was not asked';
  };
  const controls = new Map<Member, Control>(
    members.map((member) => {
      const seen = own(member);
      const held =
        typeof seen !== 'string' &&
        (seen.reached === true || (spec.by !== 'ping' && seen.reached === false && seen.cause === 'refused'));
      return [
        member,
        {
          title: `${member.name} can send and reaches itself`,
          held,
          seen: typeof seen === 'string' ? seen : seen.reached === true ? 'it answers itself' : seen.text,
        },
      ];
    }),
  );
  const answersItself = (member: Member): boolean => {
    const seen = own(member);
    return typeof seen !== 'string' && seen.reached === true;
  };

  const missing: { text: string; cause: Cause; from: Member; to: Member }[] = [];
  const leaks: { text: string; from: Member; to: Member }[] = [];
  const unknown: string[] = [];
  const table: string[][] = [['from \\ to', ...members.map((member) => member.name)]];
  let pairs = 0;
  let slowest = 0;
  for (const from of members) {
    const row = [from.name];
    for (const to of members) {
      if (from === to) {
        row.push('·');
        continue;
      }
      pairs += 1;
      const all = answers.get(from.name);
      const seen: Seen =
        typeof all === 'string' || all === undefined
          ? { reached: null, text: all ?? 'it was not asked' }
          : (all.get(addresses.get(from)!.get(to)!) ?? { reached: null, text: 'it was not asked' });
      const may = mayReach(spec, from, to);
      if (seen.reached === null) {
        unknown.push(`${from.name} → ${to.name}: ${seen.text}`);
        row.push('? unknown');
      } else if (seen.reached) {
        slowest = Math.max(slowest, seen.ms ?? 0);
        if (!may) leaks.push({ text: `${from.name} → ${to.name}`, from, to });
        row.push(may ? '✓' : '✗ reached');
      } else if (may) {
        missing.push({ text: `${from.name} → ${to.name}: ${seen.cause}`, cause: seen.cause, from, to });
        row.push(`✗ ${seen.cause}`);
      } else if (!controls.get(from)!.held) {
        unknown.push(
          `${from.name} → ${to.name}: ${from.name} does not even reach itself (${controls.get(from)!.seen})`,
        );
        row.push('? no control');
      } else if (!answersItself(to) && seen.cause !== 'no-route') {
        unknown.push(`${from.name} → ${to.name}: ${to.name} does not answer itself, so nobody could reach it`);
        row.push('? no control');
      } else {
        row.push(`✓ no (${seen.cause})`);
      }
    }
    table.push(row);
  }

  const negatives = members.some((from) => members.some((to) => from !== to && !mayReach(spec, from, to)));
  const broken = [...controls.values()].filter((control) => !control.held);
  const shared = {
    table,
    ...(negatives
      ? {
          controls:
            broken.length > 0
              ? broken
              : [
                  {
                    title: 'every member can send and reaches itself',
                    held: true,
                    seen: `${members.length} of ${members.length}`,
                  },
                ],
        }
      : {}),
    measures: [
      { name: 'pairs', value: pairs, unit: 'count' as const },
      { name: 'slowest answer', value: slowest, unit: 'ms' as const },
    ],
    expected: negatives ? 'every allowed pair reached, every other one not' : 'every pair reached',
  };
  if (
    missing.length > 0 &&
    leaks.length === 0 &&
    pairs > 0.8 * neighbourTableSize &&
    missing.every(({ cause }) => cause === 'timeout' || cause === 'host-unreachable')
  ) {
    return inconclusive(
      `${missing.length} of ${pairs} pairs gave no answer, but so many pairs need ${pairs} entries of the machine's neighbour table, which holds ${neighbourTableSize} for all its network namespaces unless net.ipv4.neigh.default.gc_thresh3 was raised: the losses may be the machine's own.`,
      shared,
    );
  }
  if (leaks.length > 0 || missing.length > 0) {
    const texts = [...leaks.map(({ text }) => `${text}: reached, and must not be`), ...missing.map(({ text }) => text)];
    const cause: Cause = leaks.length > missing.length ? 'present' : commonCause(missing.map((one) => one.cause));
    const first = leaks[0] ?? missing[0]!;
    const address = addresses.get(first.from)!.get(first.to)!;
    const label = `${first.to.name} (${address})`;
    const why = await diagnose(context, {
      source: first.from.vantage,
      target: { address, family: spec.family, label, how: '', owner: first.to.vantage },
      ...(spec.by === 'ping' ? { proto: 'icmp' } : { proto: 'tcp', port: spec.by.tcp }),
      cause: leaks.length > 0 ? 'present' : missing[0]!.cause,
      answeredBy: null,
      path: null,
    });
    const failed: Outcome = {
      verdict: 'fail',
      cause,
      reason: `${texts.length} of ${pairs} pairs are not as they must be: ${listed(texts)}.`,
      actual: listed(texts, 20),
      ...shared,
    };
    return withDiagnosis(failed, why);
  }
  if (unknown.length > 0)
    return inconclusive(`${unknown.length} of ${pairs} pairs could not be known: ${listed(unknown)}.`, shared);
  return { verdict: 'pass', reason: `All ${pairs} pairs are as they must be.`, ...shared };
}

/** Kind `reach`: who reaches whom among groups, every pair both ways, in one pass a host. */
export const reachCheck = defineCheck<ReachSpec>({
  name: 'reach',
  summary:
    'Every member of groups is probed from every other, both ways, in one pass a host: pairs that are allowed must be reached, all others must not.',
  example:
    '- check: the web servers reach the database, and nobody else does\n  reach:\n    groups: { web: [node1/web1, node2/web2], db: [node1/db], guest: [node2/guest] }\n    allow: [web -> db]\n    by: { tcp: 5432 }',
  schema: schema as z.ZodType<ReachSpec>,
  mayChange: looksOnly,
  timeoutMs: 60_000,
  endpoints: (spec): EndpointUse[] =>
    Object.entries(spec.groups).flatMap(([group, names]) =>
      names.map((endpoint, at) => ({ endpoint, path: ['groups', group, at], role: 'vantage' as const })),
    ),
  describe(spec) {
    const groups = Object.entries(spec.groups).map(([name, members]) => `${name} (${members.length})`);
    return `${groups.join(', ')} by ${spec.by === 'ping' ? 'ping' : `TCP ${spec.by.tcp}`}${spec.allow.length > 0 ? `, allowed ${spec.allow.join(', ')}` : ''}`;
  },
  run,
});

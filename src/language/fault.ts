import { z } from 'zod';
import { allHosts, faultText, parseRate, type Fault } from '../model/fault.js';
import { formatDuration } from '../model/duration.js';
import type { LabPlan } from '../plan/lab-plan.js';
import { zDuration, zName } from './fields.js';
import { shown } from './wording.js';

/** A fault as scenarios write it: for steps that put one in, and for checks that watch what becomes of the network meanwhile. */

const zHosts = z
  .union([zName, z.array(zName).min(1, { error: 'the list is empty: name at least one' })])
  .transform((hosts): string[] => [hosts].flat());

const zSegmentHosts = {
  segment: zName.describe('The segment.'),
  hosts: zHosts.optional().describe('Hosts whose links to the segment it is about. Default: all that are on it.'),
};

const zPercent = z
  .number({ error: (issue) => `expected a percentage such as 20, got ${shown(issue.input)}` })
  .min(0.01, { error: (issue) => `expected at least 0.01 %, got ${shown(issue.input)}` })
  .max(100, { error: (issue) => `expected at most 100 %, got ${shown(issue.input)}` });

const zReached = {
  segment: zName.describe('The segment.'),
  hosts: zHosts
    .optional()
    .describe(
      'Hosts that the frames go to. Default: all that are on the segment, so that it is so in both directions.',
    ),
};

const zRate = z
  .string({ error: (issue) => `expected a rate such as 10mbit, got ${shown(issue.input)}` })
  .transform((text, context) => {
    const bits = parseRate(text);
    if (bits !== null && bits >= 8000 && bits <= 10e9) return bits;
    context.addIssue({
      code: 'custom',
      message: `expected a rate from 8kbit to 10gbit, such as 10mbit, got ${shown(text)}`,
      input: text,
    });
    return z.NEVER;
  })
  .meta({
    title: 'rate',
    description: 'Bits per second: a number with `kbit`, `mbit` or `gbit` (thousands).',
    examples: ['10mbit', '512kbit'],
  });

const zOfFrames = zPercent.describe('Percentage of the frames, each by chance.');

const zLink = { host: zName.describe('The host.'), segment: zName.describe('The segment that its link leads to.') };

const zGroups = z
  .array(z.array(zName).min(1, { error: 'the group is empty: name at least one host' }))
  .min(1, { error: 'name at least one group of hosts' })
  .superRefine((groups, context) => {
    const seen = new Set<string>();
    groups.forEach((group, at) =>
      group.forEach((host, position) => {
        if (seen.has(host))
          context.addIssue({
            code: 'custom',
            message: `${host} is in a group already`,
            path: [at, position],
            input: host,
          });
        seen.add(host);
      }),
    );
  });

const kinds = {
  cut: z
    .strictObject({
      ...zSegmentHosts,
      as: z
        .enum(['carrier', 'silence'], {
          error: (issue) => `expected carrier or silence, got ${shown(issue.input)}`,
        })
        .default('carrier')
        .describe(
          '`carrier`: the hosts see that their link is down, as with a cable pulled out. `silence`: their link looks up, and nothing passes, as with a switch that hangs.',
        ),
    })
    .describe('Cuts the links of hosts to a segment.'),
  partition: z
    .strictObject({
      segment: zName.describe('The segment.'),
      groups: zGroups.describe(
        'Groups of hosts that still reach each other; those that no group names are one more. `[[r1, r2]]` parts these two from all others.',
      ),
    })
    .describe('Parts a segment: only hosts of the same group reach each other. Their links stay up.'),
  down: z.strictObject(zLink).describe('The link of one host to a segment is down: `cut` for one host.'),
  flap: z
    .strictObject({
      ...zLink,
      every: zDuration
        .default(2000)
        .describe('It is down for half of this time, then up for the other half; default 2s.'),
    })
    .describe('The link of one host to a segment goes down and up, again and again.'),
  loss: z
    .strictObject({
      ...zSegmentHosts,
      percent: zPercent.describe('Percentage of the frames, each by chance, once on its way over the segment.'),
    })
    .describe('Loses frames from and to hosts on a segment.'),
  delay: z
    .strictObject({ ...zReached, by: zDuration.describe('How much later each frame comes.') })
    .describe('Frames to hosts on a segment come later. Takes `kernel:netem`.'),
  jitter: z
    .strictObject({
      ...zReached,
      by: zDuration.describe('Each frame comes later by a time of its own, by chance between nothing and this.'),
    })
    .describe('Frames to hosts on a segment come irregularly, and may overtake each other. Takes `kernel:netem`.'),
  corrupt: z
    .strictObject({ ...zReached, percent: zOfFrames })
    .describe('Frames to hosts on a segment come with one wrong bit. Takes `kernel:netem`.'),
  duplicate: z
    .strictObject({ ...zReached, percent: zOfFrames })
    .describe('Frames to hosts on a segment come twice. Takes `kernel:netem`.'),
  rate: z
    .strictObject({
      ...zReached,
      to: zRate.describe('Bits per second, of whole frames: `512kbit`, `10mbit`, `1gbit`; 8kbit at least.'),
    })
    .describe(
      'No more than that comes to each of the hosts over a segment; what waits longer than 0.2 s is lost. Takes `kernel:tbf`.',
    ),
  kill: z
    .strictObject({
      host: zName.describe('The host.'),
      process: z
        .string()
        .regex(/^[^/\s]+$/, { error: 'expected the name of a command, without blanks and slashes' })
        .refine((name) => Buffer.byteLength(name) <= 15, {
          error: 'the kernel keeps 15 characters of a name: no process can have this one',
        })
        .describe('Command name, as ps -o comm shows it: the kernel keeps 15 characters.'),
    })
    .describe(
      'Ends all processes of that name on a host at once (SIGKILL, from outside), also those of its containers. Nothing is healed: what starts them again, if anything does, is the host’s.',
    ),
  pause: zName.describe(
    'Stops all processes of a host where they are, from outside. Its kernel goes on: it answers pings and forwards, while none of its programs says a word. Healed, they go on.',
  ),
  restart: zName.describe('`poweroff` and on again at once; the step is done when the host answers.'),
  clock: z
    .strictObject({
      host: zName.describe('The host.'),
      ahead: zDuration.optional().describe('How much the clock is fast.'),
      behind: zDuration.optional().describe('How much it is slow.'),
    })
    .refine(({ ahead, behind }) => (ahead === undefined) !== (behind === undefined), {
      error: 'say one of ahead, behind',
    })
    .describe(
      'The clock of a host goes wrong. Takes a host with a clock of its own, as virtual machines have; those of the local provider share the machine’s, and it is skipped there.',
    ),
  poweroff: zName.describe(
    'Cuts the power of a host: all its processes end at once, and its links with them. Healed, it boots with what was on its disk.',
  ),
};

const kindNames = Object.keys(kinds) as (keyof typeof kinds)[];

/** What breaks: one of these, and how long. */
const faultShape = {
  ...(Object.fromEntries(kindNames.map((name) => [name, kinds[name].optional()])) as {
    [Name in keyof typeof kinds]: z.ZodOptional<(typeof kinds)[Name]>;
  }),
};

const oneKind = <Body extends object>(fault: Body): boolean =>
  kindNames.filter((name) => (fault as Record<string, unknown>)[name] !== undefined).length === 1;
const notOne = { error: `a fault is one of ${kindNames.join(', ')}` };

type ForAWhile = { kill?: unknown; restart?: unknown; for?: number | undefined; name?: string | undefined };
/** What is over as soon as it has happened. */
const isLasting = ({ kill, restart, for: time, name }: ForAWhile): boolean =>
  (kill === undefined && restart === undefined) || (time === undefined && name === undefined);
const notLasting = { error: 'kill and restart are over at once: they have neither `for` nor a `name` to heal' };

/** As a step puts it in. */
export const zFault = z
  .strictObject({
    ...faultShape,
    for: zDuration
      .optional()
      .describe(
        'It is healed after this time; the steps and checks that follow go on meanwhile. Default: until a `heal:` step, or the end.',
      ),
    name: zName
      .refine((name) => name !== 'all', { error: '`heal: all` heals all faults: give it another name' })
      .optional()
      .describe('A name for `heal:`.'),
  })
  .refine(oneKind, notOne)
  .refine(isLasting, notLasting);

/** As it is in for a while only. */
export const zFaultForAWhile = z
  .strictObject({
    ...faultShape,
    for: zDuration
      .optional()
      .describe('How long it is in, or is watched after a `kill`; default 5s. A `restart` takes as long as it takes.'),
  })
  .refine(oneKind, notOne)
  .refine((fault) => fault.restart === undefined || fault.for === undefined, {
    error: 'a restart takes as long as it takes: leave `for` out (poweroff has one)',
    path: ['for'],
  })
  .transform((fault) => (fault.restart === undefined ? { ...fault, for: fault.for ?? 5000 } : fault));

export type FaultBody = Omit<z.output<typeof zFault>, 'name' | 'for'>;

/** A host or segment that a spec names. */
export interface NamedPart {
  sort: 'host' | 'segment';
  name: string;
  /** Below the item, or below the kind’s key of a check: `['fault', 'cut', 'hosts', 0]`. */
  path: (string | number)[];
  /** The segment that the host must be on. */
  on?: string;
}

/** All hosts of a segment, where none is named. */
function hostsOn(plan: LabPlan | null, segment: string, hosts: readonly string[] | undefined): readonly string[] {
  if (hosts !== undefined) return hosts;
  if (plan === null) return [allHosts];
  return plan.hosts.filter((host) => host.interfaces.some((nic) => nic.segment === segment)).map((host) => host.name);
}

/** The fault that a step asks for, in a lab; without one for its description. */
export function faultOf(fault: FaultBody, plan: LabPlan | null): Fault {
  const { cut, partition, loss, rate, kill, clock } = fault;
  const link = fault.down ?? fault.flap;
  if (cut) return { kind: 'cut', segment: cut.segment, hosts: hostsOn(plan, cut.segment, cut.hosts), as: cut.as };
  if (link) return { kind: 'cut', segment: link.segment, hosts: [link.host], as: 'carrier' };
  if (partition) return { kind: 'partition', ...partition };
  if (loss) return { kind: 'loss', ...loss, hosts: hostsOn(plan, loss.segment, loss.hosts) };
  for (const kind of ['delay', 'jitter'] as const) {
    const body = fault[kind];
    if (body) return { kind, segment: body.segment, hosts: hostsOn(plan, body.segment, body.hosts), byMs: body.by };
  }
  for (const kind of ['corrupt', 'duplicate'] as const) {
    const body = fault[kind];
    if (body) return { kind, ...body, hosts: hostsOn(plan, body.segment, body.hosts) };
  }
  if (rate) {
    const { segment, hosts, to } = rate;
    return { kind: 'rate', segment, hosts: hostsOn(plan, segment, hosts), bitsPerSecond: to };
  }
  if (kill) return { kind: 'kill', ...kill };
  if (clock) return { kind: 'clock', host: clock.host, byMs: clock.ahead ?? -clock.behind! };
  if (fault.pause !== undefined) return { kind: 'pause', host: fault.pause };
  return { kind: 'poweroff', host: (fault.poweroff ?? fault.restart)! };
}

/** Hosts and segments that a fault names, with the segment that a host must be on. */
export function partsOfFault(fault: FaultBody, at: NamedPart['path']): NamedPart[] {
  const parts: NamedPart[] = [];
  const segmentAt = (name: string, path: NamedPart['path']): void => void parts.push({ sort: 'segment', name, path });
  const hostAt = (name: string, path: NamedPart['path'], on?: string): void =>
    void parts.push({ sort: 'host', name, path, ...(on === undefined ? {} : { on }) });
  for (const key of ['cut', 'loss', 'delay', 'jitter', 'corrupt', 'duplicate', 'rate'] as const) {
    const body = fault[key];
    if (!body) continue;
    segmentAt(body.segment, [...at, key, 'segment']);
    body.hosts?.forEach((host, index) => hostAt(host, [...at, key, 'hosts', index], body.segment));
  }
  for (const key of ['down', 'flap'] as const) {
    const body = fault[key];
    if (!body) continue;
    segmentAt(body.segment, [...at, key, 'segment']);
    hostAt(body.host, [...at, key, 'host'], body.segment);
  }
  if (fault.partition) {
    const { segment, groups } = fault.partition;
    segmentAt(segment, [...at, 'partition', 'segment']);
    groups.forEach((group, index) =>
      group.forEach((host, position) => hostAt(host, [...at, 'partition', 'groups', index, position], segment)),
    );
  }
  for (const key of ['poweroff', 'pause', 'restart'] as const)
    if (fault[key] !== undefined) hostAt(fault[key], [...at, key]);
  for (const key of ['kill', 'clock'] as const) if (fault[key]) hostAt(fault[key].host, [...at, key, 'host']);
  return parts;
}

/** What it does, in one line, without a lab. */
export function describeFault(fault: FaultBody & { for?: number | undefined }): string {
  const what = fault.flap
    ? `the link of ${fault.flap.host} to ${fault.flap.segment} goes down and up every ${formatDuration(fault.flap.every)}`
    : fault.restart !== undefined
      ? `${fault.restart} is restarted`
      : faultText(faultOf(fault, null));
  return fault.for === undefined ? what : `${what}, for ${formatDuration(fault.for)}`;
}

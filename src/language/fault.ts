import { z } from 'zod';
import { allHosts, faultText, type Fault } from '../model/fault.js';
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
  .refine(oneKind, notOne);

/** As it is in for a while only. */
export const zFaultForAWhile = z
  .strictObject({
    ...faultShape,
    for: zDuration.default(5000).describe('How long it is in; default 5s.'),
  })
  .refine(oneKind, notOne);

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
  const { cut, partition, loss, poweroff } = fault;
  const link = fault.down ?? fault.flap;
  if (cut) return { kind: 'cut', segment: cut.segment, hosts: hostsOn(plan, cut.segment, cut.hosts), as: cut.as };
  if (link) return { kind: 'cut', segment: link.segment, hosts: [link.host], as: 'carrier' };
  if (partition) return { kind: 'partition', ...partition };
  if (loss) return { kind: 'loss', ...loss, hosts: hostsOn(plan, loss.segment, loss.hosts) };
  return { kind: 'poweroff', host: poweroff! };
}

/** Hosts and segments that a fault names, with the segment that a host must be on. */
export function partsOfFault(fault: FaultBody, at: NamedPart['path']): NamedPart[] {
  const parts: NamedPart[] = [];
  const segmentAt = (name: string, path: NamedPart['path']): void => void parts.push({ sort: 'segment', name, path });
  const hostAt = (name: string, path: NamedPart['path'], on?: string): void =>
    void parts.push({ sort: 'host', name, path, ...(on === undefined ? {} : { on }) });
  for (const key of ['cut', 'loss'] as const) {
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
  if (fault.poweroff !== undefined) hostAt(fault.poweroff, [...at, 'poweroff']);
  return parts;
}

/** What it does, in one line, without a lab. */
export function describeFault(fault: FaultBody & { for?: number | undefined }): string {
  const what = fault.flap
    ? `the link of ${fault.flap.host} to ${fault.flap.segment} goes down and up every ${formatDuration(fault.flap.every)}`
    : faultText(faultOf(fault, null));
  return fault.for === undefined ? what : `${what}, for ${formatDuration(fault.for)}`;
}

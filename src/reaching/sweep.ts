import type { Cause } from '../model/verdict.js';
import { firstBrokenHop, manyPathParts, neighbourSilent, readOwnList, readPaths } from '../facts/path.js';
import type { PathEvidence } from '../facts/path.js';
import type { ProbeContext } from '../places/context.js';
import { runScript, whyUnfinished } from '../places/script.js';
import type { PartResult, ScriptPart } from '../places/script.js';
import { beside, inside } from '../places/vantage.js';
import type { Vantage } from '../places/vantage.js';
import { connectCommand, connectProgram, readConnectOutput } from '../probes/connect-probe.js';
import { connectResult, connectSighting } from '../probes/connect-send.js';
import { readFping } from '../probes/fping-output.js';
import type { FpingSighting } from '../probes/fping-output.js';
import { ownAddressesIn } from '../probes/target.js';
import type { OwnAddress, ResolvedTarget } from '../probes/target.js';
import { quoteArg, quoteArgv } from '../ssh/quote.js';
import type { Sent } from './attempt.js';

/** What is sent to many targets at once. */
export interface SweepShape {
  by: 'ping' | { tcp: number };
  family: 4 | 6;
  /** ms to wait for each answer, resends included. */
  waitMs: number;
}

/** All that one place sends. */
export interface SweepJob {
  source: Vantage;
  targets: readonly ResolvedTarget[];
  /** Has the place say its own addresses as well. */
  asked?: boolean;
}

/** What a job came to. */
export interface Swept {
  /** Of each target, in their order. */
  sent: Sent[];
  /** The place's own addresses of the family; `null` where it was not asked, or listed none. */
  own: OwnAddress[] | null;
}

/** Sends to a target that stays silent, the first one included. */
const tries = 3;

function probeShell({ by, family, waitMs }: SweepShape, source: Vantage, addresses: readonly string[]): string {
  if (by === 'ping') {
    const argv = ['fping', `-${family}`, '-e', '-r', String(tries - 1), '-t', String(Math.ceil(waitMs / tries))];
    return inside(source, quoteArgv([...argv, '-B', '1', '-i', '0.01', ...addresses]));
  }
  const targets = addresses.map((address) => ({ address, port: by.tcp }));
  return `printf '%s' "$program" | ${inside(source, connectCommand({ proto: 'tcp', waitMs, targets }))}`;
}

/** One line of fping, as every kind words what a ping came to. */
function fpingSent(seen: FpingSighting, path: PathEvidence | null, source: string, target: ResolvedTarget): Sent {
  const { label, address } = target;
  const failure = (cause: Cause, text: string, answeredBy: string | null): Sent => ({
    sighting: { saw: 'failure', cause, text },
    path,
    answeredBy,
  });
  if (seen.saw === 'reply') {
    const measures = seen.ms === null ? {} : { measures: [{ name: 'rtt', value: seen.ms, unit: 'ms' as const }] };
    return {
      sighting: { saw: 'success', text: `${label} answered ${source}`, ...measures },
      path,
      answeredBy: address,
    };
  }
  const broken = firstBrokenHop(path, source, address);
  const own = path?.route && 'source' in path.route ? path.route.source : null;
  if (seen.saw === 'silence' || (seen.from !== null && seen.from === own))
    return failure(
      seen.saw === 'error' ? seen.cause : neighbourSilent(path) ? 'host-unreachable' : 'timeout',
      `${label} does not answer ${source}${broken === null ? '' : `: ${broken}`}`,
      null,
    );
  return seen.from === null
    ? failure(seen.cause, `${source} could not send to ${label}: its own kernel says “${seen.text}”`, null)
    : failure(seen.cause, `${seen.from} answered ${source} for ${label}: ${seen.text}`, seen.from);
}

function connectSent(shape: SweepShape & { by: { tcp: number } }) {
  return (
    output: string,
    targets: readonly ResolvedTarget[],
    paths: ReadonlyMap<string, PathEvidence | null>,
    source: string,
  ): Sent[] | null => {
    const sightings = readConnectOutput(output, targets.length);
    return (
      sightings?.map((sighting, at) => {
        const target = targets[at]!;
        const result = connectResult(sighting, paths.get(target.address) ?? null, target.address);
        const seen = connectSighting(result, `${target.label} port ${shape.by.tcp}/tcp`, source, target.address);
        const measures = sighting.saw === 'open' ? [{ name: 'rtt', value: sighting.ms, unit: 'ms' as const }] : [];
        return {
          sighting: seen.saw === 'success' ? { ...seen, measures } : seen,
          path: result.path,
          answeredBy: result.answeredBy,
        };
      }) ?? null
    );
  };
}

function readSweep(
  shape: SweepShape,
  { source, targets }: SweepJob,
  parts: ReadonlyMap<string, PartResult>,
  at: number,
  why: string,
): Sent[] {
  const all = (text: string): Sent[] =>
    targets.map(() => ({ sighting: { saw: 'nothing', text }, path: null, answeredBy: null }));
  const tool = shape.by === 'ping' ? 'fping' : 'perl';
  const probe = parts.get(`probe-${at}`);
  if (!probe) return all(`the probes from ${source.label} were not finished: ${why}`);
  if (probe.exitCode === 127) return all(`${source.host.name} has no ${tool}, which sends the probes`);
  const addresses = targets.map(({ address }) => address);
  const paths = readPaths(parts, addresses, `${at}-`);
  const { by } = shape;
  let sent: Sent[] | null;
  if (by === 'ping') {
    const seen = readFping(probe.output, addresses);
    sent =
      seen &&
      targets.map((target) =>
        fpingSent(seen.get(target.address)!, paths.get(target.address) ?? null, source.label, target),
      );
  } else sent = connectSent({ ...shape, by })(probe.output, targets, paths, source.label);
  return (
    sent ??
    all(`what ${tool} said at ${source.label} is not understood: “${probe.output.trim().split('\n').at(-1) ?? ''}”`)
  );
}

/** What each job came to, in their order. Jobs of one host run at once, in one exec. Rejects only with NETRIG_SSH_*. */
export async function sweep(context: ProbeContext, shape: SweepShape, jobs: readonly SweepJob[]): Promise<Swept[]> {
  const hosts = new Map<string, SweepJob[]>();
  for (const job of jobs) hosts.set(job.source.host.name, [...(hosts.get(job.source.host.name) ?? []), job]);
  const results = new Map<SweepJob, Swept>();
  await Promise.all(
    [...hosts.values()].map(async (own) => {
      const parts = own.flatMap(({ source: named, targets, asked }, at): ScriptPart[] => {
        const source = beside(named);
        const addresses = targets.map(({ address }) => address);
        return [
          // What runs at once with others needs files for its output.
          { name: `probe-${at}`, shell: probeShell(shape, source, addresses), atOnce: own.length > 1 },
          ...manyPathParts(addresses, `${at}-`, asked).map((part) => ({ ...part, shell: inside(source, part.shell) })),
        ];
      });
      const { parts: said, exec } = await runScript(beside(own[0]!.source).host, parts, {
        timeoutMs: context.timeLeftMs(),
        signal: context.signal,
        ...(shape.by === 'ping' ? {} : { prelude: `program=${quoteArg(connectProgram)}` }),
        keepBytes: 16 << 20,
      });
      own.forEach((job, at) => {
        const listed = job.asked === true ? readOwnList(said, `${at}-`) : null;
        results.set(job, {
          sent: readSweep(shape, job, said, at, whyUnfinished(exec)),
          own: listed === null ? null : ownAddressesIn(job.source, listed),
        });
      });
    }),
  );
  return jobs.map((job) => results.get(job)!);
}

import { causeOfError, connectCommand, connectProgram, describeError, readConnectOutput } from './connect-probe.js';
import type { ConnectProbe, ConnectSighting } from './connect-probe.js';
import type { Sighting } from '../judging/expectation.js';
import type { ProbeContext } from '../places/context.js';
import { firstBrokenHop, neighbourSilent, pathParts, readPath } from '../facts/path.js';
import type { PathEvidence } from '../facts/path.js';
import { runScript, whyUnfinished } from '../places/script.js';
import type { PartResult } from '../places/script.js';
import type { ResolvedTarget } from './target.js';
import { beside, inside } from '../places/vantage.js';
import type { Vantage } from '../places/vantage.js';

/** What one connection attempt or datagram met, with the sender's view of the path when it failed. */
export interface ConnectResult {
  sighting: ConnectSighting | null;
  /** Why `sighting` is `null`. */
  unknown: string;
  path: PathEvidence | null;
  /** Who said no, when it was not the sender's own kernel. */
  answeredBy: string | null;
}

/** Reads parts made by `connectParts`. */
function readConnect(
  part: PartResult | undefined,
  parts: ReadonlyMap<string, PartResult>,
  source: Vantage,
  address: string,
  why: string,
): ConnectResult {
  const nothing = (unknown: string): ConnectResult => ({ sighting: null, unknown, path: null, answeredBy: null });
  if (!part) return nothing(`the probe from ${source.label} was not finished: ${why}`);
  if (part.exitCode === 127) return nothing(`${source.endpoint.host} has no perl, which sends the probe`);
  const sighting = readConnectOutput(part.output, 1)?.[0];
  if (!sighting)
    return nothing(
      `the probe at ${source.label} said something that is not understood: “${part.output.trim().split('\n').at(-1) ?? ''}”`,
    );
  return connectResult(sighting, readPath(parts, address), address);
}

/** A sighting with who was the one that answered. */
export function connectResult(sighting: ConnectSighting, path: PathEvidence | null, address: string): ConnectResult {
  if (sighting.saw === 'other') return { sighting, unknown: '', path, answeredBy: sighting.from };
  if (sighting.saw !== 'error')
    return { sighting, unknown: '', path, answeredBy: sighting.saw === 'silent' ? null : address };
  const own = path?.route && 'source' in path.route ? path.route.source : null;
  // The kernel's own "host unreachable" after unanswered ARP requests is an ICMP message from the sender's own address.
  const answeredBy =
    sighting.where === 'local' || sighting.icmp?.from === own ? null : (sighting.icmp?.from ?? address);
  return { sighting, unknown: '', path, answeredBy };
}

export async function sendConnect(
  context: ProbeContext,
  source: Vantage,
  target: ResolvedTarget,
  probe: Omit<ConnectProbe, 'targets'> & { port: number; payload?: Buffer },
): Promise<ConnectResult> {
  const { port, payload, ...rest } = probe;
  const command = connectCommand({
    ...rest,
    targets: [{ address: target.address, port, ...(payload ? { payload } : {}) }],
  });
  const from = beside(source);
  const { parts, exec } = await runScript(
    from.host,
    [{ name: 'connect', shell: command }, ...pathParts(target.address)],
    {
      timeoutMs: context.timeLeftMs(),
      signal: context.signal,
      stdin: connectProgram,
      wrap: (shell) => inside(from, shell),
    },
  );
  return readConnect(parts.get('connect'), parts, source, target.address, whyUnfinished(exec));
}

/** A connection attempt's result as a sighting. `what`: "node2 port 80/tcp". */
export function connectSighting(result: ConnectResult, what: string, source: string, address: string): Sighting {
  const { sighting, path } = result;
  if (!sighting) return { saw: 'nothing', text: result.unknown };
  if (sighting.saw === 'open') return { saw: 'success', text: `${what} accepts a connection from ${source}` };
  if (sighting.saw === 'data') return { saw: 'success', text: `${what} answers ${source}` };
  if (sighting.saw === 'other')
    return {
      saw: 'failure',
      cause: 'wrong-answer',
      text: `${what} was asked by ${source}, and ${sighting.from} port ${sighting.port} answered in its place`,
    };
  if (sighting.saw === 'mute' || sighting.saw === 'closed')
    return {
      saw: 'failure',
      cause: 'no-answer',
      text: `${what} accepts a connection from ${source}, and ${sighting.saw === 'mute' ? 'says nothing over it' : 'closes it without a word'}`,
    };
  const broken = firstBrokenHop(path, source, address);
  if (sighting.saw === 'silent') {
    return {
      saw: 'failure',
      cause: neighbourSilent(path) ? 'host-unreachable' : 'timeout',
      text: `${what} does not answer ${source}${broken === null ? '' : `: ${broken}`}`,
    };
  }
  const cause = causeOfError(sighting, address.includes(':') ? 6 : 4);
  if (cause === null)
    return {
      saw: 'nothing',
      text: `the probe from ${source} to ${what} met ${sighting.errno}, which no network makes`,
    };
  if (cause === 'refused')
    return {
      saw: 'failure',
      cause,
      text: `${what} refuses ${source}${sighting.icmp ? ` (${describeError(sighting)})` : ''}`,
    };
  return {
    saw: 'failure',
    cause,
    text: `${what} cannot be reached from ${source}: ${result.answeredBy === null && broken !== null ? broken : describeError(sighting)}`,
  };
}

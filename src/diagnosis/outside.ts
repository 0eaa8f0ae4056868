import type { Diagnosis } from '../model/verdict.js';
import { quoteArgv } from '../ssh/quote.js';
import { neighbourSilent } from '../facts/path.js';
import type { ProbeContext } from '../places/context.js';
import { runScript } from '../places/script.js';
import { inside } from '../places/vantage.js';
import { findOwner } from '../probes/target.js';
import type { DiagnosisRequest } from './diagnose.js';

/** A diagnosis that claims no root cause. */
function remark(sentence: string): Diagnosis {
  return { sentence, rootCause: null, way: [], back: [], evidence: [], mend: null, unlooked: [] };
}

/** The gateway, by what the sender's neighbour table says of it: whether it answers pings says nothing about forwarding. */
function gatewayWords({ path }: DiagnosisRequest): string | null {
  if (!path?.route || 'refused' in path.route || path.route.gateway === null || neighbourSilent(path)) return null;
  return path.neighbour === null ? null : `the gateway ${path.route.gateway} is there`;
}

/** Whether the target's owner still has the address that was probed. */
async function ownerWords(context: ProbeContext, { source, target }: DiagnosisRequest): Promise<string | null> {
  const owner = target.owner ?? (await findOwner(context, source, target.address));
  if (!owner) return null;
  const family = target.family === 6 ? '-6' : '-4';
  const { parts } = await runScript(
    owner.host,
    [
      {
        name: 'address',
        shell: quoteArgv(['ip', '-j', family, 'addr', 'show', 'to', target.address]),
        errors: 'apart',
      },
    ],
    { timeoutMs: 5000, signal: context.signal, wrap: (shell) => inside(owner, shell) },
  );
  const listed = parts.get('address');
  return listed?.exitCode === 0 && !listed.output.includes(`"${target.address}"`)
    ? `${owner.label} does not have the address ${target.address}`
    : null;
}

/** What can be said without following the packet. */
export async function lookFromOutside(context: ProbeContext, request: DiagnosisRequest): Promise<Diagnosis | null> {
  const { cause, answeredBy } = request;
  if (cause === 'present' || cause === 'no-route' || cause === 'too-big' || answeredBy !== null) return null;
  const words = [await ownerWords(context, request), gatewayWords(request)].filter((text) => text !== null);
  return words.length === 0 ? null : remark(words.join('; '));
}

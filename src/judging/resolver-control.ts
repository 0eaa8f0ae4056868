import { z } from 'zod';
import type { Cause, Control } from '../model/verdict.js';
import { zEndpoint, zTarget } from '../language/fields.js';
import type { ProbeContext } from '../places/context.js';
import { isVantage, parseEndpoint } from '../places/endpoint.js';
import { isVantageProblem, resolveVantage } from '../places/vantage.js';
import type { Vantage } from '../places/vantage.js';
import type { RecordType } from '../probes/dns-message.js';
import { askServers, resolveName } from '../probes/resolver.js';
import type { Resolution } from '../probes/resolver.js';
import { findOwner, isTargetProblem, resolveTarget } from '../probes/target.js';

/** A question that must be answered for a name's failure to count, in place of the one that is asked by default. */
export const zQuestionControl = z
  .strictObject({
    name: z.string().min(1).max(253).optional().describe('The name; the check’s own where left out.'),
    from: zEndpoint.optional().describe('Where it is asked; at the check’s own place where left out.'),
    server: zTarget.optional().describe('The name server; as the place’s own resolver would where left out.'),
  })
  .refine((control) => Object.keys(control).length > 0, 'must name at least one of name, from and server')
  .describe(
    'A question that must be answered for `fails` to count. Without one: a server that gave no answer must answer the same question at its own host; the engine’s embedded server the container’s own name, and for names with a dot its host’s resolver the same question.',
  );
export type QuestionControl = z.output<typeof zQuestionControl>;

/** A name that did not resolve at a place. */
export interface FailedQuestion {
  name: string;
  type: RecordType;
  cause: Cause;
  /** Who was asked last; `null` where the place has no name server. */
  server: string | null;
  port?: number | undefined;
  /** The server said so, or its host that nobody listens there. */
  replied: boolean;
}

const embedded = '127.0.0.11';
const waitMs = 2000;

/** By these the server itself says what it knows: nobody else could have answered otherwise. */
const decisive: readonly Cause[] = ['nxdomain', 'no-answer', 'dns-refused', 'refused'];

function heard(resolution: Resolution): string {
  if (resolution.saw !== 'answer') return resolution.text;
  const values = resolution.addresses.length > 0 ? resolution.addresses : resolution.records.map(({ data }) => data);
  return `${resolution.by} answers ${values.join(', ')}`;
}

/** The engine's embedded server knows the names of its networks by itself, and asks others for those with a dot. */
async function embeddedControl(context: ProbeContext, source: Vantage, failed: FailedQuestion): Promise<Control> {
  const container = source.container!;
  if (!failed.name.replace(/\.$/, '').includes('.')) {
    const [answer] = await askServers(context, source, [{ server: embedded, name: container.name, type: 'A' }], {
      waitMs,
      tries: 1,
    });
    return {
      title: `name server ${embedded} is alive`,
      held: answer?.saw === 'answer',
      seen:
        answer?.saw === 'answer'
          ? `it resolves ${answer.name}, the container's own name`
          : (answer?.text ?? 'no answer'),
    };
  }
  const host = await resolveVantage(context, { kind: 'host', host: source.endpoint.host });
  const title = `${source.endpoint.host}, for whose containers ${embedded} asks, resolves ${failed.name}`;
  if (isVantageProblem(host)) return { title, held: false, seen: host.reason };
  const given = z.object({ HostConfig: z.object({ Dns: z.array(z.string()).nullish() }) }).safeParse(container.inspect);
  const server = given.data?.HostConfig.Dns?.[0];
  const resolution = await resolveName(context, host, failed.name, {
    type: failed.type,
    waitMs,
    ...(server === undefined ? {} : { server }),
  });
  return { title, held: resolution.saw === 'answer', seen: heard(resolution) };
}

/**
 * The control of a name that did not resolve. A server that said what it knows is alive by that. One that could not find out, or
 * was silent, must answer the same question where no way to it can be broken: asked from its own host. A silent one is alive by
 * any reply of its own there; one that said SERVFAIL only by an answer, since it says so of everything when whoever it asks is dead.
 */
export async function failedQuestionControl(
  context: ProbeContext,
  source: Vantage,
  failed: FailedQuestion,
): Promise<Control> {
  const { server, port, cause, replied, name, type } = failed;
  if (server === null)
    return {
      title: `${source.label} was asked`,
      held: true,
      seen: 'it has no name server, which its resolv.conf says',
    };
  const title = `name server ${server}${port === undefined ? '' : ` (port ${port})`}`;
  if (replied && decisive.includes(cause))
    return { title: `${title} is alive`, held: true, seen: 'it replied to the very question' };
  if (server === embedded && source.container !== null) return embeddedControl(context, source, failed);
  const owner = await findOwner(context, source, server);
  if (!owner)
    return {
      title: `${title} is alive`,
      held: false,
      seen: 'no host and no single container of the lab is known to own its address; name a `control` that must be answered',
    };
  const [answer] = await askServers(context, owner, [{ server, port, name: name.replace(/\.$/, ''), type }], {
    waitMs,
    tries: 1,
  });
  const answers = answer?.saw === 'answer';
  // That nobody listens there is a reply of the host, but none of a name server.
  const served = answer?.saw === 'failure' && answer.replied && answer.cause !== 'refused';
  const held = answers || (cause !== 'servfail' && served);
  return {
    title: `${title} ${cause === 'servfail' ? 'can find out' : 'is alive'}, asked for ${name} from ${owner.label} itself`,
    held,
    seen: answers ? 'it answers there' : (answer?.text ?? 'no answer'),
  };
}

/** The author's control: the question is asked, and must be answered. */
export async function questionControl(
  context: ProbeContext,
  source: Vantage,
  asked: { name: string; type: RecordType },
  control: QuestionControl,
): Promise<Control> {
  const name = control.name ?? asked.name;
  const title = `${name} resolves at ${control.from ?? source.label}${control.server === undefined ? '' : `, asked of ${control.server}`}`;
  const from = control.from === undefined ? source.endpoint : parseEndpoint(control.from, context.plan);
  if (!isVantage(from)) return { title, held: false, seen: `${control.from} is no place to ask from` };
  const place = control.from === undefined ? source : await resolveVantage(context, from);
  if (isVantageProblem(place)) return { title, held: false, seen: place.reason };
  let server: string | undefined;
  if (control.server !== undefined) {
    const target = await resolveTarget(context, place, parseEndpoint(control.server, context.plan));
    if (isTargetProblem(target)) return { title, held: false, seen: target.reason };
    server = target.address;
  }
  const resolution = await resolveName(context, place, name, {
    type: asked.type,
    waitMs,
    ...(server === undefined ? {} : { server }),
  });
  return { title, held: resolution.saw === 'answer', seen: heard(resolution) };
}

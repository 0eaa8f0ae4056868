import { beside } from '../places/vantage.js';
import { z } from 'zod';
import type { HostPlan } from '../plan/lab-plan.js';
import type { ExecResult } from '../ssh/ssh.js';
import type { ProbeContext } from '../places/context.js';
import type { Vantage } from '../places/vantage.js';

/** Bytes of a tool's answer that are kept: a host with thousands of links still fits. */
const answerBytes = 8 << 20;

/** Why a command gave no answer, as a clause; `null` where it ran to its end, whatever its exit status. */
export function whyNoAnswer(tool: string, result: ExecResult): string | null {
  if (result.timedOut) return `${tool} did not end within ${Math.round(result.durationMs)} ms`;
  if (result.aborted) return 'it was interrupted';
  if (result.exitCode === null) return `signal ${result.signal ?? '?'} ended ${tool}`;
  if (result.exitCode === 127 || result.exitCode === 126)
    return `${result.host} has no usable ${tool}: ${lastLine(result.stderr) || `exit status ${result.exitCode}`}`;
  return null;
}

export function lastLine(text: string): string {
  return text.trim().split('\n').at(-1)?.trim() ?? '';
}

/** What `ip -j` said: a list, the kernel's refusal, or nothing that can be judged. */
export type IpAnswer<Item> = { items: Item[] } | { refusal: string } | { unknown: string };

/** The scenario's names in place of those that a machine has for its interfaces itself. */
function inScenarioNames(answer: unknown, plan: HostPlan): unknown {
  const names = new Map(
    plan.interfaces.flatMap(({ name, device }) => (device === undefined ? [] : [[device, name] as const])),
  );
  if (names.size === 0) return answer;
  const rename = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(rename);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, one]) => [
        key,
        typeof one === 'string' && ['ifname', 'dev', 'oif', 'link', 'master'].includes(key)
          ? (names.get(one) ?? one)
          : rename(one),
      ]),
    );
  };
  return rename(answer);
}

/** Names of routing tables are the host's own: /etc/iproute2/rt_tables. */
const namesTables = (args: readonly string[]): boolean => args.includes('rule') || args.includes('table');

/** The schema of a list of each that was asked for: to make one takes longer than to read a list by it. */
const listSchemas = new WeakMap<z.ZodType, z.ZodType>();

function listOf<Item>(schema: z.ZodType<Item>): z.ZodType<Item[]> {
  const made = (listSchemas.get(schema) as z.ZodType<Item[]> | undefined) ?? z.array(schema);
  listSchemas.set(schema, made);
  return made;
}

/** What `ip -j` listed in a vantage's network namespace, by what is read of each element. */
export function readItems<Item>(vantage: Vantage, raw: unknown, schema: z.ZodType<Item>): z.ZodSafeParseResult<Item[]> {
  return listOf(schema).safeParse(vantage.endpoint.kind === 'host' ? inScenarioNames(raw, vantage.host.plan) : raw);
}

/**
 * Runs the host's `ip -j ARGS` in the vantage's network namespace. `schema` states what is read of each element; anything else
 * is `unknown`. A refusal is exit status 1 or 2 with the kernel's words, without the prefix that iproute2 puts before them.
 */
export async function askIp<Item>(
  context: ProbeContext,
  vantage: Vantage,
  args: readonly string[],
  schema: z.ZodType<Item>,
): Promise<IpAnswer<Item>> {
  const argv = ['ip', '-j', ...args];
  const place = namesTables(args) ? vantage : beside(vantage);
  const result = await place.host.exec(place.enter(argv), {
    timeoutMs: context.timeLeftMs(),
    signal: context.signal,
    keepBytes: answerBytes,
  });
  const why = whyNoAnswer('ip', result);
  const asked = `“${argv.join(' ')}” in ${vantage.label}`;
  if (why !== null) return { unknown: `${asked} gave no answer: ${why}` };
  if (result.exitCode !== 0) {
    // A listing that breaks off adds "Dump terminated" after the reason.
    const words =
      result.stderr.split('\n').find((line) => /^(?:RTNETLINK answers|Error): /.test(line)) ?? lastLine(result.stderr);
    if (words.startsWith('nsenter:'))
      return { unknown: `the network namespace of ${vantage.label} could not be entered: ${words}` };
    return { refusal: words.replace(/^(?:RTNETLINK answers|Error): /, '') || `exit status ${result.exitCode}` };
  }
  if (result.stdoutBytes > answerBytes)
    return { unknown: `${asked} answered with ${result.stdoutBytes} bytes, more than is read` };
  let raw: unknown;
  try {
    // iproute2 prints nothing at all for some empty lists.
    raw = result.stdout.trim() === '' ? [] : JSON.parse(result.stdout);
  } catch {
    return { unknown: `${asked} answered with something that is no JSON: ${result.stdout.trim().slice(0, 120)}` };
  }
  const items = readItems(vantage, raw, schema);
  if (!items.success) {
    const issue = items.error.issues[0];
    return {
      unknown:
        `${asked} answered in a form that is not known: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`.trimEnd(),
    };
  }
  return { items: items.data };
}

/** What an HTTP API said. `status` 0 never occurs: no response at all is `unanswered`, with curl's exit status. */
export type HttpAnswer = { status: number; body: string } | { unanswered: string; curlExit: number | null };

/**
 * One GET by the host's curl, from the vantage's network namespace. `socket`: over that unix socket instead of TCP.
 * curl's exit statuses are documented: 6 name, 7 connection, 28 time limit, 52 empty answer, 56 reset.
 */
export async function httpGet(
  context: ProbeContext,
  vantage: Vantage,
  url: string,
  socket?: string,
): Promise<HttpAnswer> {
  const seconds = Math.max(1, Math.ceil(Math.min(context.timeLeftMs(), 20_000) / 1000));
  const argv = [
    'curl',
    '-sS',
    '--noproxy',
    '*',
    '--max-time',
    String(seconds),
    ...(socket === undefined ? [] : ['--unix-socket', socket]),
    '-w',
    '\\n%{http_code}',
    url,
  ];
  const result = await vantage.host.exec(vantage.enter(argv), {
    timeoutMs: seconds * 1000 + 2000,
    signal: context.signal,
    keepBytes: answerBytes,
  });
  const why = whyNoAnswer('curl', result);
  if (why !== null) return { unanswered: why, curlExit: null };
  if (result.exitCode !== 0)
    return {
      unanswered: lastLine(result.stderr) || `curl ended with exit status ${result.exitCode}`,
      curlExit: result.exitCode,
    };
  if (result.stdoutBytes > answerBytes)
    return { unanswered: `the answer has ${result.stdoutBytes} bytes, more than is read`, curlExit: 0 };
  const cut = result.stdout.lastIndexOf('\n');
  const status = Number(result.stdout.slice(cut + 1));
  if (cut < 0 || !Number.isInteger(status) || status < 100)
    return { unanswered: 'curl did not state the status of the answer', curlExit: 0 };
  return { status, body: result.stdout.slice(0, cut) };
}

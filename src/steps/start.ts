import { z } from 'zod';
import { formatDuration } from '../model/duration.js';
import type { Outcome } from '../model/verdict.js';
import { zDuration } from '../language/fields.js';
import { quoteArg, quoteArgv } from '../ssh/quote.js';
import { defineStep, type StepContext } from './kind.js';
import { hostClock, howEnded, launchScript, parseEnding, pathsFor } from './background.js';
import { firstAndLastLines, streamsOf } from './last-lines.js';
import { lastWords, onEachHost } from './on-hosts.js';

const until = z
  .strictObject({
    http: z
      .url({ protocol: /^https?$/ })
      .optional()
      .describe('URL that must answer with a 2xx status, asked on the host itself.'),
    body: z.string().optional().describe('Text that the body of that answer must contain.'),
    tcp: z
      .string()
      .regex(/^[^\s:]+:\d{1,5}$/, 'an address with a port, such as 127.0.0.1:8500')
      .optional()
      .describe('`address:port` that must accept a connection, tried on the host itself.'),
    command: z.string().min(1).optional().describe('Command line that must exit with 0 on the host.'),
    log: z.string().min(1).optional().describe('Text that must stand in the output of the process.'),
    within: zDuration.default(30_000).describe('How long that may take; default 30s.'),
  })
  .refine(
    (value) => value.http ?? value.tcp ?? value.command ?? value.log,
    'needs at least one of http, tcp, command, log',
  )
  .refine((value) => value.body === undefined || value.http !== undefined, '`body` goes with `http`');

const schema = z.strictObject({
  start: z.string().min(1).describe('Command line of a process that goes on in the background until the lab ends.'),
  until: until.optional().describe('When the process is ready; the step waits for all that is named here.'),
});

type StartSpec = z.infer<typeof schema>;

/** What the host needs to say that a process did not become ready, ms. */
const sayMs = 500;

/** How often the host looks whether the process is ready. */
const pollSeconds = 0.1;
/** How long a process is watched that nobody waits for, ms: one that cannot start ends at once. */
const watchedMs = 300;
const shownLogBytes = 8000;

interface Condition {
  /** As a reader says it after "waiting for": `127.0.0.1:8500 to accept connections`. */
  what: string;
  /** The shell condition. Values are quoted, the author's own command line stands as it is. */
  test: string;
}

/** All that must be true once the process is ready. */
function conditionsOf(spec: NonNullable<StartSpec['until']>, log: string): Condition[] {
  const all: Condition[] = [];
  if (spec.http !== undefined) {
    const ask = quoteArgv(['curl', '--silent', '--fail', '--noproxy', '*', '--max-time', '2', spec.http]);
    all.push(
      spec.body === undefined
        ? { what: `${spec.http} to answer with success`, test: `${ask} >/dev/null 2>&1` }
        : {
            what: `${spec.http} to answer with ${JSON.stringify(spec.body)} in its body`,
            test: `${ask} 2>/dev/null | grep -qF -- ${quoteArg(spec.body)}`,
          },
    );
  }
  if (spec.tcp !== undefined) {
    const at = spec.tcp.lastIndexOf(':');
    const device = `/dev/tcp/${spec.tcp.slice(0, at)}/${spec.tcp.slice(at + 1)}`;
    const test = `${quoteArgv(['timeout', '1', 'bash', '-c', 'exec 3<>"$0"', device])} 2>/dev/null`;
    all.push({ what: `${spec.tcp} to accept connections`, test });
  }
  if (spec.log !== undefined)
    all.push({
      what: `its output to say ${JSON.stringify(spec.log)}`,
      test: `grep -qF -- ${quoteArg(spec.log)} ${quoteArg(log)}`,
    });
  if (spec.command !== undefined)
    all.push({
      what: `\`${spec.command.trim()}\` to exit with 0`,
      test: `( ${spec.command}\n) >/dev/null 2>&1`,
    });
  return all;
}

/**
 * One command watches for all of it on the host: readiness (exit status 0), an early end (10), the deadline (12). Its first
 * line is the end of the process or the numbers of the conditions that do not hold, the rest the last of the log.
 */
function watchScript(conditions: readonly Condition[], log: string, ended: string, deadlineMs: number): string {
  const tail = `tail -c ${shownLogBytes} ${quoteArg(log)}`;
  const ready = conditions.length === 0 ? 'false' : conditions.map(({ test }) => test).join(' && ');
  return [
    hostClock,
    `now; end=$((ms + ${Math.round(deadlineMs)}))`,
    'while :; do',
    `  if ${ready}; then exit 0; fi`,
    `  if [ -s ${quoteArg(ended)} ]; then cat ${quoteArg(ended)}; ${tail}; exit 10; fi`,
    '  now',
    '  if [ $ms -ge $end ]; then',
    '    missing=""',
    ...conditions.map(({ test }, at) => `    ${test} || missing="$missing ${at}"`),
    `    echo $missing; ${tail}; exit 12`,
    '  fi',
    `  sleep ${pollSeconds}`,
    'done',
  ].join('\n');
}

function notReady(conditions: readonly Condition[], first: string, deadlineMs: number): string {
  const numbers = first.split(' ').filter((word) => word !== '');
  const missing = numbers.flatMap((word) => conditions[Number(word)]?.what ?? []);
  const within = `Not ready within ${formatDuration(deadlineMs)}`;
  if (missing.length === 0) return `${within}; all that was waited for holds now, after it.`;
  const still = missing.length < conditions.length ? ' still' : '';
  return `${within}:${still} waiting for ${missing.join(', and for ')}.`;
}

async function startOn(spec: StartSpec, context: StepContext, hostName: string): Promise<Outcome> {
  const host = context.host(hostName);
  const { log, ended } = pathsFor(context.background.length + 1);
  const launched = await host.exec(launchScript(spec.start, log, ended), {
    timeoutMs: context.timeLeftMs(),
    signal: context.signal,
  });
  const pgid = Number(launched.stdout.trim());
  if (launched.exitCode !== 0 || !Number.isInteger(pgid) || pgid <= 1) {
    return {
      verdict: 'fail',
      cause: 'exit-status',
      reason: `The process could not be started: ${lastWords(launched.stderr) || 'no process id came back'}.`,
      output: streamsOf(launched),
    };
  }
  context.background.push({ host: hostName, command: spec.start, pgid, log, ended });

  const withinMs = spec.until ? spec.until.within : watchedMs;
  // Sooner than the step's own end, so that the host can say what is missing.
  const deadlineMs = Math.max(1, Math.min(withinMs, context.timeLeftMs() - sayMs));
  const conditions = spec.until ? conditionsOf(spec.until, log) : [];
  const watched = await host.exec(watchScript(conditions, log, ended, deadlineMs), {
    timeoutMs: deadlineMs + 5000,
    signal: context.signal,
  });
  const cut = watched.stdout.indexOf('\n');
  const first = watched.stdout.slice(0, cut);
  const text = firstAndLastLines(watched.stdout.slice(cut + 1));
  const output = [{ title: 'output of the process', text: text === '' ? '(nothing)' : text }];
  switch (watched.exitCode) {
    case 0:
      return {
        verdict: 'pass',
        reason: `Ready after ${formatDuration(watched.durationMs)}.`,
        measures: [{ name: 'ready', value: Math.round(watched.durationMs), unit: 'ms' }],
      };
    case 10: {
      const ending = parseEnding(first);
      // A command that puts itself into the background and ends well is fine as long as nobody asked for readiness.
      if (ending?.status === 0 && !spec.until)
        return { verdict: 'pass', reason: 'Started; the command has ended by itself with 0.' };
      const words = lastWords(text, 1);
      return {
        verdict: 'fail',
        cause: 'exit-status',
        reason: `The process ended before it was ready, ${howEnded(ending)}${words === '' ? '' : `: ${words}`}.`,
        expected: 'a process that goes on',
        output,
      };
    }
    case 12:
      if (!spec.until) return { verdict: 'pass', reason: 'Started, and still running.' };
      return {
        verdict: 'fail',
        cause: 'timeout',
        reason: notReady(conditions, first, deadlineMs),
        expected: `ready within ${formatDuration(withinMs)}`,
        output,
      };
    default:
      return {
        verdict: 'error',
        reason: `Waiting for the process on ${hostName} broke off: ${lastWords(watched.stderr) || 'no exit status'}.`,
      };
  }
}

/** Starts a process that stays, waits until it is ready, and keeps its log. */
export const startStep = defineStep<StartSpec>({
  name: 'start',
  summary:
    'Starts a process that goes on in the background until the lab ends, waits until it is ready, and keeps its output with the run.',
  example: `- step: A Consul server on node1
  on: node1
  start: consul agent -server -bootstrap -data-dir /opt/consul -bind 10.10.10.11
  until: { http: "http://127.0.0.1:8500/v1/status/leader", body: ":8300", within: 20s }`,
  schema,
  repeatable: false,
  describe: (spec) => spec.start.trim(),
  typed: (spec) => `${spec.start.trim()} &`,
  run: (spec, context) => onEachHost(context, (host) => startOn(spec, context, host.name)),
});

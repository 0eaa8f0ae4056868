import { z } from 'zod';
import { formatDuration } from '../model/duration.js';
import type { Outcome } from '../model/verdict.js';
import { zDuration } from '../language/fields.js';
import { quoteArg, quoteArgv } from '../ssh/quote.js';
import { defineStep, type StepContext } from './kind.js';
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

const directory = '/var/log/netrig';

/** How often the host looks whether the process is ready. */
const pollSeconds = 0.1;

/** The shell condition that is true once the process is ready. Values are quoted, the author's own command line stands as it is. */
function readiness(spec: NonNullable<StartSpec['until']>, log: string): string {
  const parts: string[] = [];
  if (spec.http !== undefined) {
    const ask = quoteArgv(['curl', '--silent', '--fail', '--noproxy', '*', '--max-time', '2', spec.http]);
    parts.push(
      spec.body === undefined ? `${ask} >/dev/null 2>&1` : `${ask} 2>/dev/null | grep -qF -- ${quoteArg(spec.body)}`,
    );
  }
  if (spec.tcp !== undefined) {
    const at = spec.tcp.lastIndexOf(':');
    const device = `/dev/tcp/${spec.tcp.slice(0, at)}/${spec.tcp.slice(at + 1)}`;
    parts.push(quoteArgv(['timeout', '1', 'bash', '-c', 'exec 3<>"$0"', device]) + ' 2>/dev/null');
  }
  if (spec.log !== undefined) parts.push(`grep -qF -- ${quoteArg(spec.log)} ${quoteArg(log)}`);
  if (spec.command !== undefined) parts.push(`( ${spec.command}\n) >/dev/null 2>&1`);
  return parts.join(' && ');
}

async function startOn(spec: StartSpec, context: StepContext, hostName: string): Promise<Outcome> {
  const host = context.host(hostName);
  const base = `${directory}/${context.background.length + 1}-${process.hrtime.bigint().toString(36)}`;
  const log = `${base}.log`;
  const ended = `${base}.exit`;

  // A session of its own, so that it outlives the SSH channel and one signal reaches all of it.
  const launch = [
    `mkdir -p ${directory}`,
    `setsid sh -c 'sh -c "$1"; echo $? >"$2"' sh ${quoteArg(spec.start)} ${quoteArg(ended)} >${quoteArg(log)} 2>&1 </dev/null & echo $!`,
  ].join('\n');
  const launched = await host.exec(launch, { timeoutMs: context.timeLeftMs(), signal: context.signal });
  const pgid = Number(launched.stdout.trim());
  if (launched.exitCode !== 0 || !Number.isInteger(pgid) || pgid <= 1) {
    return {
      verdict: 'fail',
      cause: 'exit-status',
      reason: `The process could not be started: ${lastWords(launched.stderr) || 'no process id came back'}.`,
    };
  }
  context.background.push({ host: hostName, command: spec.start, pgid, log });

  const withinMs = spec.until ? spec.until.within : 300;
  const deadline = Math.min(withinMs, context.timeLeftMs());
  const condition = spec.until ? readiness(spec.until, log) : 'false';
  const tail = `tail -c 2000 ${quoteArg(log)}`;
  // One command watches for all of it on the host: readiness, an early end, the deadline.
  const watch = [
    `end=$(( $(date +%s%N) / 1000000 + ${Math.round(deadline)} ))`,
    'while :; do',
    `  if ${condition}; then exit 0; fi`,
    `  if [ -s ${quoteArg(ended)} ]; then read code <${quoteArg(ended)}; ${tail}; exit $(( code == 0 ? 10 : 11 )); fi`,
    `  if [ $(( $(date +%s%N) / 1000000 )) -ge $end ]; then ${tail}; exit 12; fi`,
    `  sleep ${pollSeconds}`,
    'done',
  ].join('\n');
  const watched = await host.exec(watch, { timeoutMs: deadline + 5000, signal: context.signal });
  const words = lastWords(watched.stdout, 3);
  const said = words ? ` Its last words: ${words}` : '';
  switch (watched.exitCode) {
    case 0:
      return {
        verdict: 'pass',
        reason: `Ready after ${formatDuration(watched.durationMs)}.`,
        measures: [{ name: 'ready', value: Math.round(watched.durationMs), unit: 'ms' }],
      };
    case 10:
    case 11:
      // A command that puts itself into the background and ends well is fine as long as nobody asked for readiness.
      if (watched.exitCode === 10 && !spec.until)
        return { verdict: 'pass', reason: 'Started; the command has ended by itself with 0.' };
      return {
        verdict: 'fail',
        cause: 'exit-status',
        reason: `The process ended before it was ready.${said}`,
        expected: 'a process that goes on',
      };
    case 12:
      if (!spec.until) return { verdict: 'pass', reason: 'Started, and still running.' };
      return {
        verdict: 'fail',
        cause: 'timeout',
        reason: `Not ready within ${formatDuration(deadline)}.${said}`,
        expected: `ready within ${formatDuration(withinMs)}`,
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
  describe: (spec) => spec.start.trim().replace(/\s*\n\s*/g, ' ; '),
  run: (spec, context) => onEachHost(context, (host) => startOn(spec, context, host.name)),
});

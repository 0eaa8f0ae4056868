import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { zEndpoint } from '../language/fields.js';
import { formatDuration } from '../model/duration.js';
import type { Measure, Outcome } from '../model/verdict.js';
import { quoteArgv } from '../ssh/quote.js';
import type { ExecResult } from '../ssh/ssh.js';
import { lastLine } from '../facts/answer.js';
import { parseEndpoint, isVantage } from '../places/endpoint.js';
import { matchFields, zFields } from '../judging/json-path.js';
import { claims, zText } from '../judging/claims.js';
import { defineCheck } from './kind.js';
import type { ProbeContext } from '../places/context.js';
import { match, showValue } from '../judging/match.js';
import { fail, inconclusive, pass } from '../judging/outcome.js';
import { isVantageProblem, resolveVantage } from '../places/vantage.js';
import type { Vantage } from '../places/vantage.js';

const keptBytes = 4 << 20;

const zSpec = z.strictObject({
  on: zEndpoint.describe('Where it runs: a host, a container (in its own file system) or a network namespace.'),
  run: z
    .union([z.string().min(1), z.array(z.string()).min(1)])
    .describe('A line for the shell, or a list of arguments of which nothing is interpreted.'),
  'exec-in': z
    .enum(['container', 'network'])
    .default('container')
    .describe(
      'For containers. container: its own programs, by docker exec. network: programs of the host, in the network namespace of the container.',
    ),
  stdin: z.string().optional().describe('Text for its standard input.'),
  expect: claims({
    exit: z
      .union([z.int().min(0).max(255), z.enum(['nonzero', 'any'])])
      .optional()
      .describe('Exit status; 0 where left out. nonzero and any do not accept a program that could not be started.'),
    stdout: zText.optional().describe('What it prints, without the line ends at the end.'),
    stderr: zText.optional().describe('What it prints to standard error, without the line ends at the end.'),
    json: zFields.optional().describe('Fields of the JSON document that it prints.'),
  })
    .refine(({ exit, ...rest }) => exit !== 'any' || Object.keys(rest).length > 0, {
      path: ['exit'],
      error: 'any cannot fail: say what else is expected, or nonzero',
    })
    .default({}),
});
type Spec = z.output<typeof zSpec>;

const shownCommand = (spec: Spec): string => (typeof spec.run === 'string' ? spec.run : quoteArgv(spec.run));

/** The words with which shells, nsenter and container runtimes say that there is no such program. */
const notFound = /not found|No such file or directory|no such file or directory|Permission denied|permission denied/;
/** How the docker client begins a line when the engine, not the command, is the reason. */
const engineWords =
  /^(?:Error response from daemon|Error: No such container|Cannot connect to the Docker daemon|OCI runtime exec failed)/m;

/** Killing the client of `docker exec` leaves the process in the container: it is found by a variable that only it and its children have. */
async function killInside(vantage: Vantage, mark: string): Promise<void> {
  const script =
    'for e in /proc/[0-9]*/environ; do if grep -qzxF "$1" "$e" 2>/dev/null; then p=${e#/proc/}; kill -KILL "${p%/environ}" 2>/dev/null; fi; done; true';
  await vantage.host.exec(['sh', '-c', script, 'sh', `NETRIG_COMMAND=${mark}`], { cleansUp: true });
}

async function runCommand(spec: Spec, context: ProbeContext, vantage: Vantage): Promise<ExecResult> {
  const options = {
    timeoutMs: context.timeLeftMs(),
    signal: context.signal,
    keepBytes: keptBytes,
    ...(spec.stdin === undefined ? {} : { stdin: spec.stdin }),
  };
  const argv = typeof spec.run === 'string' ? ['sh', '-c', spec.run] : spec.run;
  if (vantage.container === null || spec['exec-in'] === 'network') {
    // On the host itself a line goes to the login shell as it stands, as a reader of the scenario would type it.
    if (vantage.endpoint.kind === 'host') return vantage.host.exec(spec.run, options);
    return vantage.host.exec(vantage.enter(argv), options);
  }
  const mark = randomBytes(8).toString('hex');
  const exec = [
    'docker',
    'exec',
    ...(spec.stdin === undefined ? [] : ['-i']),
    '-e',
    `NETRIG_COMMAND=${mark}`,
    vantage.container.id,
    ...argv,
  ];
  const result = await vantage.host.exec(exec, options);
  if (result.timedOut || result.aborted) await killInside(vantage, mark);
  return result;
}

/** The text without the line ends at its end, as `$(…)` gives it. */
const trimmed = (text: string): string => text.replace(/[\r\n]+$/, '');

interface WrongOutput {
  what: string;
  sentence: string;
  expected: string;
  actual: string;
}

/** What of the output is not as expected, or why that cannot be judged. */
function judgeOutput(spec: Spec, result: ExecResult, command: string, measures: Measure[]): WrongOutput[] | Outcome {
  const { expect } = spec;
  const cut = (stream: 'standard output' | 'standard error', bytes: number): Outcome =>
    inconclusive(
      `${command} wrote ${bytes} bytes to ${stream}, of which only ${keptBytes} are kept: what was asked of it cannot be judged`,
      { measures },
    );
  const wrong: WrongOutput[] = [];
  for (const stream of ['stdout', 'stderr'] as const) {
    const matcher = expect[stream];
    if (matcher === undefined) continue;
    const bytes = stream === 'stdout' ? result.stdoutBytes : result.stderrBytes;
    const name = stream === 'stdout' ? 'standard output' : 'standard error';
    if (bytes > keptBytes) return cut(name, bytes);
    const { ok, ...rest } = match(matcher, trimmed(result[stream]));
    if (!ok) wrong.push({ what: `its ${name}`, ...rest });
  }
  if (expect.json === undefined) return wrong;
  if (result.stdoutBytes > keptBytes) return cut('standard output', result.stdoutBytes);
  let document: unknown;
  try {
    document = JSON.parse(result.stdout);
  } catch {
    return fail('wrong-value', `${command} printed no JSON document: ${showValue(trimmed(result.stdout))}`, {
      expected: 'a JSON document',
      actual: showValue(trimmed(result.stdout)),
      measures,
    });
  }
  for (const { ok, path, ...rest } of matchFields(expect.json, document)) if (!ok) wrong.push({ what: path, ...rest });
  return wrong;
}

export function judgeCommand(spec: Spec, result: ExecResult, inContainer: boolean): Outcome {
  const expect = { exit: 0 as const, ...spec.expect };
  const command = `“${shownCommand(spec)}” on ${spec.on}`;
  const measures = [{ name: 'duration', value: result.durationMs, unit: 'ms' as const }];
  if (result.aborted)
    return inconclusive(`${command} was interrupted after ${formatDuration(result.durationMs)}`, { measures });
  if (result.timedOut)
    return fail('timeout', `${command} did not end within ${formatDuration(result.durationMs)} and was killed`, {
      measures,
    });
  const { exitCode } = result;
  if (exitCode === null)
    return fail('exit-status', `${command} was ended by signal ${result.signal ?? 'unknown'}`, {
      expected: describeExit(expect.exit),
      actual: `signal ${result.signal ?? 'unknown'}`,
      measures,
    });
  const words = lastLine(result.stderr);
  if (exitCode !== expect.exit) {
    if (
      (exitCode === 127 || exitCode === 126) &&
      (notFound.test(result.stderr) || notFound.test(lastLine(result.stdout)))
    ) {
      return inconclusive(`${command} could not be started: ${words || lastLine(result.stdout)}`, { measures });
    }
    if (inContainer && engineWords.test(result.stderr))
      return inconclusive(`the engine could not run ${command}: ${words}`, { measures });
  }
  const exitOk = expect.exit === 'any' || (expect.exit === 'nonzero' ? exitCode !== 0 : exitCode === expect.exit);
  if (!exitOk) {
    return fail(
      'exit-status',
      `${command} ended with exit status ${exitCode}, expected ${describeExit(expect.exit)}${words === '' ? '' : `: ${words}`}`,
      {
        expected: `exit status ${describeExit(expect.exit)}`,
        actual: `exit status ${exitCode}`,
        measures,
      },
    );
  }
  const wrong = judgeOutput(spec, result, command, measures);
  if ('verdict' in wrong) return wrong;
  if (wrong.length > 0) {
    return fail('wrong-value', `${command}: ${wrong.map(({ what, sentence }) => `${what} ${sentence}`).join('; ')}`, {
      expected: wrong.map(({ what, expected }) => `${what}: ${expected}`).join('\n'),
      actual: wrong.map(({ what, actual }) => `${what}: ${actual}`).join('\n'),
      measures,
    });
  }
  const complaint = shellComplaint(spec, result);
  if (complaint !== null)
    return inconclusive(`${command} did not run as it is written, so what came of it proves nothing: ${complaint}`, {
      measures,
    });
  const seen = trimmed(result.stdout);
  return pass(
    `${command} ended with exit status ${exitCode} after ${formatDuration(result.durationMs)}${seen !== '' && seen.length <= 80 && !seen.includes('\n') ? `: ${seen}` : ''}`,
    { measures, ...(seen === '' ? {} : { actual: showValue(seen) }) },
  );
}

/** A shell's own words (dash, bash, busybox) about a line that it could not run as it stands. */
const shellWords =
  /^(?:\S*sh|busybox|environment): (?:-c: )?(?:line )?\d+: (?:.*: (?:command )?not found|[Ss]yntax error.*|.*: [Pp]ermission denied|.*unexpected end of file.*)$/m;

/**
 * What the shell says of a program that is not there or of a line that it does not understand. A check that would pass all the
 * same passes for that reason alone, unless it says what is to stand on standard error, or names the exit status of it.
 */
function shellComplaint({ expect }: Spec, { stderr }: ExecResult): string | null {
  if (expect.stderr !== undefined || (typeof expect.exit === 'number' && expect.exit !== 0)) return null;
  return shellWords.exec(stderr)?.[0] ?? null;
}

function describeExit(exit: NonNullable<Spec['expect']['exit']>): string {
  return exit === 'nonzero' ? 'other than 0' : exit === 'any' ? 'of any value' : String(exit);
}

export const commandCheck = defineCheck<Spec>({
  name: 'command',
  summary: 'A command on a host, in a container or in a network namespace ends and prints as expected.',
  example: `- check: node1 forwards packets
  command:
    on: node1
    run: cat /proc/sys/net/ipv4/ip_forward
    expect: { stdout: 1 }`,
  schema: zSpec as z.ZodType<Spec>,
  mayChange: () => 'a command may change something',
  timeoutMs: 30_000,
  endpoints: (spec) => [{ endpoint: spec.on, path: ['on'], role: 'vantage' }],
  describe: (spec) => `${spec.on} runs ${shownCommand(spec).split('\n')[0]}`,
  async run(spec, context) {
    const endpoint = parseEndpoint(spec.on, context.plan);
    if (!isVantage(endpoint)) return inconclusive(`${spec.on} is no host, container or network namespace of the lab`);
    const vantage = await resolveVantage(context, endpoint);
    if (isVantageProblem(vantage)) return inconclusive(vantage.reason);
    const result = await runCommand(spec, context, vantage);
    const outcome = judgeCommand(spec, result, vantage.container !== null && spec['exec-in'] === 'container');
    return outcome.verdict === 'pass' ? outcome : { ...outcome, again: { on: spec.on, command: shownCommand(spec) } };
  },
});

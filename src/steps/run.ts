import { z } from 'zod';
import { formatDuration } from '../model/duration.js';
import { shown } from '../language/wording.js';
import type { Outcome } from '../model/verdict.js';
import type { ProbeHost } from '../places/context.js';
import { defineStep, type StepContext } from './kind.js';
import { streamsOf } from './last-lines.js';
import { unreachedRegistry } from './unreached-registry.js';
import { howItEnded, onEachHost, tellingWords } from './on-hosts.js';
import { savedFrom, zSave } from './save.js';

/** Output of a command that values are saved from, bytes. */
const savedBytes = 4 << 20;

const schema = z.strictObject({
  run: z
    .string()
    .min(1)
    .describe(
      'Command lines for the shell of the host, as a person would type them. The first that fails ends the step.',
    ),
  stdin: z.string().optional().describe('Text that the commands read from standard input.'),
  save: zSave.optional(),
});

type RunSpec = z.infer<typeof schema>;

async function runOn(spec: RunSpec, context: StepContext, host: ProbeHost): Promise<Outcome> {
  const limitMs = context.timeLeftMs();
  // As a reader types them, one after the other; but nobody is there to look at each exit status.
  const multi = spec.run.trim().includes('\n');
  const result = await host.exec(multi ? `set -e\n${spec.run}` : spec.run, {
    stdin: spec.stdin,
    timeoutMs: Math.ceil(limitMs),
    signal: context.signal,
    ...(spec.save === undefined ? {} : { keepBytes: savedBytes }),
  });
  if (result.exitCode !== 0) {
    const how = howItEnded(result, formatDuration(limitMs));
    const words = tellingWords(result.stderr) || tellingWords(result.stdout);
    const why = unreachedRegistry(result.stderr, host.plan);
    return {
      verdict: result.aborted ? 'error' : 'fail',
      cause: result.timedOut ? 'timeout' : 'exit-status',
      reason: `The command ${how}${words ? `: ${words}` : ''}${why === null ? (words ? '' : '.') : `. ${why}`}`,
      expected: 'exit status 0',
      actual: how,
      output: streamsOf(result),
    };
  }
  const done = `Done in ${formatDuration(result.durationMs)}.`;
  if (spec.save === undefined) return { verdict: 'pass', reason: done };
  if (result.stdoutBytes > Buffer.byteLength(result.stdout))
    return {
      verdict: 'fail',
      cause: 'wrong-value',
      reason: `The output has ${result.stdoutBytes} bytes, too many to save a value from.`,
      output: streamsOf(result),
    };
  const saved = savedFrom(spec.save, result.stdout);
  if ('problem' in saved)
    return { verdict: 'fail', cause: 'absent', reason: `${saved.problem}.`, output: streamsOf(result) };
  for (const [name, value] of saved.values) context.save(name, value);
  return {
    verdict: 'pass',
    reason: `${done} Saved ${[...saved.values].map(([name, value]) => `${name} = ${shown(value)}`).join(', ')}.`,
  };
}

/** Runs commands on one or several hosts at once. */
export const runStep = defineStep<RunSpec>({
  name: 'run',
  summary:
    'Runs command lines in the shell of each host named by `on`, on all of them at once. Exit status 0 is success; anything else ends the scenario.',
  example: `- step: Docker reads its new unit
  on: [node1, node2]
  run: |
    systemctl daemon-reload
    systemctl restart docker`,
  schema,
  // A line each: a script on one line could not be read, nor typed again.
  describe: (spec) => spec.run.trim(),
  typed: (spec) => spec.run.trim(),
  saves: (spec) => Object.keys(spec.save ?? {}),
  repeatable: false,
  run: (spec, context) => onEachHost(context, (host) => runOn(spec, context, host)),
});

import { z } from 'zod';
import { formatDuration } from '../model/duration.js';
import { defineStep } from './kind.js';
import { howItEnded, lastWords, onEachHost } from './on-hosts.js';

const schema = z.strictObject({
  run: z
    .string()
    .min(1)
    .describe(
      'Command lines for the shell of the host, as a person would type them. The first that fails ends the step.',
    ),
  stdin: z.string().optional().describe('Text that the commands read from standard input.'),
});

type RunSpec = z.infer<typeof schema>;

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
  repeatable: false,
  describe: (spec) => spec.run.trim().replace(/\s*\n\s*/g, ' ; '),
  run: (spec, context) =>
    onEachHost(context, async (host) => {
      const limitMs = context.timeLeftMs();
      // As a reader types them, one after the other; but nobody is there to look at each exit status.
      const multi = spec.run.trim().includes('\n');
      const result = await host.exec(multi ? `set -e\n${spec.run}` : spec.run, {
        stdin: spec.stdin,
        timeoutMs: Math.ceil(limitMs),
        signal: context.signal,
      });
      if (result.exitCode === 0) return { verdict: 'pass', reason: `Done in ${formatDuration(result.durationMs)}.` };
      const words = lastWords(result.stderr) || lastWords(result.stdout);
      return {
        verdict: result.aborted ? 'error' : 'fail',
        cause: result.timedOut ? 'timeout' : 'exit-status',
        reason: `The command ${howItEnded(result, formatDuration(limitMs))}${words ? `: ${words}` : '.'}`,
        expected: 'exit status 0',
        actual: howItEnded(result, formatDuration(limitMs)),
      };
    }),
});

import { formatDuration } from '../model/duration.js';
import type { Cause, Outcome } from '../model/verdict.js';
import type { ProbeHost } from '../places/context.js';
import type { StartCondition } from '../scenario/container-keys.js';
import type { StepContext } from './kind.js';
import { lastWords } from './on-hosts.js';

/** State of a container as `docker inspect` has it. */
interface ContainerState {
  Status: string;
  ExitCode: number;
  Health?: { Status: string; Log?: { ExitCode: number; Output: string }[] | null };
}

/** Ends when it is decided what becomes of a container; one command, since each is kept with the run. */
const untilDecided = `while state=$(docker inspect --type container --format '{{.State.Status}} {{with .State.Health}}{{.Status}}{{end}}' "$1") &&
  case $state in
    created* | restarting* | 'running starting') ;;
    running*) [ "$2" = service_completed_successfully ] ;;
    *) false ;;
  esac
do sleep 0.2; done`;

/**
 * What keeps a container from being as far as another one wants it: a sentence where it never will be, `waiting` where it may.
 * `null`: it is.
 */
function whatIsMissing(name: string, condition: StartCondition, state: ContainerState): string | null {
  const { Status: status, ExitCode: exitCode, Health: health } = state;
  if (condition === 'service_started') return null;
  const over = status === 'exited' || status === 'dead';
  if (condition === 'service_completed_successfully') {
    if (!over) return 'waiting';
    return exitCode === 0 ? null : `${name} ended with exit status ${exitCode}`;
  }
  if (over) return `${name} ended with exit status ${exitCode}`;
  if (health === undefined) return `${name} has no health check: neither the file nor its image says one`;
  if (health.Status === 'healthy') return null;
  if (health.Status !== 'unhealthy') return 'waiting';
  const last = health.Log?.at(-1);
  const said =
    last === undefined ? '' : `, its check exits with ${last.ExitCode}: ${lastWords(last.Output) || 'nothing said'}`;
  return `${name} is unhealthy${said}`;
}

/** Waits until the containers that one depends on are as far as it wants; `null`: they are. */
export async function awaitDependencies(
  host: ProbeHost,
  container: string,
  others: Readonly<Record<string, StartCondition>>,
  context: StepContext,
): Promise<Outcome | null> {
  const begun = performance.now();
  const left = (): { timeoutMs: number } => ({ timeoutMs: Math.ceil(context.timeLeftMs()) });
  for (const [name, condition] of Object.entries(others)) {
    if (condition === 'service_started') continue;
    const waited = await host.exec(['sh', '-c', untilDecided, 'sh', name, condition], left());
    const waitedFor = formatDuration(performance.now() - begun);
    const failure = (cause: Cause, why: string): Outcome => ({
      verdict: 'fail',
      cause,
      reason: `${container} waits for ${name} (${condition}): ${why}.`,
      expected: `${name}: ${condition}`,
    });
    if (waited.timedOut) return failure('timeout', `it has not come to that within ${waitedFor}`);
    const argv = ['docker', 'inspect', '--type', 'container', '--format', '{{json .State}}', name];
    const result = await host.exec(argv, left());
    if (result.exitCode !== 0) return failure('exit-status', lastWords(result.stderr) || 'docker inspect fails');
    const missing = whatIsMissing(name, condition, JSON.parse(result.stdout) as ContainerState);
    if (missing !== null)
      return failure('absent', missing === 'waiting' ? `it has not come to that after ${waitedFor}` : missing);
  }
  return null;
}

import { messageOf } from '../errors.js';
import { lookScript, readLook } from '../steps/background.js';
import type { BackgroundProcess } from '../steps/kind.js';
import { contextFor, log, type Course } from './course.js';
import { readEngineState } from './engine-state.js';

/** How much of a background process's log is kept, bytes. */
const keptLogBytes = 256 * 1024;
/** Time for one look at a host, ms. */
const lookMs = 10_000;

/** The output of a process that a `start` step left, and a word about it if it ended before its lab did. */
async function keepLog(course: Course, one: BackgroundProcess): Promise<void> {
  const context = contextFor(course, null, lookMs, {
    // Nobody asked for this command.
    record: () => undefined,
  });
  const result = await context.host(one.host).exec(lookScript(one, keptLogBytes), { keepBytes: 2 * keptLogBytes });
  const { ended, log: from } = readLook(one, result.stdout);
  if (ended !== null) log(course, 'warn', ended);
  const title = `Log of "${one.command.trim()}" on ${one.host}`;
  const output = result.stdoutRaw.subarray(from);
  const attachment = await context.attach(title, `${one.host}.log`, 'text/plain', output);
  course.emit({ type: 'artifact', scenario: course.scenario.id, item: null, attachment });
}

async function keepEngineState(course: Course, host: string): Promise<void> {
  const context = contextFor(course, null, 2 * lookMs, { record: () => undefined });
  const state = await readEngineState(context.host(host));
  if (state) course.emit({ type: 'engine', scenario: course.scenario.id, state });
}

/** Keeps what is worth keeping of a lab before it goes. Never rejects: what could not be kept is a warning. */
export async function keepEvidence(course: Course): Promise<void> {
  const engines = course.plan.hosts.filter((host) => host.engine).map((host) => host.name);
  const all = await Promise.allSettled([
    ...course.background.map((one) => keepLog(course, one)),
    ...engines.map((host) => keepEngineState(course, host)),
  ]);
  const reasons = new Set(all.flatMap((one) => (one.status === 'rejected' ? [messageOf(one.reason)] : [])));
  for (const reason of reasons) log(course, 'warn', `Not all logs and engine states could be kept: ${reason}`);
}

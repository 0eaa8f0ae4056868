import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { isNetrigError, NetrigError, type ErrorCode } from '../errors.js';
import { sortedDiagnostics, type Diagnostic } from './diagnostic.js';
import { loadScenarioFile, nameIsTaken, takenNames } from './load.js';

/** What a scenario file holds, or what is wrong with it, without the scenarios themselves. */
export interface FileSurvey {
  /** Absolute path. */
  file: string;
  name: string | null;
  /** How many it stands for: one for each combination of its matrix. 0 when there are diagnostics. */
  scenarios: number;
  /** Checks of all of them. */
  checks: number;
  diagnostics: Diagnostic[];
  hints: Diagnostic[];
  /** Where its name stands, for a mistake about it. */
  nameAt: Diagnostic;
}

/** A file that could not be read, as a message between threads can hold it. */
interface Unread {
  unread: { code: ErrorCode; message: string; hint: string };
}

/** What a thread is handed: all files, and whose turn it is next, shared by all of them. */
export interface SurveyOrder {
  files: readonly string[];
  next: Int32Array;
}

/** What a thread found, each with the place of its file in the list. */
export type Surveyed = [number, FileSurvey | Unread][];

/** Below so many files a thread more costs as much as it brings: it reads netrig itself first. */
const filesPerThread = 20;

async function surveyFile(file: string): Promise<FileSurvey | Unread> {
  try {
    const { scenarios, source, ...loaded } = await loadScenarioFile(file, { environment: null });
    const checks = scenarios.reduce((sum, one) => sum + one.items.filter(({ kind }) => kind === 'check').length, 0);
    return {
      file: loaded.file,
      name: loaded.name,
      scenarios: scenarios.length,
      checks,
      diagnostics: loaded.diagnostics,
      hints: loaded.hints,
      nameAt: source.diagnostic(['scenario'], ''),
    };
  } catch (error) {
    if (!isNetrigError(error)) throw error;
    return { unread: { code: error.code, message: error.message, hint: error.hint } };
  }
}

/** Takes one file after the other of those that nobody has taken yet. */
export async function takeTurns({ files, next }: SurveyOrder): Promise<Surveyed> {
  const found: Surveyed = [];
  for (let index = Atomics.add(next, 0, 1); index < files.length; index = Atomics.add(next, 0, 1))
    found.push([index, await surveyFile(files[index]!)]);
  return found;
}

/** What a thread of its own found; nothing where it could not be had, or came to its end before it could say so. */
function inThread(order: SurveyOrder): Promise<Surveyed> {
  const worker = new Worker(new URL('../scenario/survey-thread.js', import.meta.url), { workerData: order });
  return new Promise((resolve) => {
    worker.once('message', resolve);
    worker.once('error', () => resolve([]));
    worker.once('exit', () => resolve([]));
  });
}

/**
 * Reads scenario files, many of them on all processors. Secrets may be anything; two files with one name are a mistake of the
 * later one.
 *
 * @throws NETRIG_SCENARIO_READ for the first that cannot be read.
 */
export async function surveyFiles(files: readonly string[], threads = availableParallelism()): Promise<FileSurvey[]> {
  const order: SurveyOrder = { files, next: new Int32Array(new SharedArrayBuffer(4)) };
  const others = Math.min(threads, Math.floor(files.length / filesPerThread)) - 1;
  const found = new Map(
    (
      await Promise.all([takeTurns(order), ...Array.from({ length: Math.max(0, others) }, () => inThread(order))])
    ).flat(),
  );
  const surveys: FileSurvey[] = [];
  for (const [index, file] of files.entries()) {
    const one = found.get(index) ?? (await surveyFile(file));
    if ('unread' in one) throw new NetrigError(one.unread.code, one.unread.message, { hint: one.unread.hint });
    surveys.push(one);
  }
  const taken = takenNames(surveys);
  return surveys.map((one) => {
    const owner = taken.get(one);
    if (owner === undefined) return one;
    const mistake = { ...one.nameAt, message: nameIsTaken(one, owner) };
    return {
      ...one,
      scenarios: 0,
      checks: 0,
      diagnostics: sortedDiagnostics([...one.diagnostics, mistake]),
      hints: [],
    };
  });
}

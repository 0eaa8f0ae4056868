import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { MochaOptions } from 'mocha';
import { messageOf, NetrigError } from '../errors.js';

export interface MochaRunOptions {
  files: readonly string[];
  jobs: number;
  bail: boolean;
  grep: string | null;
  /** A Mocha reporter's name; `null`: none, somebody else shows what happens. */
  reporter: string | null;
  /** Aborted when the run is to end early. */
  signal: AbortSignal;
}

const registerFile = fileURLToPath(new URL('../mocha/register.js', import.meta.url));

/** Shows nothing: the event stream has its own console. */
function silent(): void {
  // Mocha wants a reporter to exist.
}

/** @throws NETRIG_USAGE when Mocha has no reporter of that name and can load none. */
export async function checkReporter(name: string): Promise<void> {
  const { default: Mocha } = await import('mocha');
  try {
    new Mocha({ reporter: name }).dispose();
  } catch (error) {
    const own = Object.keys(Mocha.reporters).filter((one) => /^[a-z-]+$/.test(one) && one !== 'base');
    throw new NetrigError('NETRIG_USAGE', `Mocha knows no reporter "${name}": ${messageOf(error).split('\n')[0]}`, {
      hint: `It has ${own.join(', ')}; others are named by their package or file.`,
    });
  }
}

/** Processes whose parent is this one. */
function children(): number[] {
  return readdirSync('/proc/self/task').flatMap((task) =>
    readFileSync(`/proc/self/task/${task}/children`, 'utf8')
      .split(' ')
      .filter((text) => text.trim() !== '')
      .map(Number),
  );
}

/**
 * Runs scenario files by Mocha in this process, or in `jobs` workers with a file at a time. Resolves when all files are
 * through, also after an abort: then each running scenario takes its lab down first.
 *
 * @returns How many tests Mocha counted as failed; a file that is not there any more counts as one.
 */
export async function runMocha(options: MochaRunOptions): Promise<number> {
  const { default: Mocha } = await import('mocha');
  await import('./register.js');
  const parallel = options.jobs > 1 && options.files.length > 1;
  const mocha = new Mocha({
    timeout: 0,
    bail: options.bail,
    ...(options.grep === null ? {} : { grep: new RegExp(options.grep) }),
    ...(parallel
      ? { parallel: true, jobs: Math.min(options.jobs, options.files.length), require: [registerFile] }
      : {}),
    reporter: options.reporter ?? (silent as unknown as string),
  } as MochaOptions);
  const there = options.files.filter((file) => existsSync(file));
  const gone = options.files.length - there.length;
  for (const file of there) mocha.addFile(file);
  if (!parallel) await mocha.loadFilesAsync();

  const before = new Set(process.listeners('SIGINT'));
  const failures = await new Promise<number>((resolve) => {
    mocha.run(resolve);
    if (!parallel) return;
    // Mocha would kill its workers at Ctrl-C; they have labs to take down first. A terminal sends the signal to them too,
    // but `kill` on this process alone does not.
    for (const listener of process.listeners('SIGINT'))
      if (!before.has(listener)) process.off('SIGINT', listener as () => void);
    options.signal.addEventListener('abort', () => {
      for (const pid of children()) {
        try {
          process.kill(pid, 'SIGUSR2');
        } catch {
          // It has ended by itself.
        }
      }
    });
  });
  // The same files may be run again in this process.
  if (!parallel) mocha.unloadFiles();
  mocha.dispose();
  return failures + gone;
}

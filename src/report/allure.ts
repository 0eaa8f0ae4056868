import { rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { makeDirectory } from '../model/directory.js';
import type { ReportFormat } from './format.js';
import { neutralise } from './terminal-text.js';

const resultsName = 'allure-results';
const reportName = 'allure-report';

/** Result files for Allure: a scenario is a suite, an item a test, a command a step; earlier attempts show as retries. */
export const allureResultsFormat: ReportFormat = {
  name: 'allure',
  summary: 'allure-results/: for Allure servers and for allure-report',
  async write(model, dir) {
    const resultsDir = join(dir, resultsName);
    await rm(resultsDir, { recursive: true, force: true });
    await makeDirectory(resultsDir, 0o700);
    // Loaded when it is needed: few runs write Allure's files, and all would wait for its modules before they begin.
    const { writeAllureResults } = await import('./allure-results.js');
    writeAllureResults(model, dir, resultsDir);
    return { files: [`${resultsName}/`], notes: [] };
  },
};

/** The version line of the Java on this machine (JAVA_HOME first, as Allure looks for it), or `null` where there is none. */
export async function findJava(env: NodeJS.ProcessEnv = process.env): Promise<string | null> {
  const java = env['JAVA_HOME'] ? join(env['JAVA_HOME'], 'bin', 'java') : 'java';
  // Loaded when it is needed: its hundred files would cost every run 60 ms.
  const { execa } = await import('execa');
  const result = await execa(java, ['-version'], {
    reject: false,
    timeout: 10_000,
    env,
    extendEnv: false,
    all: true,
    stdin: 'ignore',
  });
  if (result.failed || result.exitCode !== 0) return null;
  return result.all?.split('\n')[0] ?? '';
}

const javaHint =
  'allure-report/ was not made: Allure needs Java; on Debian: apt-get install default-jre-headless, then `netrig report`';

/** Generating takes some seconds of a JVM; more means that it hangs. */
const generateTimeoutMs = 120_000;

/** The Allure report, one page that opens from the file system, made by `allure generate` where there is Java. */
export const allureReportFormat: ReportFormat = {
  name: 'allure-report',
  summary: 'allure-report/: the Allure page, made from allure-results/ where Java is installed',
  async write(_model, dir, signal) {
    if ((await findJava()) === null) return { files: [], notes: [javaHint] };
    if (!(await stat(join(dir, resultsName)).catch(() => null))?.isDirectory()) {
      return { files: [], notes: ['allure-report/ was not made: it needs allure-results/, the format `allure`'] };
    }
    const { execa } = await import('execa');
    const require = createRequire(import.meta.url);
    const program = join(dirname(require.resolve('allure-commandline/package.json')), 'dist', 'bin', 'allure');
    const result = await execa(
      program,
      ['generate', '--single-file', '--clean', '--output', join(dir, reportName), join(dir, resultsName)],
      {
        // Allure reports its use to a tracker, from the JVM and from the page, unless this is `true` (`1` does not count).
        env: { ALLURE_NO_ANALYTICS: 'true' },
        all: true,
        reject: false,
        timeout: generateTimeoutMs,
        stdin: 'ignore',
        ...(signal ? { cancelSignal: signal } : {}),
      },
    );
    if (result.failed) {
      const said = neutralise(result.all ?? '')
        .trim()
        .split('\n')
        .slice(-3)
        .join(' ');
      return {
        files: [],
        notes: [
          `allure-report/ was not made: allure generate ${result.timedOut ? `took longer than ${generateTimeoutMs / 1000} s` : `failed (${result.shortMessage})`}${said === '' ? '' : `: ${said}`}`,
        ],
      };
    }
    return { files: [`${reportName}/index.html`], notes: [] };
  },
};

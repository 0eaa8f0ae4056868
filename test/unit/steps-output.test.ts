import { execFileSync } from 'node:child_process';
import { expect } from 'chai';
import type { ProbeHost } from '../../src/places/context.js';
import type { ExecResult } from '../../src/ssh/ssh.js';
import { howEnded, parseEnding, pathsFor, readLook } from '../../src/steps/background.js';
import type { BackgroundProcess, StepContext } from '../../src/steps/kind.js';
import { firstAndLastLines } from '../../src/steps/last-lines.js';
import { tellingWords } from '../../src/steps/on-hosts.js';
import { runStep } from '../../src/steps/run.js';
import { startStep } from '../../src/steps/start.js';

/** A step's context whose hosts answer by the script. */
function contextOf(on: string[], answer: (command: string, host: string) => Partial<ExecResult>) {
  const commands: string[] = [];
  const saved: Record<string, unknown> = {};
  const host = (name: string): ProbeHost =>
    ({
      name,
      exec: (command: string) => {
        commands.push(command);
        return Promise.resolve({
          stdout: '',
          stderr: '',
          exitCode: 0,
          timedOut: false,
          aborted: false,
          durationMs: 5,
          stdoutBytes: 0,
          stderrBytes: 0,
          ...answer(command, name),
        });
      },
    }) as unknown as ProbeHost;
  const background: BackgroundProcess[] = [];
  const context = {
    on,
    background,
    host,
    signal: new AbortController().signal,
    timeLeftMs: () => 60_000,
    save: (name: string, value: unknown) => void (saved[name] = value),
  } as unknown as StepContext;
  return { context, commands, saved, background };
}

const thirty = Array.from({ length: 30 }, (_, at) => `line ${at + 1}`).join('\n');

describe('Lines of an output', () => {
  it('are its first and last, one a line, each cut', () => {
    expect(firstAndLastLines('\n\n')).to.equal('');
    expect(firstAndLastLines('one\n two\n')).to.equal('one\n two');
    expect(firstAndLastLines(thirty).split('\n')).to.deep.equal([
      ...[1, 2, 3, 4, 5].map((at) => `line ${at}`),
      '… 15 lines left out …',
      ...[21, 22, 23, 24, 25, 26, 27, 28, 29, 30].map((at) => `line ${at}`),
    ]);
    expect(firstAndLastLines('x'.repeat(5000))).to.have.length(300);
  });
});

describe('A failed command line', () => {
  it('shows both streams, line by line, of each host where it failed', async () => {
    const { context } = contextOf(['a', 'b'], (_, host) =>
      host === 'a' ? {} : { exitCode: 4, stdout: thirty, stderr: 'first\nlast\n' },
    );
    const outcome = await runStep.run({ run: 'make it\nso' }, context);
    expect(outcome).to.deep.include({ verdict: 'fail', reason: 'b: The command exited with 4: last' });
    expect(outcome.output!.map(({ title, text }) => [title, text.split('\n').length])).to.deep.equal([
      ['b: standard error', 2],
      ['b: standard output', 16],
    ]);
    expect(runStep.describe({ run: 'make it\nso\n' })).to.equal('make it\nso');
  });

  it('saves nothing, and one whose output lacks the value fails', async () => {
    const { context, saved } = contextOf(['a'], () => ({ stdout: '{"Id":"abc"}' }));
    expect(await runStep.run({ run: 'x', save: { id: { json: 'Id' } } }, context)).to.deep.include({ verdict: 'pass' });
    expect(saved).to.deep.equal({ id: 'abc' });
    expect(await runStep.run({ run: 'x', save: { id: { json: 'No' } } }, context)).to.deep.include({
      verdict: 'fail',
      cause: 'absent',
      reason: '`id` could not be saved: the output has no No.',
    });
  });
});

describe('A background process', () => {
  const until = { tcp: '127.0.0.1:9', log: 'ready', within: 1000 };
  const started = (watch: Partial<ExecResult>) =>
    contextOf(['a'], (command) => (command.includes('setsid') ? { stdout: '4711\n' } : watch));

  it('that is not ready: which condition is missing, and the last of its log', async () => {
    const { context } = started({ exitCode: 12, stdout: '0\nfirst\nsecond\n' });
    const outcome = await startStep.run({ start: 'serve', until }, context);
    expect(outcome).to.deep.include({
      verdict: 'fail',
      cause: 'timeout',
      reason: 'Not ready within 1.0 s: still waiting for 127.0.0.1:9 to accept connections.',
    });
    expect(outcome.output).to.deep.equal([{ title: 'output of the process', text: 'first\nsecond' }]);
  });

  it('that ended: its status, its time, its last words', async () => {
    const { context } = started({ exitCode: 10, stdout: '3 1250\nno such port\n' });
    const outcome = await startStep.run({ start: 'serve', until }, context);
    expect(outcome.reason).to.equal(
      'The process ended before it was ready, with exit status 3 after 1.3 s: no such port.',
    );
  });

  it('has a log of its own, also beside another of its host', () => {
    expect(pathsFor(1)).to.not.deep.equal(pathsFor(1));
    const { log, ended } = pathsFor(2);
    expect(log).to.not.equal(ended);
  });

  it('is watched by a script that a shell takes, and that says what is missing', async () => {
    const { context, commands } = started({});
    await startStep.run({ start: 'serve', until: { command: 'false', log: 'x', within: 1 } }, context);
    let status = 0;
    let said = '';
    try {
      execFileSync('sh', ['-c', commands[1]!], { stdio: 'pipe' });
    } catch (error) {
      status = (error as { status: number }).status;
      said = String((error as { stdout: Buffer }).stdout);
    }
    expect([status, said]).to.deep.equal([12, '0 1\n']);
  });

  it('says how it ended, once it has', () => {
    expect(parseEnding('3 1250\n')).to.deep.equal({ status: 3, afterMs: 1250 });
    expect(parseEnding('')).to.equal(null);
    expect(howEnded({ status: 143, afterMs: 900 })).to.equal('by signal 15 (status 143) after 900 ms');
    const one = { host: 'a', command: 'serve', pgid: 7, log: '/l', ended: '/e' };
    expect(readLook(one, 'alive\nlog\n')).to.deep.equal({ ended: null, log: 6 });
    expect(readLook(one, 'ended 1 200\none\ntwo\nthree\n')).to.deep.equal({
      ended:
        'On a the background process ended before its lab did, with exit status 1 after 200 ms: serve. Its last words: two / three',
      log: 12,
    });
    expect(readLook(one, 'ended \n').ended).to.include('its exit status is not known: serve. It said nothing.');
  });
});

describe('the one line that says most', () => {
  it('is the first that speaks of an error, not what came of it; nor a mark under a mistake; nor all of a long line', () => {
    const docker =
      'docker: Error response from daemon: network nosuchnet not found.\ntime="…" level=error msg="error waiting for container"\n';
    expect(tellingWords(docker)).to.equal('docker: Error response from daemon: network nosuchnet not found.');
    expect(tellingWords('add chain inet f\n         ^^^\n')).to.equal('add chain inet f');
    expect(tellingWords(`${'L'.repeat(200_000)}\n`)).to.have.length.below(400);
    expect(tellingWords('')).to.equal('');
  });
});

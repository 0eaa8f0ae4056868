import { expect } from 'chai';
import { commandCheck, judgeCommand } from '../../src/checks/command.js';
import type { ExecResult } from '../../src/ssh/ssh.js';

type Spec = Parameters<typeof judgeCommand>[0];

function spec(body: Record<string, unknown>): Spec {
  return commandCheck.schema.parse({ on: 'node1', run: 'probe', ...body }) as Spec;
}

function ended(result: Partial<ExecResult>): ExecResult {
  const stdout = result.stdout ?? '';
  const stderr = result.stderr ?? '';
  return {
    host: 'node1',
    command: 'probe',
    exitCode: 0,
    timedOut: false,
    aborted: false,
    durationMs: 5,
    stdout,
    stderr,
    stdoutRaw: Buffer.from(stdout),
    stdoutBytes: stdout.length,
    stderrBytes: stderr.length,
    ...result,
  };
}

describe('command check', () => {
  const table: [
    title: string,
    expected: Record<string, unknown> | undefined,
    result: Partial<ExecResult>,
    verdict: string,
    cause?: string,
  ][] = [
    ['exit status 0 is expected where nothing is said', undefined, {}, 'pass'],
    ['another exit status', undefined, { exitCode: 1 }, 'fail', 'exit-status'],
    ['the exit status asked for', { exit: 3 }, { exitCode: 3 }, 'pass'],
    [
      'a program of a pipeline that is not there, where the last one fails as it must',
      { exit: 'nonzero' },
      { exitCode: 1, stderr: 'sh: 1: iptables-sav: not found\n' },
      'inconclusive',
    ],
    [
      'the same by bash, where its output must not hold a word',
      { stdout: { not: { contains: 'DROP' } } },
      { stderr: 'bash: line 2: nosuchprog: command not found\n' },
      'inconclusive',
    ],
    [
      'a line that the shell does not understand',
      { exit: 'nonzero' },
      { exitCode: 2, stderr: 'sh: 2: Syntax error: end of file unexpected\n' },
      'inconclusive',
    ],
    [
      'a program that says itself that something was not found',
      { exit: 'nonzero' },
      { exitCode: 1, stderr: 'curl: (6) Could not resolve host: x\nkey not found\n' },
      'pass',
    ],
    [
      'what the shell says where just that is expected',
      { exit: 127 },
      { exitCode: 127, stderr: 'sh: 1: nosuch: not found\n' },
      'pass',
    ],
    ['nonzero is not 0', { exit: 'nonzero' }, { exitCode: 0 }, 'fail', 'exit-status'],
    ['nonzero', { exit: 'nonzero' }, { exitCode: 2 }, 'pass'],
    [
      'a time limit',
      { exit: 'any', stderr: { not: { contains: 'panic' } } },
      { exitCode: null, timedOut: true, signal: 'KILL' },
      'fail',
      'timeout',
    ],
    [
      'an interruption',
      { exit: 'any', stderr: { not: { contains: 'panic' } } },
      { exitCode: null, aborted: true, signal: 'KILL' },
      'inconclusive',
    ],
    [
      'a signal',
      { exit: 'any', stderr: { not: { contains: 'panic' } } },
      { exitCode: null, signal: 'SEGV' },
      'fail',
      'exit-status',
    ],
    [
      'a missing program',
      undefined,
      { exitCode: 127, stderr: 'bash: line 1: dig: command not found\n' },
      'inconclusive',
    ],
    [
      'a missing program does not meet nonzero',
      { exit: 'nonzero' },
      { exitCode: 127, stderr: 'sh: 1: dig: not found' },
      'inconclusive',
    ],
    [
      'a missing program does not meet any',
      { exit: 'any', stderr: { not: { contains: 'panic' } } },
      { exitCode: 126, stderr: 'OCI runtime exec failed: exec: "dig": executable file not found in $PATH: unknown' },
      'inconclusive',
    ],
    ['a missing program that was asked for', { exit: 127 }, { exitCode: 127, stderr: 'sh: dig: not found' }, 'pass'],
    ['127 for another reason', { exit: 'nonzero' }, { exitCode: 127, stderr: 'unlucky number' }, 'pass'],
    ['output', { stdout: 1 }, { stdout: '1\n' }, 'pass'],
    ['other output', { stdout: '1' }, { stdout: '10\n' }, 'fail', 'wrong-value'],
    ['errors that must not be', { stderr: '' }, { stderr: 'oops\n' }, 'fail', 'wrong-value'],
    [
      'output cut in the middle',
      { stdout: { not: { contains: 'x' } } },
      { stdout: 'aa', stdoutBytes: 50_000_000 },
      'inconclusive',
    ],
    ['JSON', { json: { 'a[0].b': { 'at-least': 1 } } }, { stdout: '{"a":[{"b":2}]}' }, 'pass'],
    ['JSON with another value', { json: { 'a[0].b': 3 } }, { stdout: '{"a":[{"b":2}]}' }, 'fail', 'wrong-value'],
    ['no JSON', { json: { a: 1 } }, { stdout: 'Error: no' }, 'fail', 'wrong-value'],
    ['the exit status counts before the output', { stdout: 'a' }, { stdout: 'a', exitCode: 1 }, 'fail', 'exit-status'],
  ];
  for (const [title, expected, result, verdict, cause] of table) {
    it(`${title}: ${verdict}`, () => {
      const outcome = judgeCommand(spec(expected === undefined ? {} : { expect: expected }), ended(result), false);
      expect({ verdict: outcome.verdict, cause: outcome.cause }).to.deep.equal({ verdict, cause });
      expect(outcome.reason).to.be.a('string').that.has.length.above(10);
    });
  }

  it('does not take the engine’s refusal for the exit status of the command', () => {
    const refused = ended({ exitCode: 1, stderr: 'Error response from daemon: Container 12ab is not running\n' });
    expect(judgeCommand(spec({ expect: { exit: 'nonzero' } }), refused, true).verdict).to.equal('inconclusive');
    expect(judgeCommand(spec({ expect: { exit: 'nonzero' } }), refused, false).verdict).to.equal('pass');
  });
});

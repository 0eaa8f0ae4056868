import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { expect } from 'chai';
import { betweenAnswers, runningEngineAnswers } from '../../src/places/engine.js';
import { readEngineState } from '../../src/run/engine-state.js';
import { sourceFiles } from './source-files.js';

const src = join(import.meta.dirname, '..', '..', '..', 'src');
const lookers = ['places', 'facts', 'probes', 'judging', 'reaching', 'checks', 'diagnosis', 'run', 'classroom'];

/** Files of those folders, without their comments, and below `src`. */
const code = lookers
  .flatMap((folder) => sourceFiles(join(src, folder)))
  .map(({ path, text }) => ({
    file: relative(src, path),
    text: text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, ''),
  }));
const filesWith = (pattern: RegExp): string[] =>
  code
    .filter(({ text }) => pattern.test(text))
    .map(({ file }) => file)
    .sort();

describe('who speaks to an engine', () => {
  it('goes to its socket by places/engine.ts alone', () => {
    expect(filesWith(/(?:docker|podman)\.sock\b|docker\.pid/)).to.deep.equal(['places/engine.ts']);
    // The one more with the option takes the socket from its caller.
    expect(filesWith(/--unix-socket/)).to.deep.equal(['facts/answer.ts', 'places/engine.ts']);
  });

  it('starts one only for what a check or a condition names', () => {
    expect(filesWith(/\bnamedEngine(?:Socket|Argv)\b/)).to.deep.equal([
      'facts/engine.ts',
      'places/engine.ts',
      'places/vantage.ts',
    ]);
    expect(filesWith(/\bengineGet\b/)).to.deep.equal([
      'checks/bridge.ts',
      'checks/docker.ts',
      'facts/engine.ts',
      'facts/overlay.ts',
    ]);
  });

  it('runs the docker client only where a container is named, or a condition names the engine', () => {
    expect(filesWith(/['"](?:docker|podman)['"],\s*['"]/)).to.deep.equal([
      'checks/command.ts',
      'facts/frr.ts',
      'places/vantage.ts',
      'run/when.ts',
    ]);
    expect(filesWith(/exec(?:\(|\w*\(\s*)[`'"](?:docker|podman) /)).to.deep.equal([]);
    expect(filesWith(/\$\((?:docker|podman) /)).to.deep.equal([]);
  });
});

describe('an engine that nobody named', () => {
  let root: string;
  let asked: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'netrig-engine-'));
    asked = join(root, 'asked');
    mkdirSync(join(root, 'bin'));
    writeFileSync(
      join(root, 'bin', 'curl'),
      `#!/bin/sh\nfor a; do :; done\necho "$a" >>${asked}\nprintf '{"at":"%s"}' "$a"\n`,
    );
    chmodSync(join(root, 'bin', 'curl'), 0o755);
    writeFileSync(asked, '');
  });
  afterEach(() => rmSync(root, { recursive: true }));

  /** A host in `root`: what its file of the engine's pid holds, and the names of its processes. */
  function host(pidFile: string | null, processes: Record<number, string>): { name: string; exec: never } {
    if (pidFile !== null) writeFileSync(join(root, 'docker.pid'), pidFile);
    for (const [pid, name] of Object.entries(processes)) {
      mkdirSync(join(root, 'proc', pid), { recursive: true });
      writeFileSync(join(root, 'proc', pid, 'comm'), `${name}\n`);
    }
    const exec = (script: string): Promise<{ exitCode: number; stdout: string }> =>
      new Promise((resolve) => {
        const there = script
          .replaceAll('/run/docker.pid', join(root, 'docker.pid'))
          .replaceAll('/proc/', `${root}/proc/`);
        const env = { PATH: `${join(root, 'bin')}:${process.env.PATH}`, p: '7' };
        execFile('sh', ['-c', there], { env }, (error, stdout) =>
          resolve({ exitCode: error === null ? 0 : (error.code as unknown as number), stdout }),
        );
      });
    return { name: 'h', exec: exec as never };
  }
  const look = async (
    pidFile: string | null,
    processes: Record<number, string>,
  ): Promise<{ exitCode: number; stdout: string }> =>
    (host(pidFile, processes).exec as (script: string) => Promise<{ exitCode: number; stdout: string }>)(
      runningEngineAnswers(['/a', '/b?all=1']),
    );

  for (const [title, pidFile, processes] of [
    ['has not run', null, { 7: 'dockerd' }],
    ['was killed', '7\n', {}],
    ['was killed, and its pid is another program’s', '7\n', { 7: 'sh' }],
    ['is beginning to be', '', { 7: 'dockerd' }],
  ] as const)
    it(`is not asked where it ${title}`, async () => {
      expect(await look(pidFile, processes)).to.deep.equal({ exitCode: 9, stdout: '' });
      expect(readFileSync(asked, 'utf8')).to.equal('');
      expect(await readEngineState(host(pidFile, processes))).to.equal(null);
    });

  for (const pidFile of ['7', '7\n'])
    it(`is asked where it runs, with ${JSON.stringify(pidFile)} as its pid`, async () => {
      const { exitCode, stdout } = await look(pidFile, { 7: 'dockerd', 8: 'sh' });
      expect({ exitCode, answers: stdout.split(betweenAnswers) }).to.deep.equal({
        exitCode: 0,
        answers: ['{"at":"http://docker/a"}', '{"at":"http://docker/b?all=1"}'],
      });
    });
});

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { runStep as run } from '../../src/steps/run.js';
import { startStep as start } from '../../src/steps/start.js';
import { writeStep as write } from '../../src/steps/write.js';

describe('what a person types to do what a step does', () => {
  const directory = mkdtempSync(join(tmpdir(), "netrig typed's "));
  after(() => rmSync(directory, { recursive: true, force: true }));

  for (const { title, content, gives } of [
    { title: 'a file', content: 'one $HOME `two` \\three\n', gives: 'one $HOME `two` \\three\n' },
    { title: 'a file with the usual end in it', content: 'a\nEOF\nEOF_\nb\n', gives: 'a\nEOF\nEOF_\nb\n' },
    { title: 'a file whose last line does not end', content: '{ "a": 1 }', gives: '{ "a": 1 }\n' },
    { title: 'an empty file', content: '', gives: '' },
  ])
    it(`writes ${title}, in a directory that is made`, () => {
      const path = join(directory, title.replaceAll(' ', '-'), 'file');
      const typed = write.typed!({ write: path, content, mode: '0644' });
      execFileSync('sh', ['-c', typed]);
      expect(readFileSync(path, 'utf8')).to.equal(gives);
    });

  it('is the command itself; one that goes on in the background is put there', () => {
    expect(run.typed!({ run: 'ip link\n' } as Parameters<NonNullable<typeof run.typed>>[0])).to.equal('ip link');
    expect(start.typed!({ start: 'consul agent ' } as Parameters<NonNullable<typeof start.typed>>[0])).to.equal(
      'consul agent &',
    );
  });
});

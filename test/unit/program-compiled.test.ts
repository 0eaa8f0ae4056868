import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';

const built = join(import.meta.dirname, '..', '..', 'program', 'parts', 'compiled.js');

/** A program of two modules that share a value, and say what they were given. */
const program = `
let count = 0;
function greet(name) { return 'hello ' + name + ', number ' + ++count; }
exports['one/first'] = () => ({ said: greet('first'), url: programUrl, dirname: __dirname, join: require('node:path').join('a', 'b') });
exports['two/second'] = () => ({ said: greet('second') });
exports['three/later'] = async () => ({ said: Object.keys(await programImport('node:path')).includes('join') ? 'loaded' : '' });
`;

describe('a program in one file', () => {
  let directory: string;
  let file: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'netrig-compiled-'));
    cpSync(built, join(directory, 'compiled.cjs'));
    file = join(directory, 'program.js');
    writeFileSync(file, program);
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const kept = (): string[] => readdirSync(directory).filter((name) => name.includes('.v8'));

  function start(...flags: string[]): Record<string, string>[] {
    const code = `const { startProgram } = require('./compiled.cjs');
      const [, file] = process.argv;
      const all = ['one/first', 'two/second', 'three/later'].map((name) => startProgram(file, name));
      Promise.all(all).then((said) => process.stdout.write(JSON.stringify(said)));`;
    const said = execFileSync(process.execPath, [...flags, '-e', code, file], { cwd: directory, encoding: 'utf8' });
    return JSON.parse(said) as Record<string, string>[];
  }

  it('knows its place, and what its modules share is one thing', () => {
    expect(start()).to.deep.equal([
      { said: 'hello first, number 1', url: `file://${file}`, dirname: directory, join: 'a/b' },
      { said: 'hello second, number 2' },
      { said: 'loaded' },
    ]);
  });

  it('keeps beside it what V8 made of it, for this version of Node, and begins with that the next time', () => {
    start();
    expect(kept()).to.deep.equal([`program.js-${process.version}-${process.arch}.v8`]);
    const [name] = kept();
    const { ino, mtimeMs } = statSync(join(directory, name!));
    expect(start().slice(1)).to.deep.equal([{ said: 'hello second, number 2' }, { said: 'loaded' }]);
    const after = statSync(join(directory, name!));
    expect([after.ino, after.mtimeMs]).to.deep.equal([ino, mtimeMs]);
  });

  it('is read as ever where what was kept does not fit: of another file, cut short, of other flags', () => {
    start();
    const path = join(directory, kept()[0]!);
    const whole = readFileSync(path);
    writeFileSync(file, program.replace('hello', 'good morning'));
    expect(start()[0]!['said']).to.equal('good morning first, number 1');
    writeFileSync(file, program);
    for (const length of [0, 10, whole.length - 1]) {
      writeFileSync(path, whole.subarray(0, length));
      expect(start()[1]!['said'], `${length} bytes of it`).to.equal('hello second, number 2');
    }
    writeFileSync(path, whole);
    expect(start('--no-opt')[1]!['said']).to.equal('hello second, number 2');
    expect(kept()).to.have.length(1);
  });

  it('leaves nothing half done behind where it cannot be kept', () => {
    const name = `program.js-${process.version}-${process.arch}.v8`;
    mkdirSync(join(directory, name));
    expect(start()[0]!['said']).to.equal('hello first, number 1');
    expect(kept()).to.deep.equal([name]);
    expect(statSync(join(directory, name)).isDirectory()).to.equal(true);
  });
});

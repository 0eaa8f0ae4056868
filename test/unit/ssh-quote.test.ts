import { spawnSync } from 'node:child_process';
import { expect } from 'chai';
import { isNetrigError } from '../../src/errors.js';
import { quoteArg, quoteArgv } from '../../src/ssh/quote.js';
import { shells } from './ssh-shells.js';

const hostile = [
  '',
  ' ',
  '  two  spaces ',
  '\t',
  '\n',
  'a\nb\n',
  '\r\n',
  "'",
  "''",
  "it's",
  "'; rm -rf / #",
  '"',
  '"$(id)"',
  '$(id)',
  '`id`',
  '${HOME}',
  '$HOME',
  '$$',
  '\\',
  '\\\\',
  "\\'",
  '\\n',
  '*',
  '/*',
  '?',
  '[a-z]*',
  '{a,b}',
  '~',
  '~root',
  '=x',
  'x=y',
  'x=~',
  '--name=value',
  '--x=~',
  '-n',
  '-e',
  '--',
  '-',
  '!',
  '!!',
  '#',
  '# c',
  'a#b',
  '&',
  'a && b',
  '|',
  ';',
  '<',
  '>',
  '>/dev/full',
  '(',
  ')',
  '{',
  '}',
  '[',
  '[[',
  'if',
  'then',
  'while',
  'do',
  'time',
  'case',
  'function',
  '%1',
  '^',
  '@',
  ',',
  ':',
  '.',
  '../x; rm -rf /',
  'ünïcödé ✓ 𝕏',
  '\u00a0',
  '\u2028',
  '\x01\x02\x7f',
  '\x1b[31m',
  'EOF\n',
  "$'x'",
  '$"x"',
  '\\\n',
  '%s%n',
  '\ufeff',
];

describe('ssh/quote', () => {
  it('finds shells to try it on', () => {
    expect(shells.map(({ name }) => name)).to.include('sh');
  });

  for (const {
    name,
    argv: [program, ...args],
  } of shells) {
    it(`hands every hostile value through ${name} as it is`, () => {
      const line = `exec ${quoteArgv([process.execPath, '-e', 'process.stdout.write(JSON.stringify(process.argv.slice(1)))', '--', ...hostile])}`;
      const run = spawnSync(program, [...args, '-c', line], { encoding: 'utf8' });
      expect(run.stderr).to.equal('');
      expect(JSON.parse(run.stdout)).to.deep.equal(hostile);
    });

    it(`makes words of ${name} that mean the same in the middle of a word, in an assignment and as a pattern`, () => {
      for (const value of hostile) {
        const line = `v=${quoteArg(value)}; case "$v" in ${quoteArg(value)}) ;; *) exit 9;; esac; printf '%s.' a${quoteArg(value)}b "$v"`;
        const run = spawnSync(program, [...args, '-c', line], { encoding: 'utf8' });
        expect(run.status, JSON.stringify(value)).to.equal(0);
        expect(run.stdout, JSON.stringify(value)).to.equal(`a${value}b.${value}.`);
      }
    });

    it(`never makes a command name of ${name} into syntax`, () => {
      for (const word of ['if', 'while', 'time', '!', '{', '[[', 'x=y', 'function', '#', 'coproc', 'select']) {
        // There these are applets as well, found without PATH.
        if (program === 'busybox' && (word === 'time' || word === '[[')) continue;
        const run = spawnSync(program, [...args, '-c', `PATH=/nowhere; ${quoteArgv([word])}`], { encoding: 'utf8' });
        expect(run.status, word).to.equal(127);
      }
    });
  }

  it('leaves plain words bare, so that reports read as typed', () => {
    expect(quoteArgv(['docker', 'network', 'create', '--driver=overlay', '-d', 'a.b_c/d:80', '10.0.0.1/24'])).to.equal(
      'docker network create --driver=overlay -d a.b_c/d:80 10.0.0.1/24',
    );
    expect(quoteArgv(['sh', '-c', "echo 'a b'"])).to.equal(`sh -c 'echo '\\''a b'\\'''`);
  });

  it('rejects NUL, naming the place, and an empty argv', () => {
    expect(() => quoteArg('ab\0c'))
      .to.throw(/NUL character, at index 2/)
      .and.satisfy((error: unknown) => isNetrigError(error, 'NETRIG_USAGE'));
    expect(() => quoteArgv(['true', '\0'])).to.throw(/NUL/);
    expect(() => quoteArgv([])).to.throw(/at least one word/);
  });
});

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { drawnExercises, recordedGrades } from '../../src/classroom/class.js';
import { isLoopback, loadClass, readClass } from '../../src/classroom/class-file.js';
import { endingWords } from '../../src/cli/commands/class.js';
import { printError } from '../../src/cli/print-error.js';
import { readCsv, writeCsv } from '../../src/classroom/csv.js';
import { readRoster } from '../../src/classroom/roster.js';
import { overWords } from '../../src/classroom/timing.js';
import { codeFrame } from '../../src/scenario/diagnostic.js';
import { createTickets, hashOf, newCode, normalCode } from '../../src/classroom/secrets.js';

describe('CSV of a class', () => {
  it('reads back what it wrote, whatever is in a cell', () => {
    const cell = fc.string().filter((text) => text.trim() === text && !text.includes('\r'));
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constant('x'), cell), { minLength: 1 }), (rows) => {
        const back = readCsv(writeCsv(rows)).map(({ cells }) => cells);
        const formula = /^[=+\-@\t\r]/;
        return (
          JSON.stringify(back) === JSON.stringify(rows.map(([x, text]) => [x, formula.test(text) ? `'${text}` : text]))
        );
      }),
    );
  });

  it('disarms what a spreadsheet would compute', () => {
    expect(writeCsv([['=HYPERLINK("http://x")', '+1', '-2', '@a', 'a=b']])).to.equal(
      `"'=HYPERLINK(""http://x"")",'+1,'-2,'@a,a=b\r\n`,
    );
  });

  it('says the line of a quote that is not closed', () => {
    expect(() => readCsv('id,name\na,"b\nc,d\n')).to.throw(/^line 2: /);
  });
});

describe('The roster', () => {
  it('takes semicolons, a byte order mark and columns in any order', () => {
    const { rows, mistakes } = readRoster('\ufeffName;E-mail;ID\r\nAda;a@x;ada\r\nBob;;bob\r\n');
    expect(mistakes).to.deep.equal([]);
    expect(rows).to.deep.equal([
      { id: 'ada', name: 'Ada' },
      { id: 'bob', name: 'Bob' },
    ]);
  });

  it('names each mistake with its line', () => {
    const { mistakes } = readRoster('id,name\nada,Ada\nada,Again\n../x,No\nbob,\nteacher-1,T\n');
    expect(mistakes.map(({ line }) => line)).to.deep.equal([3, 4, 5, 6]);
    for (const [head, row, names] of [
      ['id,name', 'ben;Ben Bitdiddle', 'semicolons'],
      ['name;id', 'Ben,ben', 'commas'],
    ])
      expect(readRoster(`${head}\n${row}\n`).mistakes).to.deep.equal([
        { line: 2, message: `this row is separated by ${names}, and the first row, which names the columns, is not` },
      ]);
    expect(readRoster('name\nAda\n').mistakes[0]!.message).to.match(/`id` is not among them/);
    expect(readRoster('id,name\n').mistakes[0]!.message).to.match(/nobody/);
  });
});

describe('Dates of an exercise', () => {
  it('that are over are told to whoever starts the class', () => {
    const at = Date.parse('2026-01-02T00:00:00Z');
    const late = { until: at + 1000, factor: 0.5 };
    expect(overWords({ id: 'door', closes: at, late: null }, at)).to.equal(null);
    expect(overWords({ id: 'door', closes: null, late: null }, at)).to.equal(null);
    expect(overWords({ id: 'door', closes: at, late: null }, at + 1)).to.match(/^door closed at 2026-01-02T00:00:00/);
    expect(overWords({ id: 'door', closes: at, late }, at + 1)).to.equal(null);
    expect(overWords({ id: 'door', closes: at, late }, at + 1001)).to.match(/^door closed at 2026-01-02T00:00:01/);
  });
});

describe('The file of a class', () => {
  let base: string;
  before(() => {
    base = mkdtempSync(join(tmpdir(), 'ntrf-'));
    writeFileSync(join(base, 'roster.csv'), 'id,name\nada,Ada\n');
  });
  after(() => rmSync(base, { recursive: true, force: true }));
  const read = (text: string) => readClass(text, join(base, 'class.yaml'));
  const head = 'class: demo\nroster: roster.csv\n';
  const messages = (text: string): string[] =>
    read(text).diagnostics.map(({ line, column, message }) => `${line}:${column} ${message}`);

  it('takes no roster whose names would be others: what is not UTF-8 is told with its place', () => {
    writeFileSync(join(base, 'latin1.csv'), Buffer.from('id,name\nada,Ada\njo,J\xf6rg\n', 'latin1'));
    const { class: found, diagnostics } = read('class: demo\nroster: latin1.csv\nexercises: [{ file: a.yaml }]\n');
    expect(found).to.equal(null);
    expect(diagnostics.map(({ line, message }) => `${line} ${message}`)).to.deep.equal([
      '3 the file is not UTF-8: byte 0xf6 stands for nothing here',
    ]);
  });

  it('has defaults for all that is not said', () => {
    const { class: found, diagnostics } = read(`${head}exercises: [{ file: a.yaml }]\n`);
    expect(diagnostics).to.deep.equal([]);
    expect(found!.limits).to.include({ labs: 30, starting: 2, rounds: 2, reserve: 1 });
    expect(found!.listen).to.include({ host: '127.0.0.1', port: 8480 });
    expect(found!.teachers).to.deep.equal([{ id: 'teacher-1', name: 'Teacher' }]);
    expect(found!.exercises[0]).to.include({ id: 'a', file: join(base, 'a.yaml'), feedback: null, closes: null });
  });

  it('says every mistake with its place', () => {
    const found = messages(
      `${head}exercises:\n  - { file: a.yaml, opens: 2026-01-02T10:00Z, closes: 2026-01-01T10:00Z }\n  - { file: a.yaml, late: { until: 2026-01-01T10:00Z } }\n`,
    );
    expect(found).to.have.length(2);
    expect(found[0]).to.match(/^4:\d+ it closes before it opens$/);
    expect(found[1]).to.match(/^5:\d+ `late` goes with `closes`$/);
    expect(messages(`${head}exercises: [{ file: a.yaml }, { file: b/a.yaml }]\n`)[0]).to.match(
      /^3:\d+ there is an exercise "a" already/,
    );
    expect(messages(`${head}exercises: [{ file: a.yaml, opens: tomorrow }]\n`)[0]).to.match(/^3:\d+ expected a date/);
    expect(messages('class: demo\nroster: none.csv\nexercises: [{ file: a.yaml }]\n')[0]).to.match(
      /^2:9 the roster cannot be read/,
    );
  });

  it('has mistakes of the roster shown in the roster, at their lines', () => {
    const file = join(base, 'other.csv');
    writeFileSync(file, 'id,name\nada,Ada\n../x,No\nbob,Bob\n');
    const { class: found, diagnostics } = read('class: demo\nroster: other.csv\nexercises: [{ file: a.yaml }]\n');
    expect(found).to.equal(null);
    expect(diagnostics.map(({ file: of, line }) => [of, line])).to.deep.equal([[file, 3]]);
    expect(codeFrame(diagnostics[0]!)).to.match(/^> 3 \| \.\.\/x,No\n {4}\| \^{7}$/m);
  });

  it('has its mistakes told below the sentence that has the code', () => {
    writeFileSync(join(base, 'class.yaml'), `${head}exercises: [{ file: a.yaml }]\nserver: { listen: here }\n`);
    const written: string[] = [];
    const write = process.stderr.write;
    process.stderr.write = ((chunk: string) => written.push(chunk) > 0) as typeof write;
    try {
      loadClass(join(base, 'class.yaml'));
    } catch (error) {
      printError(error);
    } finally {
      process.stderr.write = write;
    }
    expect(written.join('')).to.match(/^netrig: 1 mistake in the class; nothing was started\. \(NETRIG_CLASS_FILE\)\n/);
    expect(written.join('')).to.match(/4:19: expected an address and a port.*\n[^]*listen: here \}\n/);
  });

  it('refuses an address that others reach without TLS, unless that is meant', () => {
    const server = (text: string): string[] => messages(`${head}exercises: [{ file: a.yaml }]\nserver: ${text}\n`);
    expect(server('{ listen: "0.0.0.0:80" }')[0]).to.match(/is not loopback/);
    expect(server('{ listen: "[::]:80" }')[0]).to.match(/is not loopback/);
    expect(server('{ listen: "0.0.0.0:80", plain: true }')).to.deep.equal([]);
    expect(server('{ listen: "192.0.2.1:443", tls: { certificate: c.pem, key: k.pem } }')).to.deep.equal([]);
    expect(server('{ listen: "[::1]:80" }')).to.deep.equal([]);
    expect(['127.0.0.1', '127.9.9.9', '::1'].every(isLoopback)).to.equal(true);
    expect(['128.0.0.1', '127.evil.example', '10.0.0.1', '::'].some(isLoopback)).to.equal(false);
  });
});

describe('A class that is not there, or ends', () => {
  it('is told how it is started', () => {
    const never = { name: 'never-started-1', file: '/nowhere/class.yaml' } as Parameters<typeof recordedGrades>[0];
    for (const ask of [() => recordedGrades(never), () => drawnExercises(never)])
      expect(ask)
        .to.throw()
        .with.property('hint')
        .that.matches(/`netrig class start/)
        .and.does.not.match(/status/);
  });

  it('does not say that labs stay until it is stopped where that is what ends it', () => {
    expect(endingWords('SIGTERM')).not.to.match(/stay/);
    expect(endingWords('SIGINT')).to.match(/stay until `netrig class stop`/);
  });
});

describe('Codes and tickets', () => {
  it('takes a code as people type it', () => {
    const code = newCode();
    expect(code).to.match(/^(?:[0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}$/);
    const typed = ` ${code.toLowerCase().replaceAll('-', '').replaceAll('0', 'o').replaceAll('1', 'l')} `;
    expect(normalCode(typed)).to.equal(code);
    expect(new Set(Array.from({ length: 1000 }, newCode)).size).to.equal(1000);
  });

  it('lets a ticket in once, in time, and no other', () => {
    let now = 0;
    const tickets = createTickets<string>(30_000, 10, () => now);
    const one = tickets.give('ada');
    const late = tickets.give('bob');
    expect(tickets.take('nonsense')).to.equal(null);
    expect(tickets.take(hashOf(one))).to.equal(null);
    expect(tickets.take(one)).to.equal('ada');
    expect(tickets.take(one)).to.equal(null);
    now = 30_000;
    expect(tickets.take(late)).to.equal(null);
  });

  it('forgets the oldest tickets where somebody asks for too many', () => {
    const tickets = createTickets<number>(30_000, 10, () => 0);
    const all = Array.from({ length: 15 }, (_, index) => tickets.give(index));
    expect(all.filter((ticket) => tickets.take(ticket) !== null)).to.have.length(10);
  });
});

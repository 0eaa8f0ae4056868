import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { admitAll, newLinkFor, writeLinks } from '../../src/classroom/admission.js';
import { openBook, type ClassBook } from '../../src/classroom/book.js';
import type { ClassFile } from '../../src/classroom/class-file.js';
import { readCsv } from '../../src/classroom/csv.js';
import { enter, personOf } from '../../src/classroom/persons.js';
import { openRecord } from '../../src/classroom/record.js';

const url = 'http://127.0.0.1:8480';

describe('Who is let into a class', () => {
  let directory: string;
  let book: ClassBook;

  const roster = (...ids: string[]) =>
    ({
      students: ids.map((id) => ({ id, name: `Student ${id}` })),
      teachers: [{ id: 'teacher-1', name: 'Teacher' }],
    }) as unknown as ClassFile;
  const codes = (): Map<string, string> => {
    const [head, ...rows] = readCsv(readFileSync(join(directory, 'links.csv'), 'utf8'));
    expect(head!.cells).to.deep.equal(['id', 'name', 'role', 'link', 'code']);
    return new Map(rows.map(({ cells }) => [cells[0]!, cells[4]!]));
  };
  const reopened = async (): Promise<ClassBook> => {
    await book.close();
    return (book = openBook(openRecord(join(directory, 'record.jsonl'))));
  };
  const token = async (code: string): Promise<string> => (await enter(book, code))!.token;
  const anew = (person: string, warn: (text: string) => void = () => undefined) =>
    newLinkFor(book, person, { directory, url, warn });

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'ntra-'));
    book = openBook(openRecord(join(directory, 'record.jsonl')));
    writeLinks(directory, url, book, await admitAll(book, roster('ada', 'bob'), false));
  });

  afterEach(async () => {
    await book.close();
    rmSync(directory, { recursive: true, force: true });
  });

  it('by a new link is one person: theirs of before and the sessions by it end, all others stay', async () => {
    const before = codes();
    const [adas, bobs, teachers] = [
      await token(before.get('ada')!),
      await token(before.get('bob')!),
      await token(before.get('teacher-1')!),
    ];
    const { code, name } = await anew('ada');
    expect(name).to.equal('Student ada');
    expect(personOf(book, adas)).to.equal(null);
    expect(personOf(book, bobs)!.id).to.equal('bob');
    expect(personOf(book, teachers)!.id).to.equal('teacher-1');
    expect(await enter(book, before.get('ada')!)).to.equal(null);
    expect((await enter(book, code))!.person.id).to.equal('ada');
    expect(codes()).to.deep.equal(new Map(before).set('ada', code));
    expect(statSync(join(directory, 'links.csv')).mode & 0o777).to.equal(0o600);
    await reopened();
    expect(personOf(book, bobs)!.id).to.equal('bob');
    expect((await enter(book, code))!.person.id).to.equal('ada');
  });

  it('takes a new link for nobody that the class has not', async () => {
    const before = book.state.n;
    for (const id of ['eve', '', '__proto__'])
      expect(await anew(id).catch((error: { code?: string }) => error.code), id).to.equal('NETRIG_USAGE');
    expect(book.state.n).to.equal(before);
  });

  it('tells the new link also where its file cannot be written', async () => {
    const warned: string[] = [];
    const { code } = await newLinkFor(book, 'bob', {
      directory: join(directory, 'gone'),
      url,
      warn: (text) => warned.push(text),
    });
    expect((await enter(book, code))!.person.id).to.equal('bob');
    expect(warned).to.have.length(1);
    expect(warned[0])
      .to.match(/links\.csv/)
      .and.not.contain(code);
  });

  it('is nobody who is in the roster no more, and who comes back gets another link', async () => {
    const before = codes();
    const [adas, bobs] = [await token(before.get('ada')!), await token(before.get('bob')!)];
    expect(await admitAll(book, roster('bob'), false)).to.deep.equal([]);
    expect(personOf(book, adas)).to.equal(null);
    expect(await enter(book, before.get('ada')!)).to.equal(null);
    expect(personOf(book, bobs)!.id).to.equal('bob');
    expect(await anew('ada').catch((error: { code?: string }) => error.code)).to.equal('NETRIG_USAGE');
    await reopened();
    const [back, ...others] = await admitAll(book, roster('ada', 'bob'), false);
    expect(others).to.deep.equal([]);
    expect(back!.person).to.equal('ada');
    expect(back!.code).not.to.equal(before.get('ada'));
    expect((await enter(book, back!.code))!.person.id).to.equal('ada');
  });

  it('keeps the file of links whole where the disk takes no other', async () => {
    const before = readFileSync(join(directory, 'links.csv'), 'utf8');
    // A directory in the way of the new file, as a full disk would be.
    mkdirSync(join(directory, 'links.csv.fresh'));
    const warned: string[] = [];
    await anew('ada', (text) => warned.push(text));
    expect(warned).to.have.length(1);
    expect(readFileSync(join(directory, 'links.csv'), 'utf8')).to.equal(before);
  });
});

import { expect } from 'chai';
import { linksCsv, linksIn, type GivenLink } from '../../src/classroom/links.js';
import { hashOf, newCode, normalCode } from '../../src/classroom/secrets.js';
import type { PersonState } from '../../src/classroom/state.js';

const link = (person: string, name: string): GivenLink => ({ person, name, role: 'student', code: newCode() });

const known = (links: readonly GivenLink[]): Map<string, PersonState> =>
  new Map(
    links.map(({ person, name, role, code }) => [
      person,
      { id: person, name, role, code: hashOf(normalCode(code)), joined: false },
    ]),
  );

describe('Links of a class', () => {
  it('are read back as they were written, whatever stands in a name', () => {
    const links = [link('ada', 'Ada "A" L., Countess'), link('bob', 'Bob\nB')];
    expect(linksIn(linksCsv('http://127.0.0.1:8080', links), known(links))).to.deep.equal(links);
  });

  it('stay good when somebody else comes, and are so no more once there is another code', () => {
    const [ada, bob, anew] = [link('ada', 'Ada'), link('bob', 'Bob'), link('bob', 'Bob')];
    expect(linksIn(linksCsv('http://old', [ada, bob]), known([ada, anew]))).to.deep.equal([ada]);
    expect(linksIn(linksCsv('http://old', [ada, bob]), known([bob]))).to.deep.equal([bob]);
  });

  it('have the name of now', () => {
    const ada = link('ada', 'Ada');
    const renamed = { ...ada, name: 'Ada Lovelace' };
    expect(linksIn(linksCsv('http://old', [ada]), known([renamed]))).to.deep.equal([renamed]);
  });

  it('are none in what is no such file', () => {
    const ada = link('ada', 'Ada');
    for (const text of ['', 'id,name', '"never closed', '\u0000\n', `ada,Ada,student,${ada.code}`])
      expect(linksIn(text, known([ada])), JSON.stringify(text)).to.deep.equal([]);
  });
});

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect } from 'chai';
import { isNetrigError } from '../../src/errors.js';
import {
  findScenarioFiles,
  loadScenarioFile,
  loadScenarioFiles,
  loadScenarioFileSync,
} from '../../src/scenario/load.js';
import { lab, lines } from './scenario-fixtures.js';
import { testKinds } from './scenario-kinds.js';

const kinds = testKinds;
const good = lab('  - check: they meet\n    ping: { from: node1, to: node2 }');

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (isNetrigError(error)) return error.code;
    throw error;
  }
  return 'none';
}

describe('scenario: files', () => {
  let directory: string;
  const write = (name: string, content: string | Buffer): string => {
    const file = path.join(directory, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, content);
    return file;
  };

  beforeEach(() => {
    directory = mkdtempSync(path.join(os.tmpdir(), 'netrig-scenario-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('are loaded in the same way with and without waiting', async () => {
    const file = write('a.yaml', good);
    const later = await loadScenarioFile(file, { kinds });
    const now = loadScenarioFileSync(file, { kinds });
    expect(later.diagnostics).to.deep.equal([]);
    expect(later.scenarios[0]).to.include({ file, name: 'lab', id: 'lab' });
    expect(JSON.stringify(now.scenarios)).to.equal(JSON.stringify(later.scenarios));
  });

  it('cover what the nearest catalogue above them has, up to the root of their repository', async () => {
    const covering = lab('  - check: they meet\n    ping: { from: node1, to: node2 }\n    covers: REQ-17');
    const file = write('repository/labs/deep/a.yaml', covering);
    const said = async (): Promise<string[]> => lines((await loadScenarioFile(file, { kinds })).diagnostics);
    mkdirSync(path.join(directory, 'repository/.git'));
    write('items.yaml', 'REQ: { title: Of somebody else, items: { REQ-1: x } }\n');
    expect(await said()).to.deep.equal([]);
    const catalogue = write('repository/items.yaml', 'REQ: { title: Ours, items: { REQ-1: x, REQ-16: x } }\n');
    const shown = path.relative(process.cwd(), catalogue);
    expect(await said()).to.deep.equal([
      `8:13 ${shown.startsWith('..') ? catalogue : shown} has no item REQ-17: its part goes from REQ-1 to REQ-16`,
    ]);
    write('repository/items.yaml', 'REQ: { title: Ours, items: { REQ-17: it answers } }\n');
    expect(await said()).to.deep.equal([]);
    write('repository/labs/items.yaml', 'REQ: { items: { REQ-17: it answers } }\n');
    expect(await said()).to.deep.equal(['1:1 "title" is missing: expected a text']);
  });

  it('of more than 1 MiB are refused without being parsed', async () => {
    const file = write('huge.yaml', `${good}${'# padding\n'.repeat(110_000)}`);
    for (const loaded of [await loadScenarioFile(file, { kinds }), loadScenarioFileSync(file, { kinds })]) {
      expect(lines(loaded.diagnostics)).to.deep.equal([
        '1:1 the file is larger than 1 MiB, the most that a scenario may be',
      ]);
      expect(loaded.scenarios).to.deep.equal([]);
    }
  });

  it('of just under 1 MiB are read', () => {
    const file = write('large.yaml', `${good}${'# padding\n'.repeat(104_000)}`);
    expect(loadScenarioFileSync(file, { kinds }).diagnostics).to.deep.equal([]);
  });

  it('that are no text are refused with a place', () => {
    const loaded = loadScenarioFileSync(write('binary.yaml', Buffer.from([0x73, 0x0a, 0x80, 0xff])), { kinds });
    expect(lines(loaded.diagnostics)).to.deep.equal(['2:1 the file is not UTF-8: byte 0x80 stands for nothing here']);
  });

  it('that cannot be read raise a coded error', async () => {
    for (const file of [path.join(directory, 'missing.yaml'), directory, '/dev/zero']) {
      expect(await codeOf(loadScenarioFile(file, { kinds })), file).to.equal('NETRIG_SCENARIO_READ');
      expect(await codeOf((async () => loadScenarioFileSync(file, { kinds }))()), file).to.equal(
        'NETRIG_SCENARIO_READ',
      );
    }
  });

  it('of one run must not share a name', async () => {
    const files = [
      write('a.yaml', good),
      write('b.yaml', good),
      write('c.yaml', good.replace('scenario: lab', 'scenario: other')),
    ];
    const loaded = await loadScenarioFiles(files, { kinds });
    expect(loaded.map((one) => one.scenarios.length)).to.deep.equal([1, 0, 1]);
    expect(loaded[1]!.diagnostics).to.have.length(1);
    expect(loaded[1]!.diagnostics[0]).to.include({ line: 1, column: 11 });
    expect(loaded[1]!.diagnostics[0]!.message).to.match(/a\.yaml has a scenario of the name lab already$/);
  });

  it('are found below directories, sorted, each once', async () => {
    const a = write('b/two.yml', good);
    const b = write('a/one.yaml', good);
    write('a/notes.txt', 'x');
    write('a/app/compose.yaml', 'services: {}\n');
    write('a/lab.clab.yml', 'topology: {}\n');
    write('.hidden/x.yaml', good);
    write('node_modules/x/y.yaml', good);
    symlinkSync(directory, path.join(directory, 'a/loop'));
    expect(await findScenarioFiles([directory])).to.deep.equal([b, a]);
    expect(await findScenarioFiles([a, directory, path.join(directory, 'a')])).to.deep.equal([a, b]);
    expect(await findScenarioFiles([path.join(directory, 'a/notes.txt')])).to.deep.equal([
      path.join(directory, 'a/notes.txt'),
    ]);
  });

  it('which are called like another tool’s file are found all the same', async () => {
    const file = write('compose.yaml', good);
    expect(await findScenarioFiles([directory])).to.deep.equal([file]);
  });

  it('that are not there are named', async () => {
    mkdirSync(path.join(directory, 'empty'));
    for (const paths of [[path.join(directory, 'nowhere')], [path.join(directory, 'empty')], []])
      expect(await codeOf(findScenarioFiles(paths))).to.equal('NETRIG_NO_SCENARIO');
  });
});

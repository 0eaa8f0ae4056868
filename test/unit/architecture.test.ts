import { readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { expect } from 'chai';
import { sourceFiles } from './source-files.js';

const src = join(import.meta.dirname, '..', '..', '..', 'src');

/** Folder → folders that it may import, from the table of ARCHITECTURE.md; `null` for all. */
function allowedImports(): Map<string, Set<string> | null> {
  const rows = readFileSync(join(src, 'ARCHITECTURE.md'), 'utf8')
    .split('\n')
    .filter((line) => /^\| `[a-z]+` \|/.test(line));
  return new Map(
    rows.map((row) => {
      const cells = row.split('|').map((cell) => cell.trim());
      const folders = [...(cells[3] ?? '').matchAll(/`([a-z]+)`/g)].map((match) => match[1]!);
      return [cells[1]!.replaceAll('`', ''), cells[3] === 'all' ? null : new Set(folders)];
    }),
  );
}

interface Import {
  from: string;
  to: string;
  typeOnly: boolean;
  file: string;
}

function topFolder(path: string): string {
  const parts = relative(src, path).split('/');
  return parts.length === 1 ? '.' : parts[0]!;
}

function imports(): Import[] {
  return sourceFiles(src).flatMap(({ path, text }) => {
    const found: Import[] = [];
    for (const match of text.matchAll(
      /^\s*(?:import|export)(\s+type)?\s[^;]*?from '(\.[^']+)'|import\('(\.[^']+)'\)/gm,
    )) {
      const target = normalize(join(dirname(path), match[2] ?? match[3]!));
      found.push({
        from: topFolder(path),
        to: topFolder(target),
        typeOnly: match[1] !== undefined,
        file: relative(src, path),
      });
    }
    return found;
  });
}

describe('Who may import whom (src/ARCHITECTURE.md)', () => {
  const allowed = allowedImports();
  const all = imports();

  it('names every folder', () => {
    const folders = new Set(all.map((one) => one.from).filter((name) => name !== '.'));
    expect([...folders].filter((name) => !allowed.has(name))).to.deep.equal([]);
    expect(all.length).to.be.greaterThan(100);
  });

  it('is kept by every import of values', () => {
    const broken = all
      .filter((one) => !one.typeOnly && one.from !== one.to && one.from !== '.' && one.to !== '.')
      .filter((one) => allowed.get(one.from) !== null && !allowed.get(one.from)?.has(one.to))
      .map((one) => `${one.file} imports ${one.to}`);
    expect([...new Set(broken)]).to.deep.equal([]);
  });

  it('has no circle of folders', () => {
    const edges = new Map(
      [...allowed.keys()].map((name) => [
        name,
        new Set(
          all
            .filter((one) => !one.typeOnly && one.from === name && one.to !== name && one.to !== '.')
            .map((one) => one.to),
        ),
      ]),
    );
    const settled = new Set<string>();
    for (let grew = true; grew;) {
      grew = false;
      for (const [name, targets] of edges) {
        if (!settled.has(name) && [...targets].every((target) => settled.has(target))) {
          settled.add(name);
          grew = true;
        }
      }
    }
    expect([...edges.keys()].filter((name) => !settled.has(name))).to.deep.equal([]);
  });

  it('keeps model and ssh at the bottom, types included', () => {
    const up = all.filter((one) => ['model', 'ssh'].includes(one.from) && !['model', 'ssh', '.'].includes(one.to));
    expect(up.map((one) => `${one.file} imports ${one.to}`)).to.deep.equal([]);
  });
});

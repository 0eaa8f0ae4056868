import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { expect } from 'chai';
import ts from 'typescript';
import { sourceFiles } from './source-files.js';

const root = join(import.meta.dirname, '..', '..', '..');
const entrances = ['index', 'chai/plugin'].map((name) => join(root, 'dist', 'src', `${name}.d.ts`));

/** What a declaration has inside that a reader of its documentation sees: members that are not private. */
function membersOf(declaration: ts.Declaration): readonly (ts.TypeElement | ts.ClassElement)[] {
  if (ts.isInterfaceDeclaration(declaration)) return declaration.members;
  if (!ts.isClassDeclaration(declaration)) return [];
  return declaration.members.filter(
    (member) =>
      !(member.name && ts.isPrivateIdentifier(member.name)) &&
      !(ts.getCombinedModifierFlags(member) & ts.ModifierFlags.Private),
  );
}

/** Names of the package's public API, with their members, that have no docstring; and how many there are in all. */
function undocumented(): { names: string[]; all: number } {
  const program = ts.createProgram(entrances, {
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ES2023,
    types: [],
    noLib: true,
  });
  const checker = program.getTypeChecker();
  const names: string[] = [];
  let all = 0;
  const look = (name: string, node: ts.Node): void => {
    all += 1;
    if (ts.getJSDocCommentsAndTags(node).length === 0) names.push(name);
  };
  for (const entrance of entrances) {
    const module = checker.getSymbolAtLocation(program.getSourceFile(entrance)!)!;
    for (const found of checker.getExportsOfModule(module)) {
      const symbol = found.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(found) : found;
      const declaration = symbol.declarations![0]!;
      look(found.name, declaration);
      for (const member of membersOf(declaration))
        look(`${found.name}.${member.name?.getText() ?? 'constructor'}`, member);
    }
  }
  return { names, all };
}

describe('Docstrings', () => {
  it('are on every name of the public API, and on every member', function () {
    this.timeout(60_000);
    const { names, all } = undocumented();
    expect(names).to.deep.equal([]);
    expect(all).to.be.greaterThan(60);
  });

  it('stand one over a declaration: of two, readers and editors see the lower alone', () => {
    const doubled = ['src', 'test', 'bench'].flatMap((folder) =>
      sourceFiles(join(root, folder)).flatMap(({ path, text }) =>
        [...text.matchAll(/\*\/\n[ ]*\/\*\*/g)].map(
          ({ index }) => `${relative(root, path)}:${text.slice(0, index).split('\n').length}`,
        ),
      ),
    );
    expect(doubled).to.deep.equal([]);
  });

  it('and src/ARCHITECTURE.md name files that are there', () => {
    const files = sourceFiles(join(root, 'src')).map(({ path }) => `/${relative(root, path)}`);
    const page = join(root, 'src', 'ARCHITECTURE.md');
    const texts = [...sourceFiles(join(root, 'src')), { path: page, text: readFileSync(page, 'utf8') }];
    const said = texts.flatMap(({ path, text }) =>
      [...text.matchAll(/`([a-z][a-z/-]*\.ts)`/g)].map((match) => ({ in: relative(root, path), name: match[1]! })),
    );
    const stale = said.filter(({ name }) => !files.some((file) => file.endsWith(`/${name}`)));
    expect(stale).to.deep.equal([]);
    expect(said.length).to.be.greaterThan(20);
  });
});

import { readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect } from 'chai';

const built = join(import.meta.dirname, '..', '..', 'src');

/** Files and packages that a built module loads, with all that they load in turn. */
function loadedBy(file: string, seen: Set<string> = new Set()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  const imports = readFileSync(file, 'utf8').matchAll(/^(?:import|export)\s(?:[^'"]*?\sfrom\s)?['"]([^'"]+)['"]/gm);
  for (const [, name] of imports) {
    if (name!.startsWith('.')) loadedBy(resolve(dirname(file), name!), seen);
    else seen.add(name!);
  }
  return seen;
}

describe('The process that holds a lab', () => {
  it('loads what it needs for a lab of the local provider, and neither the others nor what reads files of scenarios', () => {
    const loaded = loadedBy(join(built, 'holder', 'holder.js'));
    loadedBy(join(built, 'providers', 'local', 'provider.js'), loaded);
    const files = [...loaded].map((one) => (one.startsWith('/') ? relative(built, one) : one));
    expect(files).to.include('ssh2');
    expect(files.filter((one) => /^(zod|yaml|providers\/(container|vagrant|ssh|registry))/.test(one))).to.deep.equal(
      [],
    );
  });
});

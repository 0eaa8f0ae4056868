// The programs that netrig starts, from dist/src into dist/program: each with all that it loads in one file, where Node would
// look for several hundred, and with what V8 made of that file beside it (src/program/compiled.ts). Together that takes more
// than half off the start of a command that reads a scenario. The same modules stay in dist/src for those who import netrig;
// both stand at the same depth, so that what they name beside themselves is found from either.
// The bench's program of twenty commands is put together likewise, as what it stands for is.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { dirname, join, relative, sep } from 'node:path';
import { build } from 'esbuild';
import { root } from './setup.mjs';

const dist = join(root, 'dist');

/** Packages that every command, or every run, loads. All others are loaded from where npm put them, by the commands that need them. */
const bundled = new Set([
  ...['commander', 'ipaddr.js', 'picocolors', 'semver', 'yaml', 'zod'],
  ...['ssh2', 'asn1', 'bcrypt-pbkdf', 'safer-buffer', 'tweetnacl'],
]);
/** What `ssh2` looks for compiled beside itself, where somebody let npm compile it. */
const compiled = /\.node$/;

async function isModule(name) {
  const { type } = JSON.parse(await readFile(join(root, 'node_modules', name, 'package.json'), 'utf8'));
  return type === 'module';
}

const others = {
  name: 'other packages',
  setup(bundle) {
    bundle.onResolve({ filter: /^[^./]/ }, async ({ path, kind }) => {
      const name = path.split('/', path.startsWith('@') ? 2 : 1).join('/');
      if (isBuiltin(path)) return { path, external: true };
      if (bundled.has(name)) return undefined;
      // `require` gives such a module in another shape than `import` does.
      if (kind === 'import-statement' && (await isModule(name)))
        return { errors: [{ text: `${name} is a module: load it where it is needed, by import('${name}')` }] };
      return { path, external: true };
    });
    bundle.onResolve({ filter: compiled }, ({ path, resolveDir }) => ({
      path: join(resolveDir, path).split(`${sep}node_modules${sep}`).at(-1),
      external: true,
    }));
  },
};

/** Of these, only what is used: as modules, not as `require` has them, and of all that `z` has by name. */
const inParts = {
  name: 'packages in parts',
  setup(bundle) {
    bundle.onResolve({ filter: /^yaml$/ }, () => ({
      path: join(root, 'node_modules', 'yaml', 'browser', 'index.js'),
      sideEffects: false,
    }));
    bundle.onLoad({ filter: /\/dist\/(?:src|bench)\/.*\.js$/ }, async ({ path }) => ({
      contents: (await readFile(path, 'utf8'))
        .replace(/^import \{ z \} from 'zod';$/m, "import * as z from 'zod';")
        // What V8 kept of a file has lost whom to ask for a module.
        .replace(/\bimport\('(?!\.)/g, "programImport('"),
    }));
  },
};

const settings = {
  bundle: true,
  format: 'cjs',
  platform: 'node',
  target: 'node20',
  plugins: [inParts, others],
  legalComments: 'linked',
  logLevel: 'warning',
};

/** One file with several programs of a folder of dist, none of which begins before it is asked for. */
async function putTogether({ folder, programs, into, file }) {
  const from = join(dist, folder);
  const parts = join(dist, into, 'parts');
  await build({
    ...settings,
    stdin: {
      contents: programs.map((one) => `exports['${one}'] = () => require('./${one}.js');`).join('\n'),
      resolveDir: from,
    },
    outfile: join(parts, `${file}.js`),
    define: { __dirname: '__dirname', 'import.meta.dirname': '__dirname', 'import.meta.url': 'programUrl' },
  });
  const left = /^(?!\s*(?:\/\/|\*)).*(?<![\w$.'"`])import\(.*$/m.exec(
    await readFile(join(parts, `${file}.js`), 'utf8'),
  );
  if (left !== null) throw new Error(`${file}.js: an import() that would not be found once it is compiled: ${left[0]}`);
  for (const program of programs) {
    const path = join(dist, into, `${program}.js`);
    const to = (name) => `./${relative(dirname(path), join(parts, name)).split(sep).join('/')}`;
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(
      path,
      `#!/usr/bin/env node
module.exports = require('${to('compiled.js')}').startProgram(require.resolve('${to(`${file}.js`)}'), '${program}');
`,
    );
    chmodSync(path, 0o755);
  }
}

/** An empty folder for programs, with what starts them. */
async function emptyFolder(into) {
  rmSync(join(dist, into), { recursive: true, force: true });
  await build({
    ...settings,
    entryPoints: [join(dist, 'src', 'program', 'compiled.js')],
    outfile: join(dist, into, 'parts', 'compiled.js'),
  });
  writeFileSync(join(dist, into, 'package.json'), '{ "type": "commonjs" }\n');
}

const programs = [
  {
    folder: 'src',
    programs: ['cli/main', 'mocha/register', 'scenario/survey-thread'],
    into: 'program',
    file: 'netrig',
  },
  { folder: 'src', programs: ['holder/holder'], into: 'program', file: 'holder' },
  { folder: 'src', programs: ['classroom/keeper'], into: 'program', file: 'keeper' },
  { folder: '.', programs: ['bench/twenty-commands'], into: 'bench-program', file: 'bench' },
];
for (const folder of new Set(programs.map(({ into }) => into))) await emptyFolder(folder);
await Promise.all(programs.map(putTogether));
// What V8 keeps is of the functions that were called: most of those of reading a scenario.
execFileSync(process.execPath, [join(dist, 'program', 'cli', 'main.js'), 'validate', join(root, 'scenarios')], {
  stdio: ['ignore', 'ignore', 'inherit'],
});

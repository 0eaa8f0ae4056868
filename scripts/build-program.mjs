// The programs that netrig starts, from dist/src into dist/program: each with what it loads in a few files, where Node would
// look for several hundred. That takes a third off the start of every command. The same modules stay in dist/src for those
// who import netrig; both stand at the same depth, so that what they name beside themselves is found from either.
// The bench's program of twenty commands is put together likewise, as what it stands for is.
import { rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { join, sep } from 'node:path';
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

const others = {
  name: 'other packages',
  setup(bundle) {
    bundle.onResolve({ filter: /^[^./]/ }, ({ path }) => {
      const name = path.split('/', path.startsWith('@') ? 2 : 1).join('/');
      return isBuiltin(path) || !bundled.has(name) ? { path, external: true } : undefined;
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
    bundle.onLoad({ filter: /\/dist\/src\/.*\.js$/ }, async ({ path }) => ({
      contents: (await readFile(path, 'utf8')).replace(/^import \{ z \} from 'zod';$/m, "import * as z from 'zod';"),
    }));
  },
};

/** Puts the programs of one folder of dist together into another. */
async function putTogether(folder, programs, into) {
  const from = join(dist, folder);
  const outdir = join(dist, into);
  rmSync(outdir, { recursive: true, force: true });
  await build({
    entryPoints: programs.map((one) => join(from, one)),
    outbase: from,
    outdir,
    chunkNames: 'parts/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    define: { __dirname: 'import.meta.dirname' },
    plugins: [inParts, others],
    // What stands in the bundle and was written for `require` asks for Node's own modules by it.
    banner: {
      js: "import { createRequire as netrigCreateRequire } from 'node:module';\nconst require = netrigCreateRequire(import.meta.url);",
    },
    legalComments: 'linked',
    logLevel: 'warning',
  });
}

await putTogether('src', ['cli/main.js', 'holder/holder.js', 'classroom/keeper.js', 'mocha/register.js'], 'program');
await putTogether('.', ['bench/twenty-commands.js'], 'bench-program');

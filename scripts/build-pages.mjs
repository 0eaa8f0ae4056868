// The pages of class and guided lab, from src/pages into dist/src/pages: one HTML file for each script, scripts and styles
// bundled, with everything that they need. Types are checked by the compiler, beside this (`npm run build`).
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { root } from './setup.mjs';

const from = join(root, 'src', 'pages');
const to = join(root, 'dist', 'src', 'pages');
mkdirSync(to, { recursive: true });

/** File, title and script of each page; all else is the same. */
const pages = [
  ['index.html', 'Lab', 'student'],
  ['teacher.html', 'Class', 'teacher'],
  ['join.html', 'Join', 'join'],
];
const template = readFileSync(join(from, 'page.html'), 'utf8');
for (const [file, title, script] of pages)
  writeFileSync(join(to, file), template.replace('{{title}}', title).replace('{{script}}', script));

const entries = readdirSync(join(from, 'entry')).filter((one) => /\.(tsx|css)$/.test(one));
await build({
  entryPoints: entries.map((name) => join(from, 'entry', name)),
  outdir: join(to, 'assets'),
  bundle: true,
  format: 'esm',
  splitting: true,
  target: 'es2022',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  minify: true,
  legalComments: 'linked',
  logLevel: 'warning',
});
// Pages and reports look alike: their style is the report's, with a sheet of their own after it.
const { pageStyle } = await import(pathToFileURL(join(root, 'dist', 'src', 'report', 'page-style.js')).href);
writeFileSync(join(to, 'assets', 'report.css'), pageStyle);

// npm test: does its own set-up, then runs the unit tests and the lab tests. Arguments go to Mocha (-g PATTERN, …).
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { consentFlags, consentOf, root, run, setUp, testTools } from './setup.mjs';

const args = process.argv.slice(2);
const unitOnly = args.includes('--unit');
const images = unitOnly ? [] : ['debian-11', 'debian-12', 'debian-13', 'debian-sid'];
await setUp({ ...consentOf(args), images, tools: unitOnly ? {} : testTools });

const testFiles = (folder) =>
  readdirSync(join(root, 'test', folder))
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join('dist', 'test', folder, name.replace(/\.ts$/, '.js')))
    .filter((file) => existsSync(join(root, file)));
const files = [...testFiles('unit'), ...(unitOnly ? [] : testFiles('lab'))];
const forMocha = args.filter((arg) => ![...consentFlags, '--unit'].includes(arg));
process.exit(
  await run(process.execPath, [
    join(root, 'node_modules', 'mocha', 'bin', 'mocha.js'),
    '--reporter',
    join('dist', 'test', 'reporter.js'),
    '--timeout',
    '120000',
    ...forMocha,
    ...files,
  ]),
);

// npm run quickstart: from a fresh clone to the verdicts of the overlay lab.
import { join } from 'node:path';
import { consentOf, root, run, setUp } from './setup.mjs';

const args = process.argv.slice(2);
if (args.includes('--help') || args.includes('-h')) {
  process.stdout.write(`npm run quickstart [-- --yes | --ask]

Installs what is missing (npm packages, Debian packages, the debian-11 host image), brings up the overlay lab, proves it,
and prints the verdicts and where the reports are. At a terminal it asks before it installs anything on the system, unless
--yes is said; without one (a container, CI) it says what it installs and goes on, unless --ask is said.
`);
  process.exit(0);
}
await setUp({ ...consentOf(args), images: ['debian-11'], tools: {} });
process.exit(
  await run(process.execPath, [
    join(root, 'dist', 'program', 'cli', 'main.js'),
    'run',
    join('scenarios', 'overlay', 'consul.yaml'),
  ]),
);

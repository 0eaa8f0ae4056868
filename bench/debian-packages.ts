import { existsSync } from 'node:fs';
import { findProgram, runCommand } from '../src/providers/shared/command.js';
import { type BenchContext, Unavailable } from './measure.js';

/** What proves that a package is there: a path, or the name of a program. */
export interface Needed {
  debianPackage: string;
  proof: string;
}

const isThere = ({ proof }: Needed): boolean =>
  proof.startsWith('/') ? existsSync(proof) : findProgram(proof) !== null;

/** Installs what is missing, after saying so, without the packages' recommendations: none of them starts a service. Throws `Unavailable`. */
export async function needPackages(needed: readonly Needed[], context: BenchContext): Promise<void> {
  const missing = needed.filter((one) => !isThere(one)).map((one) => one.debianPackage);
  if (missing.length === 0) return;
  const names = missing.join(' ');
  if (findProgram('apt-get') === null)
    throw new Unavailable(`${names} is not installed, and there is no apt-get to install it with`);
  context.note(`installing Debian packages: ${names}`);
  const result = await runCommand(
    ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', 'install', '-y', '-qq', '--no-install-recommends', ...missing],
    { timeoutMs: 300_000 },
  );
  const still = needed.filter((one) => !isThere(one));
  if (still.length > 0)
    throw new Unavailable(`${names} could not be installed: ${result.stderr.trim().split('\n').at(-1) ?? ''}`);
}

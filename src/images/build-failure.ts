import { NetrigError } from '../errors.js';
import { fetchFailure, withoutCredentials } from './mirror.js';

/** ENOSPC and EDQUOT as the C library, apt and tar put them; apt checks beforehand and has words of its own. */
const noSpace = /No space left on device|Disk quota exceeded|You don't have enough free space|ENOSPC|EDQUOT/;

const fetchFailed =
  /^E: Failed to fetch |Temporary failure resolving|Could not connect to |^E: The repository '.*' does not have a Release file/m;

/** A file that an index names and its mirror has not: the mirror is between two states, or has given up part of a release. */
const goneFile = /^E: Failed to fetch \S*\/([^/_\s]+)_([^/_\s]+)_[^/\s]+\.deb\s+404\b/m;

/** The mirror answered, but with what this machine's keys do not vouch for: an outdated keyring, or something worse. */
const unsigned = /^(?:W: GPG error: .*|E: The repository '.*' is not signed.*)$/m;

/** Whether a tool's output says that a file system is full. */
export function isNoSpaceText(output: string): boolean {
  return noSpace.test(output);
}

function isNoSpace(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'ENOSPC' || code === 'EDQUOT';
}

/** A full file system as the coded error; everything else as it is. */
export function codedIfNoSpace(error: unknown, place: string): unknown {
  if (!isNoSpace(error)) return error;
  return new NetrigError('NETRIG_CACHE_FULL', `no space left in ${place}`, { cause: error });
}

/** The line of a tool's output that says what went wrong: its first error line, else its last one. */
export function tellingLine(output: string): string {
  const lines = output
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const line =
    lines.find((one) => noSpace.test(one)) ??
    lines.find((one) => /^(E:|dpkg: error|error:|tar: |mount: )/.test(one)) ??
    lines.at(-1);
  return withoutCredentials(line ?? 'it said nothing');
}

/** What the output of a failed build step means. `logFile` is where all of it can be read. */
export function classifyBuildFailure(
  output: string,
  context: { image: string; step: string; cache: string; logFile: string },
): NetrigError {
  const { image, step, cache, logFile } = context;
  if (noSpace.test(output)) {
    return new NetrigError(
      'NETRIG_CACHE_FULL',
      `no space left in ${cache} while building ${image} (${step}): ${tellingLine(output)}`,
    );
  }
  const signature = unsigned.exec(output);
  if (signature !== null) {
    return new NetrigError(
      'NETRIG_IMAGE_BUILD',
      `building ${image} failed (${step}): the mirror's signature could not be verified: ${withoutCredentials(signature[0])}; the log is ${logFile}`,
      {
        hint: 'Bring the package debian-archive-keyring up to date; if it is, do not trust this mirror.',
      },
    );
  }
  const gone = goneFile.exec(output);
  if (gone !== null) {
    const [, name = '', version = ''] = gone;
    return new NetrigError(
      'NETRIG_MIRROR_UNREACHABLE',
      `building ${image} failed (${step}): the mirror’s index names ${name} ${version.replaceAll(/%2b/gi, '+').replaceAll(/%7e/gi, '~').replaceAll(/%3a/gi, ':')}, and the mirror has no such file (${fetchFailure(output)}); the log is ${logFile}`,
      {
        hint: 'The index was fetched just now: the mirror is between two states, or has given up part of that release. Try again later, name another mirror in NETRIG_DEBIAN_MIRROR, or take another image.',
      },
    );
  }
  if (fetchFailed.test(output)) {
    return new NetrigError(
      'NETRIG_MIRROR_UNREACHABLE',
      `the package mirror failed while building ${image} (${step}): ${fetchFailure(output)}; the log is ${logFile}`,
    );
  }
  return new NetrigError(
    'NETRIG_IMAGE_BUILD',
    `building ${image} failed (${step}): ${tellingLine(output)}; the log is ${logFile}`,
  );
}

import { NetrigError } from '../../errors.js';
import { runCommand, type BuildCommandResult } from '../build-command.js';
import { isNoSpaceText, tellingLine } from '../build-failure.js';
import type { BuildPlace } from '../cache-entry.js';
import { withoutCredentials } from '../mirror.js';

/**
 * Runs skopeo(1), which copies container images between registries and archives, and finds passwords where `docker login`
 * and `skopeo login` keep them.
 *
 * Throws NETRIG_TOOL_MISSING and NETRIG_INTERRUPTED.
 */
export async function skopeo(
  args: readonly string[],
  place: Pick<BuildPlace, 'signal' | 'log' | 'directory'>,
): Promise<BuildCommandResult> {
  // Layers on their way go beside the entry, not into a temporary directory that may be small.
  return runCommand(['skopeo', '--tmpdir', place.directory, ...args], { signal: place.signal, log: place.log });
}

/** The words of skopeo's last line, without the names of the layers of code that they passed through. */
export function wordsOf(output: string): string {
  const fatal = /level=fatal msg="((?:[^"\\]|\\.)*)"/.exec(output)?.[1];
  if (fatal === undefined) return tellingLine(output);
  return withoutCredentials(
    fatal
      .replace(/\\"/g, '"')
      .replace(/\\n/g, ' ')
      .replace(/^(?:Error (?:parsing image name|initializing source) \S+: )+/i, '')
      .replace(/^Error parsing image name "[^"]*": /, ''),
  );
}

/** What skopeo's failure means for a user, by what registries answer. */
export function fetchError(what: string, output: string, logFile: string): NetrigError {
  const words = wordsOf(output);
  const message = (meaning: string): string => `${what}: ${meaning} (“${words}”)`;
  if (isNoSpaceText(output))
    return new NetrigError('NETRIG_CACHE_FULL', `no space left while fetching ${what}: ${words}`);
  if (/manifest unknown|name unknown|not found|repository .* does not exist/i.test(words))
    return new NetrigError('NETRIG_IMAGE_NOT_FOUND', message('the registry has no such image'));
  if (/unauthorized|authentication required|denied|invalid username\/password/i.test(words))
    return new NetrigError('NETRIG_IMAGE_NOT_FOUND', message('the registry does not let us read it'), {
      hint: 'Log in where it is fetched (`docker login REGISTRY` or `skopeo login REGISTRY`), or mend the name.',
    });
  if (/digest|does not match|invalid checksum/i.test(words))
    return new NetrigError('NETRIG_IMAGE_DIGEST', message('what came is not what its digest says'));
  if (
    /context deadline exceeded|connection refused|no such host|i\/o timeout|pinging container registry|TLS handshake|connection reset|no route to host|network is unreachable|EOF/i.test(
      words,
    )
  )
    return new NetrigError('NETRIG_REGISTRY_UNREACHABLE', message('the registry does not answer'));
  return new NetrigError('NETRIG_IMAGE_BUILD', `fetching ${what} failed: ${words}; the log is ${logFile}`);
}

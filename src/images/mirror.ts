import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryDirectory } from '../lab/temporary.js';
import { messageOf, NetrigError } from '../errors.js';
import { requireNetwork } from './offline.js';
import type { HostImageRow } from './host-image.js';

/** One package index that this machine's apt knows, as `apt-get indextargets` states it. */
export interface IndexTarget {
  /** Empty until the machine has fetched the index once (`apt-get update`). */
  origin: string;
  label: string;
  /** The suite as sources.list names it: `bookworm-security`. */
  release: string;
  component: string;
  /** With a slash at the end, and with user and password if sources.list has them. */
  repositoryUri: string;
}

/** The repositories that Debian images can come from, best first. Not yet asked whether they answer. */
export interface MirrorCandidates {
  archive: string[];
  security: string[];
}

/** What mmdebstrap gets: complete lines of a sources.list, and apt's settings for getting there. */
export interface MirrorSources {
  lines: string[];
  /** `Acquire::http::Proxy "…"` and the like, from this machine's apt configuration. */
  aptOptions: string[];
  /** Suites beside the main one that the mirror does not have: worth a line to the user. */
  missing: string[];
}

const targetFormat = ['$(ORIGIN)', '$(LABEL)', '$(RELEASE)', '$(COMPONENT)', '$(REPO_URI)'].join('\t');

/** Parses lines of the format above; lines of another shape are left out. apt leaves `$(FIELD)` as it is where it knows no value. */
export function parseIndexTargets(text: string): IndexTarget[] {
  const targets: IndexTarget[] = [];
  for (const line of text.split('\n')) {
    const [origin, label, release, component, repositoryUri] = line
      .split('\t')
      .map((field) => (field.startsWith('$(') ? '' : field));
    if (origin === undefined || label === undefined || !release || component === undefined || !repositoryUri) continue;
    targets.push({
      origin,
      label,
      release,
      component,
      repositoryUri: repositoryUri.endsWith('/') ? repositoryUri : `${repositoryUri}/`,
    });
  }
  return targets;
}

const debianSuite =
  /^(buster|bullseye|bookworm|trixie|forky|duke|sid|oldoldstable|oldstable|stable|testing|unstable)(-updates|-security|-proposed-updates|-backports|\/updates)?$/;

/**
 * A repository counts as Debian's by the origin of its signed Release file, or, before the first `apt-get update`, by the
 * suite that sources.list asks it for. A mirror carries all suites, so the machine's own suite does not matter.
 */
export function mirrorCandidates(targets: readonly IndexTarget[]): MirrorCandidates {
  const archive = new Set<string>();
  const security = new Set<string>();
  for (const target of targets) {
    const suite = debianSuite.exec(target.release);
    if (suite === null || target.component !== 'main') continue;
    if (target.origin !== '' && target.origin !== 'Debian') continue;
    // a disc holds its own suite alone
    if (target.repositoryUri.startsWith('cdrom:')) continue;
    const isSecurity = suite[2] === '-security' || suite[2] === '/updates' || target.label === 'Debian-Security';
    (isSecurity ? security : archive).add(target.repositoryUri);
  }
  for (const uri of archive) {
    // the customary place beside the archive, for machines whose own suite has no security updates (sid)
    if (uri.endsWith('/debian/')) security.add(uri.replace(/\/debian\/$/, '/debian-security/'));
  }
  return { archive: [...archive], security: [...security] };
}

const passedOn =
  /^(Acquire::(?:http|https|ftp|tor|mirror|Retries|ForceIPv4|ForceIPv6|Check-Date|AllowInsecureRepositories|AllowWeakRepositories|AllowDowngradeToInsecureRepositories)(?:::[^ ]*)?) "(.+)";$/;

/** The settings of `apt-config dump` that decide how a mirror is reached: proxies, certificates, retries, time-outs. */
export function parseAptSettings(dump: string): string[] {
  const options: string[] = [];
  for (const line of dump.split('\n')) {
    const match = passedOn.exec(line);
    if (match !== null) options.push(`${match[1]} "${match[2]}"`);
  }
  return options;
}

/** A URI without its user and password, for messages and logs. */
export function withoutCredentials(text: string): string {
  return text.replace(/(\w+:\/\/)[^/\s@"]+@/g, '$1');
}

/** The lines that say why apt could not fetch something, as apt wrote them. */
export function fetchFailure(output: string): string {
  const lines = output.split('\n').map((line) => line.trim());
  const line =
    lines.find((one) => /^E: Failed to fetch /.test(one)) ??
    lines.find((one) => /^(E|Err): ?/.test(one)) ??
    lines.filter((one) => one !== '').at(-1);
  return withoutCredentials(line ?? 'apt said nothing');
}

async function aptText(command: string, args: string[], signal: AbortSignal): Promise<string> {
  const { execa } = await import('execa');
  const result = await execa(command, args, { reject: false, cancelSignal: signal, forceKillAfterDelay: 1000 });
  if (result.code === 'ENOENT')
    throw new NetrigError('NETRIG_TOOL_MISSING', `${command} is not installed (Debian package apt)`);
  if (result.exitCode !== 0)
    throw new NetrigError(
      'NETRIG_IMAGE_BUILD',
      `${command} ${args[0] ?? ''} failed: ${result.stderr.split('\n')[0] || messageOf(result.cause)}`,
    );
  return result.stdout;
}

/**
 * Whether a repository has a suite, asked by apt itself so that its proxies, certificates and passwords count.
 * `null` when it has, else why not.
 */
async function probeSuite(uri: string, suite: string, directory: string, signal: AbortSignal): Promise<string | null> {
  const target = join(directory, `${suite}-${Math.random().toString(36).slice(2)}`);
  const { execa } = await import('execa');
  const result = await execa(
    '/usr/lib/apt/apt-helper',
    [
      '-o',
      'APT::Sandbox::User=root',
      '-o',
      'Acquire::Retries=1',
      '-o',
      'Acquire::http::Timeout=15',
      '-o',
      'Acquire::https::Timeout=15',
      'download-file',
      `${uri}dists/${suite}/InRelease`,
      target,
    ],
    { reject: false, all: true, timeout: 60_000, cancelSignal: signal, forceKillAfterDelay: 1000 },
  );
  if (result.exitCode === 0) return null;
  if (result.timedOut) return `no answer from ${withoutCredentials(uri)} within 60 s`;
  return fetchFailure(result.all || messageOf(result.cause));
}

async function configuredMirrors(
  row: HostImageRow,
  signal: AbortSignal,
  environment: NodeJS.ProcessEnv,
): Promise<MirrorCandidates> {
  const named = environment['NETRIG_DEBIAN_MIRROR'];
  if (named) {
    return mirrorCandidates([
      {
        origin: '',
        label: '',
        release: row.suite,
        component: 'main',
        repositoryUri: named.endsWith('/') ? named : `${named}/`,
      },
    ]);
  }
  const ask = async (...options: string[]): Promise<MirrorCandidates> =>
    mirrorCandidates(
      parseIndexTargets(
        await aptText(
          'apt-get',
          ['indextargets', ...options, '--format', targetFormat, 'Created-By: Packages'],
          signal,
        ),
      ),
    );
  const known = await ask();
  if (known.archive.length > 0) return known;
  // before the first `apt-get update` there are no Release files, and apt lists what needs none only when told so
  const configured = await ask('--no-release-info');
  if (configured.archive.length > 0) return configured;
  throw new NetrigError('NETRIG_MIRROR_UNREACHABLE', "this machine's apt configuration names no Debian archive", {
    hint: 'Add one to /etc/apt/sources.list, or name one in NETRIG_DEBIAN_MIRROR; an image that is cached already needs no mirror.',
  });
}

/**
 * Where this machine gets Debian packages from, for another suite than its own. `NETRIG_DEBIAN_MIRROR` names the archive
 * for machines whose apt has none.
 *
 * Throws NETRIG_MIRROR_UNREACHABLE with apt's words, NETRIG_TOOL_MISSING, NETRIG_INTERRUPTED.
 */
export async function findMirror(
  row: HostImageRow,
  signal: AbortSignal,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<MirrorSources> {
  requireNetwork(`packages of Debian ${row.suite}`, environment);
  const candidates = await configuredMirrors(row, signal, environment);
  const aptOptions = [
    ...parseAptSettings(await aptText('apt-config', ['dump'], signal)),
    // passwords of the mirror, read from this machine's files: they never get into the image
    'Dir::Etc::netrc "/etc/apt/auth.conf"',
    'Dir::Etc::netrcparts "/etc/apt/auth.conf.d"',
  ];
  const directory = temporaryDirectory('mirror');
  try {
    const first = async (uris: string[], suite: string): Promise<{ uri: string } | { why: string }> => {
      let why = 'none is configured';
      for (const uri of uris) {
        const failure = await probeSuite(uri, suite, directory, signal);
        if (signal.aborted)
          throw new NetrigError('NETRIG_INTERRUPTED', 'interrupted while looking for a package mirror');
        if (failure === null) return { uri };
        why = failure;
      }
      return { why };
    };
    const wanted = [
      { suite: row.suite, uris: candidates.archive },
      ...(row.hasUpdates
        ? [
            { suite: `${row.suite}-updates`, uris: candidates.archive },
            { suite: `${row.suite}-security`, uris: candidates.security },
          ]
        : []),
    ];
    const answers = await Promise.all(
      wanted.map(async ({ suite, uris }) => ({ suite, answer: await first(uris, suite) })),
    );
    const lines: string[] = [];
    const missing: string[] = [];
    for (const { suite, answer } of answers) {
      if ('uri' in answer) lines.push(`deb ${answer.uri} ${suite} main`);
      else if (suite === row.suite)
        throw new NetrigError(
          'NETRIG_MIRROR_UNREACHABLE',
          `no mirror of this machine gives Debian ${row.suite}: ${answer.why}`,
        );
      else missing.push(suite);
    }
    return { lines, aptOptions, missing };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

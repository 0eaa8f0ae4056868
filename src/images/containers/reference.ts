/** A container image as people name it, taken apart. */
export interface ImageReference {
  /** `docker.io`, `registry.example:5000`. */
  registry: string;
  /** `library/postgres`. */
  repository: string;
  /** `latest` where neither tag nor digest is named; `null` beside a digest alone. */
  tag: string | null;
  /** `sha256:…`; `null` where none is named. */
  digest: string | null;
}

const domain = /^(?:localhost|[a-z0-9-]+(?:\.[a-z0-9-]+)+|[a-z0-9.-]+(?=:\d)|\[[0-9a-f:]+\])(?::\d{1,5})?$/i;
const component = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const tagShape = /^\w[\w.-]{0,127}$/;
const digestShape = /^sha256:[0-9a-f]{64}$/;

/**
 * Reads a reference as `docker pull` does: the first part is a registry where it looks like a host name with a dot or a
 * port, or is `localhost`; otherwise the image is Docker Hub's, in `library/` where it has one part. `null` for what is no
 * reference. (The grammar is that of the distribution project, "reference".)
 */
export function parseReference(text: string): ImageReference | null {
  const [withTag = '', digest, ...more] = text.split('@');
  if (more.length > 0 || (digest !== undefined && !digestShape.test(digest))) return null;
  const colon = withTag.lastIndexOf(':');
  const hasTag = colon > withTag.lastIndexOf('/');
  const name = hasTag ? withTag.slice(0, colon) : withTag;
  const tag = hasTag ? withTag.slice(colon + 1) : null;
  if (tag !== null && !tagShape.test(tag)) return null;
  const parts = name.split('/');
  const first = parts[0] ?? '';
  const registry = parts.length > 1 && domain.test(first) ? first : null;
  const path = registry === null ? parts : parts.slice(1);
  if (path.length === 0 || !path.every((part) => component.test(part))) return null;
  const hub = registry === null || registry === 'docker.io' || registry === 'index.docker.io';
  return {
    registry: hub ? 'docker.io' : registry,
    repository: hub && path.length === 1 ? `library/${path[0]}` : path.join('/'),
    tag: tag ?? (digest === undefined ? 'latest' : null),
    digest: digest ?? null,
  };
}

/** The reference in full: `docker.io/library/postgres:16`. */
export function canonicalReference({ registry, repository, tag, digest }: ImageReference): string {
  return `${registry}/${repository}${tag === null ? '' : `:${tag}`}${digest === null ? '' : `@${digest}`}`;
}

/** The name that an engine lists an image by after pulling it: `postgres:16`, `registry.example:5000/team/app:1`. */
export function engineName(reference: ImageReference): string {
  const { registry, repository, tag, digest } = reference;
  const short = registry === 'docker.io' ? repository.replace(/^library\//, '') : `${registry}/${repository}`;
  return tag === null ? `${short}@${digest ?? ''}` : `${short}:${tag}`;
}

/** The name that an engine has an image by that came out of an archive: without a digest, which only pulling leaves there. */
export function loadedName(reference: ImageReference): string {
  const tag = reference.tag ?? (reference.digest ?? '').replace('sha256:', '').slice(0, 12);
  return engineName({ ...reference, tag, digest: null });
}

/** A registry that is reached over loopback may speak plain HTTP, as with the Docker engine. */
export function isLoopbackRegistry({ registry }: ImageReference): boolean {
  const host = registry.replace(/:\d+$/, '');
  return host === 'localhost' || /^127(?:\.\d+){3}$/.test(host) || host === '[::1]';
}

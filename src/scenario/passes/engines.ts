import semver from 'semver';
import { findHostImageRow, hostImageRows } from '../../images/host-image.js';
import { defaultImage } from '../schema.js';
import type { HostShape } from '../schema.js';
import type { Scalar } from '../variables.js';
import type { Report } from './mistakes.js';

/** The engine version that an image is expected to carry, and whether it may be newer by the time it is built. */
export function imageEngine(image: string): { version: string; rolling: boolean } | null {
  const row = findHostImageRow(image);
  return row === undefined || row.engine === '' ? null : { version: row.engine, rolling: row.suite === 'sid' };
}

function engineFits(image: string, range: string): boolean {
  const engine = imageEngine(image);
  return engine !== null && semver.satisfies(engine.version, range, { includePrerelease: true });
}

/** As `engineFits`, but the engine of a suite that moves on may be newer than the table knows. */
export function engineMayFit(image: string, range: string): boolean {
  const engine = imageEngine(image);
  return (
    engineFits(image, range) || (engine !== null && engine.rolling && semver.intersects(range, `>=${engine.version}`))
  );
}

/** When the engine of a host is to start, where its `engine` says so; `null` for any other value. */
export function startOf(engine: HostShape['engine']): 'started' | 'on-demand' | null {
  return engine === 'started' || engine === 'on-demand' ? engine : null;
}

/** The root file system that a host is made of in place of an image; `null` for one of an image. */
export function foreignRoot({ image }: HostShape): { kind: 'root' | 'oci'; given: string } | null {
  if (typeof image !== 'object') return null;
  return 'root' in image ? { kind: 'root', given: image.root } : { kind: 'oci', given: image.oci };
}

/** Whether the host says by itself that it has no engine. */
export function refusesEngine(host: HostShape): boolean {
  return foreignRoot(host) !== null || host.init === 'light' || host.engine === false;
}

export function whyNoEngine(host: HostShape | undefined): string {
  if (host && foreignRoot(host) !== null) return ': its root file system is not netrig’s';
  if (host?.init === 'light') return ': its `init` is light';
  return host?.engine === false ? ': it says so itself by `engine`' : '';
}

/** The image of every host that has no mistake about it. */
export function hostImages(
  hosts: ReadonlyMap<string, HostShape>,
  matrix: ReadonlyMap<string, Scalar>,
  report: Report,
): Map<string, string> {
  const images = new Map<string, string>();
  const wanted = matrix.get('image');
  const fallback = typeof wanted === 'string' && findHostImageRow(wanted) ? wanted : defaultImage;
  for (const [name, host] of hosts) {
    const foreign = foreignRoot(host);
    if (foreign !== null) {
      images.set(name, `${foreign.kind}:${foreign.given}`);
      if (typeof host.engine === 'string')
        report(
          ['hosts', name, 'engine'],
          'a host of another root file system has no engine of netrig’s: leave out `engine`',
        );
      if (host.packages.length > 0)
        report(
          ['hosts', name, 'packages'],
          '`packages` are Debian’s, for hosts of an image: put what it needs into its root file system',
        );
      continue;
    }
    const image = host.image as string | undefined;
    const complain = (message: string): void => report(['hosts', name, 'engine'], message);
    const wish = typeof host.engine === 'string' ? host.engine : null;
    const range = wish === null || startOf(wish) !== null ? null : wish;
    if (wish === null || (range === null && host.init !== 'light')) images.set(name, image ?? fallback);
    else if (range === null || host.init === 'light')
      complain('a light host has no engine: leave out `engine`, or `init: light`');
    else if (image !== undefined || matrix.has('image')) {
      const named = image ?? fallback;
      if (engineFits(named, range)) images.set(name, named);
      else complain(`${named} carries engine ${imageEngine(named)?.version ?? 'none'}, which is not in ${range}`);
    } else {
      const all = hostImageRows.map((row) => row.name);
      const fitting = [fallback, ...all].find((candidate) => engineFits(candidate, range));
      if (fitting !== undefined) images.set(name, fitting);
      else
        complain(
          `no host image has an engine in ${range}; there are ${hostImageRows.map((row) => `${row.name} with ${row.engine || 'none'}`).join(', ')}`,
        );
    }
  }
  return images;
}

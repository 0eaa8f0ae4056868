import { realpathSync, statSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { messageOf } from '../errors.js';
import { shown } from './wording.js';

/** Files beside the scenario that go to hosts: how they are named, and where they are. */

/** Where the names of own files begin, and the folder that none of them leaves. Both absolute. */
export interface OwnFolders {
  /** The folder of the file in which the name stands. */
  from: string;
  /** The scenario’s folder. */
  root: string;
}

/** An own file or directory that is there. */
export interface OwnFile {
  /** Absolute, with all links resolved. */
  path: string;
  directory: boolean;
}

const asked = (what: string) => (issue: { input?: unknown }) => `expected ${what}, got ${shown(issue.input)}`;

export const zOwnPath = z
  .string({ error: asked('a file or directory beside the scenario such as ./conf/nginx.conf') })
  .regex(/^[^/]/, {
    error: asked('a file or directory beside the scenario such as ./conf/nginx.conf, by a relative path'),
  })
  .meta({
    title: 'own file',
    description: 'A file or directory in the scenario’s folder or below, relative to the file in which it is named.',
    examples: ['./conf/nginx.conf', './frr/r1/'],
  });

/** Where something goes on a host. */
export const zHostPath = z
  .string({ error: asked('an absolute path on the host such as /etc/nginx/nginx.conf') })
  .regex(/^\//, { error: asked('an absolute path on the host such as /etc/nginx/nginx.conf') })
  .refine((text) => !text.split('/').includes('..'), { error: 'a path on the host goes without `..`' })
  .meta({
    title: 'path on the host',
    description: 'An absolute path on the host.',
    examples: ['/etc/nginx/nginx.conf'],
  });

export const zOwner = z
  .string({ error: asked('an owner such as frr or frr:frr') })
  .regex(/^(?:[a-z_][a-z0-9_.-]*|\d{1,9})(?::(?:[a-z_][a-z0-9_.-]*|\d{1,9}))?$/i, {
    error: asked('an owner such as frr or frr:frr'),
  });

export const zMode = z.string().regex(/^0?[0-7]{3,4}$/, 'an octal mode in quotes, such as "0644"');

/**
 * Finds an own file: links are followed first, so that none leads out of the scenario’s folder. A name that leads out of it, or to
 * nothing, or to what is neither a file nor a directory comes out as a sentence.
 */
export function locateOwn(given: string, { from, root }: OwnFolders): OwnFile | { message: string; missing: boolean } {
  const wanted = path.resolve(from, given);
  const inside = (file: string): boolean =>
    file === root || file.startsWith(root.endsWith(path.sep) ? root : root + path.sep);
  const outside = `${given} lies outside the scenario’s folder: what goes to hosts lies in it or below`;
  if (path.isAbsolute(given) || !inside(wanted)) return { message: outside, missing: false };
  try {
    const real = realpathSync(wanted);
    if (!inside(real)) return { message: outside, missing: false };
    const stats = statSync(real);
    if (!stats.isFile() && !stats.isDirectory())
      return { message: `${given} is neither a file nor a directory`, missing: false };
    return { path: real, directory: stats.isDirectory() };
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
    const where = path.relative(process.cwd(), wanted);
    return {
      message: missing
        ? `there is no file or directory ${where.startsWith('..') ? wanted : where}`
        : `${given} cannot be read: ${messageOf(error)}`,
      missing,
    };
  }
}

import { join } from 'node:path';
import type { HostImage } from '../src/images/host-image.js';
import { ensureHostImage } from '../src/images/store.js';
import type { BenchContext } from './measure.js';

export const projectDirectory = join(import.meta.dirname, '..', '..');
/** Scripts and playbooks are not compiled: they stay beside the sources. */
export const sourceDirectory = join(projectDirectory, 'bench');
export const netrigProgram = join(import.meta.dirname, '..', 'program', 'cli', 'main.js');

/** netrig's own cached image, on which the bare hosts stand as well. */
export function benchImage(context: BenchContext): Promise<HostImage> {
  return ensureHostImage('debian-11', { signal: context.signal, progress: context.note });
}

export function bareEnvironment(image: HostImage): Record<string, string> {
  return { BARE_IMAGE: image.root, BARE_DOCKER: image.dockerData ?? '' };
}

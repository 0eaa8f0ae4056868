import { realpathSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { NetrigError } from '../errors.js';
import { isolationWishes, type IsolationWish } from './provider.js';

/** Throws NETRIG_USAGE for a word that is none. */
export function isolationWish(word: string): IsolationWish {
  const wish = isolationWishes.find((one) => one === word);
  if (wish) return wish;
  throw new NetrigError('NETRIG_USAGE', `There is no isolation "${word}"; there is ${isolationWishes.join(', ')}.`);
}

/**
 * What is wished for the lab of a scenario file, where nothing more was said than `wish`. A file from outside the working
 * directory may be somebody else's: its hosts are isolated or not made, unless somebody says `none` for them.
 */
export function wishFor(wish: IsolationWish, file: string, directory = process.cwd()): IsolationWish {
  if (wish !== 'auto') return wish;
  const way = relative(real(directory), real(file));
  return way === '..' || way.startsWith('../') ? 'users' : 'auto';
}

function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}

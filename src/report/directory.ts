import { mkdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/**
 * Makes a directory with those above it. In place of `mkdir` with `recursive`, which never ends below /proc, where a
 * directory that is there says of every name in it that there is no such (Node 20).
 *
 * @param mode Permissions of what is made, less the umask.
 * @throws what the file system says.
 */
export async function makeDirectory(path: string, mode = 0o777): Promise<void> {
  const whole = resolve(path);
  try {
    await mkdir(whole, { mode });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && (await stat(whole)).isDirectory()) return;
    const above = dirname(whole);
    if (code !== 'ENOENT' || above === whole || (await isThere(above))) throw error;
    await makeDirectory(above, mode);
    await mkdir(whole, { mode }).catch((again: NodeJS.ErrnoException) => {
      // Another run makes the same ones at once.
      if (again.code !== 'EEXIST') throw again;
    });
  }
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

import { copyFileSync, linkSync } from 'node:fs';
import { join } from 'node:path';
import { NetrigError } from '../../errors.js';
import type { VagrantBox } from '../../images/box.js';
import { findProgram, runCommand } from '../shared/command.js';
import { vagrantEnvironment } from './command.js';
import { enterArguments, type PrivateLibvirtd } from './libvirtd.js';

/** The pool that vagrant-libvirt uploads disks of boxes into, where it is told of no other. */
const usualPool = 'default';
const questionMs = 30_000;
const deleteMs = 60_000;

/** Names of the disks of netrig's own boxes of an image, among what `virsh --quiet vol-list` writes: name, blanks, absolute path. */
export function parseBoxVolumes(output: string, image: string): string[] {
  const own = new RegExp(`^\\s*(netrig-${image}-[0-9a-f]{12}_vagrant_box_image_\\S+_box\\.img)\\s+/`);
  return output.split('\n').flatMap((line) => own.exec(line)?.[1] ?? []);
}

/**
 * Deletes the disks of netrig's own boxes of an image from the pool of this machine's libvirtd: vagrant-libvirt puts them there,
 * and leaves them when the box is removed. Where no libvirtd answers, or it has no such pool, there are none.
 * Rejects with NETRIG_CLEANUP naming a disk that stays.
 */
export async function deleteBoxVolumes(image: string): Promise<void> {
  if (findProgram('virsh') === null) return;
  const virsh = (words: readonly string[], timeoutMs: number): ReturnType<typeof runCommand> =>
    runCommand(['virsh', '--connect', 'qemu:///system', '--quiet', ...words], { timeoutMs });
  const list = await virsh(['vol-list', '--pool', usualPool], questionMs);
  if (list.exitCode !== 0) return;
  for (const volume of parseBoxVolumes(list.stdout, image)) {
    const result = await virsh(['vol-delete', '--pool', usualPool, volume], deleteMs);
    if (result.exitCode !== 0)
      throw new NetrigError(
        'NETRIG_CLEANUP',
        `The disk ${volume} stays in the libvirt pool ${usualPool}: ${result.stderr.trim() || `exit status ${result.exitCode}`}`,
      );
  }
}

/** Where the disks of machines with a libvirtd of their own are. */
export function poolOf(directory: string): string {
  return join(directory, 'pool');
}

/** The volume that vagrant-libvirt makes of a box; one that is there already is not uploaded. */
export function poolVolume(pool: string, box: VagrantBox): void {
  const volume = join(pool, `${box.boxName}_vagrant_box_image_${box.version}_box.img`);
  try {
    linkSync(box.disk, volume);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
    copyFileSync(box.disk, volume);
  }
}

/** The storage pool of a private libvirtd: vagrant-libvirt makes one by itself only where it is named `default`. */
export async function makePool(
  libvirtd: PrivateLibvirtd,
  directory: string,
  pool: string,
  signal: AbortSignal,
): Promise<void> {
  const { execa } = await import('execa');
  const [program, ...args] = enterArguments(libvirtd, directory);
  const virsh = async (...words: string[]): Promise<void> => {
    const result = await execa(program, [...args, 'virsh', '--connect', 'qemu:///system', ...words], {
      reject: false,
      stdin: 'ignore',
      timeout: 30_000,
      cancelSignal: signal,
      env: vagrantEnvironment(),
      extendEnv: false,
    });
    if (signal.aborted)
      throw new NetrigError('NETRIG_INTERRUPTED', 'Interrupted while the machines were being made.', {
        cause: signal.reason,
      });
    if (result.exitCode !== 0)
      throw new NetrigError(
        'NETRIG_VAGRANT_PROVIDER',
        `virsh ${words.join(' ')} failed: ${result.stderr.trim() || result.shortMessage}`,
      );
  };
  await virsh('pool-define-as', 'netrig', 'dir', '--target', pool);
  await virsh('pool-start', 'netrig');
}

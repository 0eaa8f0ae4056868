import { NetrigError } from '../../errors.js';
import { findProgram, runCommand } from '../shared/command.js';

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

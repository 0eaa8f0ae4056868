import { mkdir, rm, writeFile } from 'node:fs/promises';
import { arch } from 'node:os';
import { join } from 'node:path';
import { requireSuccess } from '../container-image-build.js';
import { runCommand } from '../build-command.js';
import type { BuildPlace } from '../cache-entry.js';
import { archiveFile } from './container-archive.js';
import { fileDigest } from './file-digest.js';

/** What an image says about the containers that are made of it, in the words of the OCI image configuration. */
export interface ImageConfig {
  Cmd?: string[];
  Entrypoint?: string[];
  Env?: string[];
}

/** GOARCH, as images state it, of what Node calls `arm64` and so on. */
const architectures: Record<string, string> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le' };

/** Two builds of one tree give one archive: no times, no names of this machine's users. */
const plainTar = ['--numeric-owner', '--sort=name', '--mtime=@0', '--force-local'];

/**
 * Packs a file tree into an archive that `docker load` takes, with one layer and one name, into the entry that is being made.
 * The tree is left as it is.
 *
 * Throws `BuildStepFailure`, NETRIG_INTERRUPTED, and what the file system throws.
 */
export async function packTree(
  tree: string,
  { name, config }: { name: string; config: ImageConfig },
  place: Pick<BuildPlace, 'directory' | 'signal' | 'log'>,
): Promise<void> {
  const stage = join(place.directory, 'archive');
  await mkdir(stage);
  const tar = async (what: string, file: string, from: string, ...options: string[]): Promise<void> => {
    const argv = ['tar', '--create', ...plainTar, ...options, '--file', file, '--directory', from, '.'] as const;
    requireSuccess(`pack ${what}`, await runCommand([...argv], place));
  };
  const layer = join(stage, 'layer.tar');
  await tar('the layer', layer, tree);
  const made = {
    architecture: architectures[arch()] ?? arch(),
    os: 'linux',
    created: new Date(0).toISOString(),
    config,
    rootfs: { type: 'layers', diff_ids: [`sha256:${await fileDigest(layer)}`] },
  };
  await writeFile(join(stage, 'config.json'), JSON.stringify(made));
  const manifest = [{ Config: 'config.json', RepoTags: [name], Layers: ['layer.tar'] }];
  await writeFile(join(stage, 'manifest.json'), JSON.stringify(manifest));
  // As `docker save` names its members: without a leading `./`.
  await tar('the image', join(place.directory, archiveFile), stage, '--transform=s,^\\./,,');
  await rm(stage, { recursive: true });
}

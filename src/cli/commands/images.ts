import { NetrigError } from '../../errors.js';
import { buildHostImage, listHostImages, removeHostImage } from '../../images/store.js';
import { formatDuration } from '../../model/duration.js';
import { exitStatus } from '../../model/verdict.js';
import { onInterrupt } from '../../run/interrupt.js';
import { formatTable } from '../print-table.js';

function megabytes(bytes: number): string {
  return bytes === 0 ? '' : `${Math.round(bytes / 1e6)} MB`;
}

const states = { ready: 'built', stale: 'built from an older recipe', absent: 'not built' } as const;

export async function list(flags: { json?: boolean }): Promise<number> {
  const images = await listHostImages();
  if (flags.json) {
    process.stdout.write(`${JSON.stringify(images, null, 2)}\n`);
    return exitStatus.passed;
  }
  const rows = images.map((image) => [image.name, image.suite, image.engineVersion || '-', image.containerImages.join(' '), states[image.state], megabytes(image.sizeBytes)]);
  process.stdout.write(formatTable(['IMAGE', 'DEBIAN', 'ENGINE', 'CONTAINER IMAGES', 'STATE', 'SIZE'], rows));
  return exitStatus.passed;
}

export async function build(names: string[], flags: { force?: boolean }): Promise<number> {
  const wanted = names.includes('all') ? (await listHostImages()).map((image) => image.name) : names;
  const interrupt = onInterrupt(() => process.stderr.write('netrig: interrupted, removing what was half built\n'));
  try {
    for (const name of wanted) {
      const begin = performance.now();
      await buildHostImage(name, {
        force: flags.force ?? false,
        signal: interrupt.signal,
        progress: (line) => process.stderr.write(`${line}\n`),
      });
      process.stdout.write(`${name} is ready, after ${formatDuration(performance.now() - begin)}\n`);
    }
  } finally {
    interrupt.dispose();
  }
  return exitStatus.passed;
}

export async function remove(names: string[], flags: { all?: boolean }): Promise<number> {
  if (names.length === 0 && !flags.all) throw new NetrigError('NETRIG_USAGE', 'Name the images to remove, or say --all.');
  // All of the table: what dead builds left goes too, also where no image was ever finished.
  const wanted = flags.all ? (await listHostImages()).map((image) => image.name) : names;
  for (const name of wanted) {
    const freed = await removeHostImage(name);
    if (freed > 0) process.stdout.write(`${name} removed, ${megabytes(freed)} freed\n`);
    else if (!flags.all) process.stdout.write(`${name} was not built\n`);
  }
  return exitStatus.passed;
}

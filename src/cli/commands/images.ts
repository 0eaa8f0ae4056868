import { NetrigError } from '../../errors.js';
import { isThingName, listCachedThings, removeThing, sweepRooms, thingsNamed } from '../../images/cache-contents.js';
import { boxImageOf, buildBox, listBoxes, removeBox } from '../../images/box.js';
import { buildHostImage, listHostImages, removeHostImage } from '../../images/store.js';
import { formatDuration } from '../../model/duration.js';
import { exitStatus } from '../../model/verdict.js';
import { forgetBoxes } from '../../providers/vagrant/boxes.js';
import { onInterrupt } from '../../run/interrupt.js';
import { note, print, printJson, table, tell } from '../terminal.js';

function megabytes(bytes: number): string {
  return bytes === 0 ? '' : `${Math.round(bytes / 1e6)} MB`;
}

/** Letters of a cell: an engine's store may have many images. */
const longestHolds = 60;

const states = { ready: 'built', stale: 'built from an older recipe', absent: 'not built' } as const;

export async function list(flags: { json?: boolean }): Promise<number> {
  const images = await listHostImages();
  const things = await listCachedThings();
  if (flags.json) {
    printJson([...images, ...things]);
    return exitStatus.passed;
  }
  const boxes = (await listBoxes()).filter((box) => box.state !== 'absent');
  const rows = images.map((image) => [
    image.name,
    image.suite,
    image.engineVersion || '-',
    image.containerImages.join(' '),
    states[image.state],
    megabytes(image.sizeBytes),
  ]);
  const boxRows = boxes.map((box) => [
    `vagrant:${box.image}`,
    '',
    box.engineVersion || '-',
    '',
    states[box.state],
    megabytes(box.sizeBytes),
  ]);
  print`${table(['IMAGE', 'DEBIAN', 'ENGINE', 'CONTAINER IMAGES', 'STATE', 'SIZE'], [...rows, ...boxRows])}`;
  const thingRows = things.map(({ name, holds, sizeBytes, inUse }) => [
    name,
    holds.length > longestHolds ? `${holds.slice(0, longestHolds - 1)}…` : holds,
    inUse ? 'in use' : '',
    megabytes(sizeBytes),
  ]);
  if (thingRows.length > 0) print`${'\n'}${table(['IN THE CACHE', 'HOLDS', 'STATE', 'SIZE'], thingRows)}`;
  return exitStatus.passed;
}

export async function build(names: string[], flags: { force?: boolean }): Promise<number> {
  const wanted = names.includes('all') ? (await listHostImages()).map((image) => image.name) : names;
  const interrupt = onInterrupt(() => note('interrupted, removing what was half built'));
  try {
    for (const name of wanted) {
      const begin = performance.now();
      const options = {
        force: flags.force ?? false,
        signal: interrupt.signal,
        progress: (line: string) => tell`${line}`,
      };
      const box = boxImageOf(name);
      if (box === null) await buildHostImage(name, options);
      else {
        await buildBox(box, options);
        // Copies of the one before have other keys than the new one, and no use.
        if (options.force) await forgetBoxes(box);
      }
      print`${name} is ready, after ${formatDuration(performance.now() - begin)}`;
    }
  } finally {
    interrupt.dispose();
  }
  return exitStatus.passed;
}

export async function remove(names: string[], flags: { all?: boolean }): Promise<number> {
  if (names.length === 0 && !flags.all)
    throw new NetrigError('NETRIG_USAGE', 'Name the images to remove, or say --all.');
  const things = await listCachedThings();
  const chosen = flags.all ? things : names.filter(isThingName).flatMap((name) => thingsNamed(name, things));
  for (const thing of chosen) {
    const freed = await removeThing(thing);
    if (freed === null) print`${thing.name} is in use, and stays`;
    else print`${thing.name} removed, ${megabytes(freed)} freed`;
  }
  if (flags.all) await sweepRooms();
  for (const name of names)
    if (isThingName(name) && thingsNamed(name, things).length === 0) print`${name} is not in the cache`;
  // All of the table: what dead builds left goes too, also where no image was ever finished.
  const wanted = flags.all
    ? [
        ...(await listHostImages()).map((image) => image.name),
        ...(await listBoxes()).filter((box) => box.state !== 'absent').map((box) => `vagrant:${box.image}`),
      ]
    : names.filter((name) => !isThingName(name));
  for (const name of wanted) {
    const box = boxImageOf(name);
    const freed = box === null ? await removeHostImage(name) : await removeBox(box);
    if (box !== null) await forgetBoxes(box);
    if (freed > 0) print`${name} removed, ${megabytes(freed)} freed`;
    else if (!flags.all) print`${name} was not built`;
  }
  return exitStatus.passed;
}

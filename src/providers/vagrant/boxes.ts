import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NetrigError } from '../../errors.js';
import { ensureBox, type VagrantBox } from '../../images/box.js';
import { findProgram } from '../shared/command.js';
import { type Backend, givenBox, hasBox } from './backend.js';
import { vagrant } from './command.js';
import { parseBoxes } from './machine-readable.js';
import { machinesDirectory } from './machines-record.js';
import { deleteBoxVolumes } from './pool.js';
import type { LabShape } from './vagrant-plan.js';

/** What Vagrant may take to put a box away, or to list or remove them, ms. */
const vagrantMs = 300_000;

/** What finding boxes, or building them, needs and tells. */
export interface BoxOptions {
  signal: AbortSignal;
  progress(line: string): void;
  /** Asked before boxes are sought or built, and after. */
  image(image: string, state: 'start' | 'end'): void;
}

/** A box as a plan names it; `own`: it is netrig’s own. */
export interface FoundBox {
  box: string;
  version?: string;
  own: VagrantBox | null;
}

async function findBoxFor(image: string, backend: Backend, options: BoxOptions): Promise<FoundBox> {
  const given = givenBox(image);
  if (given !== null) {
    if (await hasBox(given, backend.provider)) return { box: given, own: null };
    throw new NetrigError(
      'NETRIG_BOX_MISSING',
      `Vagrant has no box ${JSON.stringify(given)} for ${backend.provider}.`,
      {
        hint: `vagrant box add ${given} --provider ${backend.provider}, or take netrig's own: leave NETRIG_VAGRANT_BOX empty.`,
      },
    );
  }
  const box = await ensureBox(image, { signal: options.signal, progress: options.progress });
  if (!(await hasBox(box.boxName, backend.provider, box.version))) {
    options.progress(`adding the box ${box.boxName} to Vagrant's`);
    // Vagrant takes a version from a description only, not from a box.
    const description = {
      name: box.boxName,
      versions: [{ version: box.version, providers: [{ name: 'libvirt', url: `file://${box.boxFile}` }] }],
    };
    const file = join(machinesDirectory(), `.box-${process.pid}-${randomBytes(3).toString('hex')}.json`);
    writeFileSync(file, JSON.stringify(description));
    try {
      await vagrant(['box', 'add', '--provider', 'libvirt', file], {
        doing: `add the box ${box.boxName}`,
        timeoutMs: vagrantMs,
        signal: options.signal,
      });
    } catch (error) {
      // Another process may have added it meanwhile.
      if (options.signal.aborted || !(await hasBox(box.boxName, backend.provider, box.version))) throw error;
    } finally {
      rmSync(file, { force: true });
    }
  }
  return { box: box.boxName, version: box.version, own: box };
}

/** Removes Vagrant's copies of netrig's own boxes of an image, and libvirt's, where there is a Vagrant. */
export async function forgetBoxes(image: string): Promise<void> {
  if (findProgram('vagrant') === null) return;
  const { stdout } = await vagrant(['box', 'list'], { doing: 'list its boxes', timeoutMs: vagrantMs });
  const own = new RegExp(`^netrig-${image}-[0-9a-f]{12}$`);
  for (const name of new Set(parseBoxes(stdout).map((box) => box.name))) {
    if (own.test(name))
      await vagrant(['box', 'remove', '--all', '--force', name], {
        doing: `remove its box ${name}`,
        timeoutMs: vagrantMs,
      });
  }
  await deleteBoxVolumes(image);
}

export type Boxes = ReadonlyMap<string, FoundBox>;

/** The box of every image of the shape; they are all of netrig's own, or none is. */
export async function boxesOf(shape: LabShape, backend: Backend, options: BoxOptions): Promise<Boxes> {
  const boxes = new Map<string, FoundBox>();
  for (const image of new Set(shape.hosts.map((host) => host.image))) {
    options.image(image, 'start');
    boxes.set(image, await findBoxFor(image, backend, options));
    options.image(image, 'end');
  }
  const kinds = new Set([...boxes.values()].map((box) => box.own !== null));
  if (kinds.size > 1)
    throw new NetrigError('NETRIG_USAGE', "A lab's machines are all of netrig's own boxes, or all of others.", {
      hint: 'Name a box for every image of the scenario in NETRIG_VAGRANT_BOX, or for none.',
    });
  return boxes;
}

/** netrig's own among the boxes, each once. */
export function ownOf(boxes: Boxes): NonNullable<FoundBox['own']>[] {
  const own = [...boxes.values()].flatMap((box) => (box.own ? [[box.own.boxName, box.own] as const] : []));
  return [...new Map(own).values()];
}

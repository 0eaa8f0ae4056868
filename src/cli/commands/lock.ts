import { writeFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { ensureWantedImages } from '../../images/containers/wanted-image.js';
import { offlineVariable } from '../../images/offline.js';
import { ensurePackageLayer } from '../../images/package-layer.js';
import { lockFileOf, printPins } from '../../images/lock-file.js';
import { archivePin, hostPackagesPin, imagePackagesPin, type Pins } from '../../images/pins.js';
import { ensureHostImage } from '../../images/store.js';
import { exitStatus } from '../../model/verdict.js';
import { buildOnHost } from '../../providers/local/image-builder.js';
import { onInterrupt } from '../../run/interrupt.js';
import { findScenarioFiles } from '../../scenario/load.js';
import type { Scenario } from '../../scenario/scenario.js';
import { loadOrPrint } from '../load-or-print.js';
import { note, print, tell } from '../terminal.js';

interface Locking {
  pins: Pins;
  signal: AbortSignal;
}

async function pinImages({ wantedImages }: Scenario, { pins, signal }: Locking): Promise<void> {
  await ensureWantedImages(wantedImages, {
    signal,
    progress: (line) => tell`${line}`,
    builder: buildOnHost,
    seen({ name, source }, { facts }) {
      if (source.from === 'registry') pins.images[source.reference] = facts.digest;
      if (source.from === 'archive') pins.images[archivePin(name)] = facts.digest;
      if (source.from === 'packages') pins.packages[imagePackagesPin(name)] = facts.versions ?? {};
    },
  });
}

async function pinPackages({ hosts }: Scenario, { pins, signal }: Locking): Promise<void> {
  const options = { signal, progress: (line: string) => tell`${line}` };
  for (const { image, packages, packagePlaces } of hosts) {
    const key = hostPackagesPin(image, packages);
    if (packages.length === 0 || key in pins.packages) continue;
    const layer = await ensurePackageLayer(await ensureHostImage(image, options), packages, options, packagePlaces);
    pins.packages[key] = layer.facts.versions;
  }
}

/** `netrig lock`: what the scenarios of files stand on, written beside each. */
export async function lock(paths: string[], flags: { offline?: boolean }): Promise<number> {
  if (flags.offline) process.env[offlineVariable] = 'yes';
  const loaded = await loadOrPrint(await findScenarioFiles(paths), {});
  const interrupt = onInterrupt(() => note('interrupted'));
  try {
    for (const { file, scenarios } of loaded) {
      const pins: Pins = { images: {}, packages: {} };
      for (const scenario of scenarios) {
        await pinImages(scenario, { pins, signal: interrupt.signal });
        await pinPackages(scenario, { pins, signal: interrupt.signal });
      }
      const written = lockFileOf(file);
      await writeFile(written, printPins(pins));
      const counts = `${Object.keys(pins.images).length} images, ${Object.keys(pins.packages).length} sets of packages`;
      print`${relative(process.cwd(), written)}: ${counts}`;
    }
  } finally {
    interrupt.dispose();
  }
  return exitStatus.passed;
}

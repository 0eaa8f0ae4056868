import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { bareEnvironment, benchImage, netrigProgram, projectDirectory, sourceDirectory } from './bare.js';
import { makeDirectory } from './leftovers.js';
import { comparison, takeTurns, type Bench } from './measure.js';
import { runWhole } from './metered.js';

/** The whole overlay scenario, from nothing to nothing. */
export const overlayBench: Bench = {
  name: 'overlay',
  what: 'scenarios/overlay/consul.yaml by `netrig run`, against bench/overlay-bare.sh',
  async run(context) {
    const image = await benchImage(context);
    const reports = await makeDirectory();
    try {
      const pairs = await takeTurns(
        context.quick ? 2 : 7,
        context,
        {
          netrig: () =>
            runWhole(
              [
                process.execPath,
                netrigProgram,
                'run',
                join(projectDirectory, 'scenarios', 'overlay', 'consul.yaml'),
                '--no-allure-report',
                '--reports',
                reports,
              ],
              {
                signal: context.signal,
              },
            ),
          other: () =>
            runWhole(['bash', join(sourceDirectory, 'overlay-bare.sh')], {
              signal: context.signal,
              env: bareEnvironment(image),
            }),
        },
        true,
      );
      const measured = pairs.every((pair) => Number.isFinite(pair.netrig.cpuMs) && Number.isFinite(pair.other.cpuMs));
      if (!measured) context.note('CPU is not measured: this machine has no version 2 cgroups mounted.');
      return [
        comparison('wall', 'script', 's', pairs, (side) => side.wallMs / 1000, 1.15),
        ...(measured
          ? [comparison('CPU, hosts included', 'script', 's', pairs, (side) => side.cpuMs / 1000, 1.5)]
          : []),
      ];
    } finally {
      await rm(reports, { recursive: true, force: true });
    }
  },
};

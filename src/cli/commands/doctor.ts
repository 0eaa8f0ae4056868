import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { out } from '../colours.js';
import { shareInventory } from '../consent.js';
import { listHostImages } from '../../images/store.js';
import { exitStatus } from '../../model/verdict.js';
import type { Capability } from '../../providers/provider.js';
import { providerNamed, providers } from '../../providers/registry.js';

async function onPath(program: string): Promise<string | null> {
  for (const directory of (process.env['PATH'] ?? '').split(delimiter)) {
    const file = join(directory, program);
    if (
      await access(file, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return file;
  }
  return null;
}

/** Things outside a provider that some feature of netrig wants. */
async function ownFindings(): Promise<Capability[]> {
  const java = await onPath('java');
  const images = await listHostImages();
  return [
    {
      name: 'allure-report',
      have: java !== null,
      seen: java ? `Java is at ${java}` : 'no java on PATH, so no Allure page; its results are written all the same',
      ...(java ? {} : { mend: 'apt-get install default-jre-headless' }),
    },
    ...images.map((image) => ({
      name: `image:${image.name}`,
      have: image.state === 'ready',
      seen:
        image.state === 'ready'
          ? `built; engine ${image.engineVersion || 'none'}`
          : image.state === 'stale'
            ? 'built from an older recipe; it is built anew at its next use'
            : 'not built; it is built at its first use',
      ...(image.state === 'ready' ? {} : { mend: `netrig images build ${image.name}` }),
    })),
  ];
}

/** Without these a provider can bring up no lab at all; kernel features and the like only decide which labs. */
function isRequired({ name }: Capability): boolean {
  return /^(?:root|engine|inventory|vagrant|hypervisor)$|^(?:tool|machine):/.test(name);
}

/** `netrig doctor`: 0 when the provider asked for, else the local one, can bring up a lab. */
export async function doctor(flags: { json?: boolean; provider?: string; inventory?: string }): Promise<number> {
  shareInventory(flags.inventory);
  const chosen = flags.provider === undefined ? Object.values(providers) : [providerNamed(flags.provider)];
  const findings = [
    ...(await Promise.all(
      chosen.map(async (provider) => ({
        provider: provider.name,
        capabilities: await provider.capabilities({ onlyLook: true }),
      })),
    )),
    { provider: 'netrig', capabilities: await ownFindings() },
  ];
  if (flags.json) {
    process.stdout.write(`${JSON.stringify(findings, null, 2)}\n`);
  } else {
    for (const { provider, capabilities } of findings) {
      process.stdout.write(`${out.bold(provider)}\n`);
      const width = Math.max(...capabilities.map((one) => one.name.length));
      for (const { name, have, seen, mend } of capabilities) {
        process.stdout.write(`  ${have ? out.green('yes') : out.yellow('no ')} ${name.padEnd(width)}  ${seen}\n`);
        if (!have && mend) process.stdout.write(`      ${' '.repeat(width)}  ${out.dim(`to mend: ${mend}`)}\n`);
      }
    }
  }
  const required = findings
    .filter(({ provider }) => provider === (flags.provider ?? 'local'))
    .flatMap(({ capabilities }) => capabilities.filter(isRequired));
  return required.every((one) => one.have) ? exitStatus.passed : exitStatus.lab;
}

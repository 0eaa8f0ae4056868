import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { shareInventory } from '../consent.js';
import { note, out, print, printJson } from '../terminal.js';
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

/** A finding as it is printed: of a provider, or of netrig itself, which no scenario can require. */
type Finding = Omit<Capability, 'name'> & { name: string };

/** Things outside a provider that some feature of netrig wants. */
async function ownFindings(): Promise<Finding[]> {
  const java = await onPath('java');
  const skopeo = await onPath('skopeo');
  const images = await listHostImages();
  return [
    {
      name: 'allure-report',
      have: java !== null,
      seen: java ? `Java is at ${java}` : 'no java on PATH, so `netrig run --allure` can make no page',
      ...(java ? {} : { mend: 'apt-get install default-jre-headless' }),
    },
    {
      name: 'container-images',
      have: skopeo !== null,
      seen: skopeo
        ? `skopeo is at ${skopeo}`
        : 'no skopeo on PATH, so container images of registries and archives cannot be had',
      ...(skopeo ? {} : { mend: 'apt-get install skopeo' }),
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
function isRequired({ name }: Finding): boolean {
  return /^(?:root|engine|inventory|vagrant|hypervisor)$|^(?:tool|machine):/.test(name);
}

export interface Findings {
  provider: string;
  capabilities: readonly Finding[];
}

/** What to print of a provider: all of it, or, where it is not here and nobody asked for it, only what it lacks first. */
export function shownOf({ capabilities }: Findings, asked: boolean): { shown: readonly Finding[]; left: number } {
  const lacking = capabilities.find((one) => isRequired(one) && !one.have);
  if (asked || lacking === undefined) return { shown: capabilities, left: 0 };
  return { shown: [lacking], left: capabilities.length - 1 };
}

function printFindings(findings: Findings, asked: boolean): void {
  const { shown, left } = shownOf(findings, asked);
  print`${out.bold(findings.provider)}${left === 0 ? '' : out.dim('  not here')}`;
  const width = Math.max(0, ...shown.map((one) => one.name.length));
  for (const { name, have, seen, mend } of shown) {
    print`  ${have ? out.green('yes') : out.yellow('no ')} ${name.padEnd(width)}  ${seen.replace(/\s+/g, ' ')}`;
    if (!have && mend) print`      ${' '.repeat(width)}  ${out.dim(`to mend: ${mend}`)}`;
  }
  if (left > 0) print`${out.dim(`      ${left} more with --provider ${findings.provider}`)}`;
}

/** After so long it is said what is still looked at, ms. */
const patienceMs = 3000;

function waitingFor(names: readonly string[]): string {
  const booted = names.includes('vagrant')
    ? '; vagrant boots a machine to ask its kernel, which takes minutes where processors are emulated'
    : '';
  return `looking at ${names.join(', ')}${booted}`;
}

/** `netrig doctor`: 0 when the provider asked for, else the local one, can bring up a lab. */
export async function doctor(flags: { json?: boolean; provider?: string; inventory?: string }): Promise<number> {
  shareInventory(flags.inventory);
  const wanted = flags.provider ?? 'local';
  const chosen = flags.provider === undefined ? Object.values(providers) : [providerNamed(flags.provider)];
  const asked = chosen.map(async (provider): Promise<Findings> => ({
    provider: provider.name,
    capabilities: await provider.capabilities({ onlyLook: true }),
  }));
  asked.push(ownFindings().then((capabilities) => ({ provider: 'netrig', capabilities })));
  const known = new Set<string>();
  const patience = setTimeout(() => {
    note(waitingFor([...chosen.map(({ name }) => name), 'netrig'].filter((name) => !known.has(name))));
  }, patienceMs);
  const findings: Findings[] = [];
  try {
    for (const one of asked) void one.then(({ provider }) => known.add(provider)).catch(() => undefined);
    // Each as soon as it and those before it are known: a provider that boots a machine to ask it takes minutes.
    for (const next of asked) {
      const one = await next;
      findings.push(one);
      if (!flags.json) printFindings(one, one.provider === wanted || one.provider === 'netrig');
    }
  } finally {
    clearTimeout(patience);
  }
  if (flags.json) printJson(findings);
  const required = findings
    .filter(({ provider }) => provider === wanted)
    .flatMap(({ capabilities }) => capabilities.filter(isRequired));
  return required.every((one) => one.have) ? exitStatus.passed : exitStatus.lab;
}

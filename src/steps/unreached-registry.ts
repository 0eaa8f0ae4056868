import type { HostPlan } from '../plan/lab-plan.js';

/** As the engine puts it when it cannot speak to a registry (Go's net and net/http under moby's words). */
const unreached =
  /(?:Get|Head) "?https?:\/\/([^/"\s]+)\/v2\/[^\n]*(?:dial tcp|lookup |i\/o timeout|deadline exceeded|Client\.Timeout|request canceled)/;

/**
 * A registry on loopback is the lab's own: none of its images was fetched beforehand, and no way out would help. `null` for
 * others.
 */
function registryOfTheLab(registry: string, host: string): string | null {
  if (!/^(?:127(?:\.\d{1,3}){3}|localhost|\[::1\])(?::\d+)?$/.test(registry)) return null;
  return `No registry answers at ${registry}, which is ${host} itself: start one there in an earlier step, or leave that address out of the image’s name. Images of registries on loopback may be the lab’s own, so none is fetched before it starts (docs/images.md).`;
}

/**
 * What a user is to be told where an engine reached no registry: a lab is sealed. `null` where the output is about something else,
 * or the host is on a network of its own.
 */
export function unreachedRegistry(
  output: string,
  host: Pick<HostPlan, 'name' | 'outside' | 'interfaces'>,
): string | null {
  const registry = unreached.exec(output)?.[1];
  // Machines that were there before the lab have names of their own for their interfaces.
  if (registry === undefined || host.interfaces.some(({ device }) => device !== undefined)) return null;
  const own = registryOfTheLab(registry, host.name);
  if (own !== null) return own;
  if (host.outside)
    return `The engine of ${host.name} does not reach ${registry}: look whether this machine does (\`outside: true\` goes by its network).`;
  const hub = registry === 'registry-1.docker.io';
  return [
    `The lab is sealed: the engine of ${host.name} reaches no registry (${registry}).`,
    `Images that \`images\` names, or a step in so many words, are fetched before the lab starts${hub ? '' : '; leave out `docker pull` of them, it asks the registry all the same'}.`,
    `\`outside: true\`, of the host or the scenario, gives the engine a way out (docs/images.md).`,
  ].join(' ');
}

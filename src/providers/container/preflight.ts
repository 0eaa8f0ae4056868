import type Docker from 'dockerode';
import { findHostImageRow } from '../../images/host-image.js';
import { NetrigError } from '../../errors.js';
import type { LabPlan } from '../../plan/lab-plan.js';
import { type EngineEndpoint, engineInfo, type EngineInfo, openEngine, requireEndpoint } from './engine.js';

/** The engine that labs go on, and what it says of itself. */
export interface FoundEngine {
  endpoint: EngineEndpoint;
  engine: Docker;
  info: EngineInfo;
}

/** Throws NETRIG_ENGINE_UNREACHABLE, NETRIG_ENGINE_REFUSED, NETRIG_CAPABILITY, NETRIG_USAGE. */
export async function findEngine(signal?: AbortSignal): Promise<FoundEngine> {
  const endpoint = requireEndpoint();
  const engine = await openEngine(endpoint);
  return { endpoint, engine, info: await engineInfo(endpoint, engine, signal) };
}

/** What the names of hosts and segments may be: they become names of containers and networks. */
const namePattern = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;

/** The engine API has the private cgroup namespace, without which a host would see the groups of all others, since then. */
const leastMajor = 20;

/** See `Provider.preflight`; throws what `findEngine` does, too. */
export async function containerPreflight(plan: LabPlan): Promise<FoundEngine> {
  for (const name of [...plan.hosts.map((host) => host.name), ...plan.segments.map((segment) => segment.name)]) {
    if (!namePattern.test(name))
      throw new NetrigError('NETRIG_USAGE', `"${name}" can't be the name of a host or a segment.`, {
        hint: 'Use letters, digits, - and _.',
      });
  }
  for (const host of plan.hosts) {
    const twice = host.interfaces.find(
      (nic, index) => host.interfaces.findIndex((one) => one.segment === nic.segment) !== index,
    );
    if (twice) {
      throw new NetrigError(
        'NETRIG_CAPABILITY',
        `${host.name} has two interfaces on the segment ${twice.segment}; a container can't join a network of its engine twice.`,
        { hint: 'Use another provider for this scenario.' },
      );
    }
  }
  const found = await findEngine();
  const major = Number(/^(\d+)\./.exec(found.info.version)?.[1]);
  if (major < leastMajor) {
    throw new NetrigError(
      'NETRIG_CAPABILITY',
      `The Docker engine at ${found.endpoint.uri} is ${found.info.version}; hosts as containers need 20.10 or later.`,
      { hint: 'Update Docker, or use another provider.' },
    );
  }
  for (const host of plan.hosts) {
    if (host.init !== 'systemd' || findHostImageRow(host.image)?.cgroup !== 'v2' || found.info.cgroupVersion === 2)
      continue;
    throw new NetrigError(
      'NETRIG_CAPABILITY',
      `The systemd of ${host.image} needs cgroup version 2, and the machine of the Docker engine "${found.info.name}" has version 1.`,
      {
        hint: `Boot that machine with \`systemd.unified_cgroup_hierarchy=1\`, make ${host.name} \`init: light\`, or choose another image.`,
      },
    );
  }
  return found;
}

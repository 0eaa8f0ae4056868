import semver from 'semver';
import { NetrigError } from '../errors.js';
import { parseVantage } from '../language/endpoint.js';
import type { ProbeHost } from '../places/context.js';
import type { Scenario, ScenarioItem } from '../scenario/scenario.js';
import { conditionReason } from './condition.js';
import { contextFor, type Course } from './course.js';

const engineVersionMs = 30_000;

/** Hosts whose engine or image a `when` speaks of: where a step runs, where a check looks from or at. */
function hostsOf(item: ScenarioItem, scenario: Scenario): string[] {
  const known = new Set(scenario.hosts.map((host) => host.name));
  const named =
    item.kind === 'step'
      ? item.on
      : item.type.endpoints(item.spec).map((use) => parseVantage(use.endpoint)?.host ?? '');
  const found = [...new Set(named.filter((name) => known.has(name)))];
  return found.length > 0 ? found : [...known];
}

function engineVersion(course: Course, host: ProbeHost): Promise<string> {
  let version = course.engineVersions.get(host.name);
  if (!version) {
    version = host
      .exec(['docker', 'version', '--format', '{{.Server.Version}}'], { timeoutMs: engineVersionMs })
      .then((result) => (result.exitCode === 0 ? result.stdout.trim() : ''));
    // One that is down just now may be up when it is asked for the next time.
    void version.then(
      (stated) => stated === '' && course.engineVersions.delete(host.name),
      () => course.engineVersions.delete(host.name),
    );
    course.engineVersions.set(host.name, version);
  }
  return version;
}

/** Why the engines of these hosts are not what the item is for, `null` where one is. Throws NETRIG_CAPABILITY. */
async function excludedByEngine(
  course: Course,
  item: ScenarioItem,
  wanted: string,
  hosts: string[],
): Promise<string | null> {
  const context = contextFor(course, item.id, engineVersionMs);
  const engines = course.scenario.hosts.filter((host) => host.engine).map((host) => host.name);
  const own = hosts.filter((name) => engines.includes(name));
  // Seen from hosts without an engine (a router, a client), the condition is about the lab's engines.
  const withEngine = own.length > 0 ? own : engines;
  const versions = await Promise.all(
    withEngine.map(async (name) => ({ name, version: await engineVersion(course, context.host(name)) })),
  );
  const unknown = versions.find(({ version }) => !semver.coerce(version));
  if (unknown)
    throw new NetrigError(
      'NETRIG_CAPABILITY',
      `The engine on ${unknown.name} does not state its version, and the item is for engine ${wanted} only.`,
    );
  if (versions.some(({ version }) => semver.satisfies(semver.coerce(version)!, wanted))) return null;
  return conditionReason('engine', wanted, versions.map(({ version }) => version).join(', ') || 'none');
}

/** Why the item is not for this lab, or `null`. Throws NETRIG_CAPABILITY where that cannot be said. */
export async function excluded(course: Course, item: ScenarioItem): Promise<string | null> {
  const { when } = item;
  if (!when) return null;
  for (const [name, { values, here }] of Object.entries(when.vars ?? {}))
    if (!values.includes(here)) return conditionReason(name, values.join(' or '), here);
  const hosts = hostsOf(item, course.scenario);
  if (when.image) {
    const images = course.scenario.hosts.filter((host) => hosts.includes(host.name)).map((host) => host.image);
    if (!images.some((image) => when.image?.includes(image)))
      return conditionReason('image', when.image.join(' or '), [...new Set(images)].join(', '));
  }
  return when.engine ? excludedByEngine(course, item, when.engine, hosts) : null;
}

import type { EndpointUse } from '../../checks/kind.js';
import { parseTarget, parseVantage } from '../../language/endpoint.js';
import { nearest, shown, suggestion } from '../../language/wording.js';
import type { Path } from '../diagnostic.js';
import { isDataMap } from '../source.js';
import type { Data, DataMap } from '../source.js';
import { whyNoEngine } from './engines.js';
import { hostHint } from './hosts-and-segments.js';
import type { DeclaredLab } from './hosts-and-segments.js';
import type { Report } from './mistakes.js';
import { stepTexts, textsIn, wordsOf } from './step-texts.js';

/** Checks that what a check names is there, or is made by a step. */
export interface PlaceChecks {
  endpoint(use: EndpointUse, base: Path, item: DataMap): void;
  /** @param uses The endpoints of the same check. */
  addressOn(name: string, path: Path, uses: readonly EndpointUse[]): void;
}

/**
 * @param given Whether the hosts are machines that exist already: then containers and namespaces may be there that nothing
 *   in the file makes.
 */
export function placeChecks(data: DataMap, lab: DeclaredLab, report: Report, given: boolean): PlaceChecks {
  const places = knownPlaces(data, lab);
  return {
    endpoint: endpointCheck(places, lab, report, given),
    addressOn: addressOnCheck(places, lab, report, given),
  };
}

/** Whether no host has a mistake of its own: what one declares is not known then. */
function hostsSound({ hosts, hostNames }: DeclaredLab): boolean {
  return hosts.size === hostNames.size;
}

/** `address-on` picks among addresses that somebody has: it names a segment, a network of an engine or an interface. */
function addressOnCheck(
  places: KnownPlaces,
  lab: DeclaredLab,
  report: Report,
  given: boolean,
): PlaceChecks['addressOn'] {
  const networks = new Set(
    ['bridge', 'host'].concat([...lab.hosts.values()].flatMap((host) => Object.keys(host.docker?.networks ?? {}))),
  );
  return (name, path, uses) => {
    const targets = uses.filter(({ role, path: at }) => role === 'target' && at[0] === 'to');
    for (const { endpoint } of targets) {
      const target = parseTarget(endpoint, lab.hostNames);
      if (target?.kind === 'address')
        return report(path, `picks one of several addresses, and ${endpoint} is one already`, 'key');
      if (target?.kind === 'name')
        return report(path, `picks an address of a host, container or namespace, and ${endpoint} is a name`, 'key');
      // An interface of a namespace may have any name.
      if (target?.kind === 'netns') return;
    }
    if (given || lab.segments.has(name) || networks.has(name) || places.mentionedAnywhere(name)) return;
    // A host or segment with a mistake of its own may have it.
    if (!hostsSound(lab) || lab.segmentNames === null || lab.segmentNames.has(name)) return;
    const known = [...lab.segments.keys(), ...networks];
    report(path, () => `no segment and no network ${shown(name)} in this scenario${suggestion(name, known)}`);
  };
}

function endpointCheck(places: KnownPlaces, lab: DeclaredLab, report: Report, given: boolean): PlaceChecks['endpoint'] {
  const checkContainer = (host: string, container: string, path: Path): void => {
    // What a host with a mistake of its own declares is not known.
    if (!lab.hosts.has(host)) return;
    if (!lab.hasEngine(host))
      return report(path, `${host} has no engine, so no containers${whyNoEngine(lab.hosts.get(host))}`);
    if (given || places.hasContainer(host, container)) return;
    report(path, () => {
      const elsewhere = [...lab.hostNames].filter((other) => other !== host && places.namesContainer(other, container));
      const hint =
        elsewhere.length > 0
          ? `; ${elsewhere.slice(0, 5).join(', ')} has one of that name`
          : suggestion(container, places.containersOf(host));
      return `no step creates the container ${container} on ${host}${hint}`;
    });
  };
  /** A name to resolve may be anything, but one that is nearly a host's, and stands nowhere else, is a slip of the pen. */
  const checkName = (name: string, path: Path, item: DataMap): void => {
    if (name.includes('.') || name.length < 3 || places.mentionedAnywhere(name)) return;
    const close = nearest(name, lab.hostNames);
    if (close === null || sameButDigits(close, name)) return;
    if (textsIn(item).some((text) => ['unknown-host', 'nxdomain', 'servfail', 'no-answer'].includes(text))) return;
    report(
      path,
      `no host ${shown(name)} in this scenario, and nothing in it makes such a name; did you mean ${shown(close)}?`,
    );
  };

  return (use, base, item) => {
    const path = [...base, ...use.path];
    const target = use.role === 'vantage' ? parseVantage(use.endpoint) : parseTarget(use.endpoint, lab.hostNames);
    if (target === null) {
      const expected =
        use.role === 'vantage'
          ? 'a host, host/container or host/netns:name'
          : 'an endpoint, an address or a name to resolve';
      return report(path, `expected ${expected}, got ${shown(use.endpoint)}`);
    }
    if (target.kind === 'address') return;
    if (target.kind === 'name') return checkName(target.name, path, item);
    if (!lab.hostNames.has(target.host))
      return report(path, () => `no host ${shown(target.host)} in this scenario${hostHint(target.host, lab)}`);
    if (target.kind === 'container') checkContainer(target.host, target.container, path);
    if (target.kind === 'netns' && !given && !places.hasNetns(target.host, target.netns))
      report(path, `no step creates the network namespace ${target.netns} on ${target.host}`);
  };
}

interface KnownPlaces {
  hasContainer(host: string, container: string): boolean;
  /** Whether a host's declaration or a `--name` there says the name outright. */
  namesContainer(host: string, container: string): boolean;
  containersOf(host: string): string[];
  hasNetns(host: string, netns: string): boolean;
  /** Whether a name stands in a step, in what a host declares, or as a container's. */
  mentionedAnywhere(name: string): boolean;
}

function knownPlaces(data: DataMap, lab: DeclaredLab): KnownPlaces {
  const texts = stepTexts([data.steps, data.finally].flatMap((items) => (Array.isArray(items) ? items : [])));
  const declared = (host: string): Record<string, unknown> => lab.hosts.get(host)?.docker?.containers ?? {};
  const shapes: Data | undefined = data.hosts;
  const words = lazily(() => {
    const all = wordsOf(textsIn(isDataMap(shapes) ? Object.values(shapes) : []).join('\n'));
    for (const host of lab.hostNames) for (const container of Object.keys(declared(host))) all.add(container);
    // Also of hosts with a mistake of their own.
    for (const shape of isDataMap(shapes) ? Object.values(shapes) : []) {
      const containers = isDataMap(shape) && isDataMap(shape.docker) ? shape.docker.containers : undefined;
      for (const container of isDataMap(containers) ? Object.keys(containers) : []) all.add(container);
    }
    return all;
  });
  const namedByHost = new Map<string, Set<string>>();
  const named = (host: string): Set<string> => {
    let names = namedByHost.get(host);
    if (names === undefined) {
      names = new Set([...Object.keys(declared(host)), ...texts.of(host).flatMap((text) => text.containerNames)]);
      namedByHost.set(host, names);
    }
    return names;
  };
  const hasContainer = remembered((host, container) => {
    if (Object.hasOwn(declared(host), container)) return true;
    return texts
      .of(host)
      .some(
        (text) =>
          text.words.has(container) ||
          text.compose ||
          text.containerPrefixes.some((prefix) => container.startsWith(prefix)),
      );
  });
  return {
    hasContainer,
    namesContainer: (host, container) => named(host).has(container),
    containersOf: (host) => [...named(host)],
    hasNetns: remembered((host, netns) => texts.of(host).some((text) => text.words.has(netns) || text.computedNetns)),
    mentionedAnywhere: (name) => texts.all.some((text) => text.words.has(name)) || words().has(name),
  };
}

function lazily<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

/** A question about a host and a name, answered once. */
function remembered(ask: (host: string, name: string) => boolean): (host: string, name: string) => boolean {
  const answers = new Map<string, boolean>();
  return (host, name) => {
    const key = `${host}/${name}`;
    let answer = answers.get(key);
    if (answer === undefined) {
      answer = ask(host, name);
      answers.set(key, answer);
    }
    return answer;
  };
}

/** `node3` beside `node1` is a name somebody chose, `nod1` is not. */
function sameButDigits(a: string, b: string): boolean {
  return a.replace(/\d+/g, '#') === b.replace(/\d+/g, '#');
}

import type { EngineState } from '../model/events.js';
import type { RunningLab } from '../providers/provider.js';
import { readEngineState } from '../run/engine-state.js';
import { openSession, type LabSession } from '../session/session.js';
import type { ContainerView } from './api.js';
import { followEngine } from './engine-events.js';
import { harmless } from './views.js';

/** What the engines of a lab have, as last seen. */
export interface Places {
  containers(key: string): ContainerView[];
  /** Asks the engines again; calls back where something is another than before. Several at once are one. */
  look(key: string): Promise<void>;
  /** Looks whenever an engine says that something changed, until `rest`. What ended meanwhile begins again. */
  follow(key: string): void;
  rest(key: string): void;
  /** The connections of a lab that is up, for further questions. */
  session(key: string): Promise<LabSession>;
  forget(key: string): Promise<void>;
  close(): Promise<void>;
}

/** For all engines of a lab, ms. */
const lookMs = 10_000;
const mostContainers = 50;

function containersOf({ host, containers }: EngineState): ContainerView[] {
  return containers.map((one) => ({
    host,
    name: harmless(one.name),
    image: harmless(one.image),
    state: harmless(one.state),
    networks: one.networks.map(({ name, address }) => ({ name: harmless(name), address: harmless(address) })),
    ports: one.ports.map(harmless),
  }));
}

export function createPlaces(running: (key: string) => Promise<RunningLab>, onChange: (key: string) => void): Places {
  const sessions = new Map<string, Promise<LabSession>>();
  const seen = new Map<string, ContainerView[]>();
  const looking = new Map<string, Promise<void>>();
  /** Labs that are followed, or are about to be. */
  const followed = new Set<string>();
  /** By lab, then by host. */
  const following = new Map<string, Map<string, AbortController>>();

  function session(key: string): Promise<LabSession> {
    let open = sessions.get(key);
    if (!open) {
      open = running(key).then((lab) => openSession(lab));
      sessions.set(key, open);
      open.catch(() => sessions.delete(key));
    }
    return open;
  }

  async function lookNow(key: string): Promise<void> {
    const open = await session(key);
    const context = open.context({ signal: AbortSignal.timeout(lookMs), timeoutMs: lookMs, record: () => undefined });
    const engines = open.lab.plan.hosts.filter(({ engine }) => engine);
    const states = await Promise.all(engines.map(({ name }) => readEngineState(context.host(name))));
    const now = states.flatMap((state) => (state ? containersOf(state) : [])).slice(0, mostContainers);
    if (JSON.stringify(now) === JSON.stringify(seen.get(key) ?? [])) return;
    seen.set(key, now);
    onChange(key);
  }

  function look(key: string): Promise<void> {
    let under = looking.get(key);
    if (!under) {
      under = lookNow(key)
        // A host that says nothing, or is about to go, has nothing to show.
        .catch(() => undefined)
        .finally(() => looking.delete(key));
      looking.set(key, under);
    }
    return under;
  }

  async function follow(key: string): Promise<void> {
    followed.add(key);
    const open = await session(key);
    if (!followed.has(key)) return;
    const hosts = following.get(key) ?? new Map<string, AbortController>();
    following.set(key, hosts);
    for (const { name, engine } of open.lab.plan.hosts) {
      if (!engine || hosts.has(name)) continue;
      const abort = new AbortController();
      hosts.set(name, abort);
      void followEngine(open, name, abort.signal, () => look(key)).finally(() => {
        if (hosts.get(name) === abort) hosts.delete(name);
      });
    }
  }

  function rest(key: string): void {
    followed.delete(key);
    for (const abort of following.get(key)?.values() ?? []) abort.abort();
    following.delete(key);
  }

  async function forget(key: string): Promise<void> {
    const open = sessions.get(key);
    rest(key);
    sessions.delete(key);
    seen.delete(key);
    await open?.then((one) => one.close()).catch(() => undefined);
  }

  return {
    containers: (key) => seen.get(key) ?? [],
    look,
    follow: (key) => void follow(key).catch(() => undefined),
    rest,
    session,
    forget,
    async close() {
      await Promise.all([...sessions.keys()].map(forget));
    },
  };
}

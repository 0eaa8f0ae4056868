import type Docker from 'dockerode';
import { ask, changeMs, type EngineEndpoint } from './engine.js';

/** What all that is done in a container of the engine needs. */
export interface WorkPlace {
  endpoint: EngineEndpoint;
  engine: Docker;
  signal: AbortSignal;
}

/** Taking over what a container wrote, as an image, ms. */
const commitMs = 10 * 60_000;

/**
 * A container that does some work, and goes with `use`, whatever that comes to. `what` it is for, as the rest of a sentence.
 * Rejects as `ask` does.
 */
export async function withContainer<T>(
  { endpoint, engine, signal }: WorkPlace,
  what: string,
  options: Docker.ContainerCreateOptions,
  use: (container: Docker.Container) => Promise<T>,
): Promise<T> {
  const container = await ask(endpoint, what, changeMs, engine.createContainer({ Cmd: [], ...options }), signal);
  try {
    return await use(container);
  } finally {
    await ask(endpoint, what, changeMs, container.remove({ force: true, v: true })).catch(() => undefined);
  }
}

/** Makes an image of a container: what it stands on, and one more layer. */
export async function commitImage(
  { endpoint, signal }: WorkPlace,
  what: string,
  container: Docker.Container,
  image: { reference: string; labels: Record<string, string>; comment: string },
): Promise<void> {
  const [repo, tag] = image.reference.split(':');
  const labels = Object.entries(image.labels).map(([name, value]) => `LABEL ${name}=${JSON.stringify(value)}`);
  const changes = [...labels, 'ENTRYPOINT []', 'CMD ["/bin/sh"]'].join('\n');
  await ask(endpoint, what, commitMs, container.commit({ repo, tag, changes, comment: image.comment }), signal);
}

import { availableParallelism } from 'node:os';
import { providerNamed } from '../providers/registry.js';

/** Scenario files or hand-ins at once where nothing is said: what grades hang on is not to wait for a neighbour's boot. */
export function onePerProcessor(): number {
  return Math.min(4, availableParallelism());
}

/**
 * Labs at once of `prove` and `mutate` where nothing is said: two per processor, for most of their time is
 * waiting (boots, attempts at what is not there, adjacencies), not work. Labs that do not fit into memory wait for others.
 * Whole virtual machines are another matter: what boots there are kernels.
 */
export function labsAtOnce(provider: string | null | undefined): number {
  const virtual = typeof provider === 'string' && providerNamed(provider).reusesHosts === true;
  return virtual ? onePerProcessor() : Math.min(8, 2 * availableParallelism());
}

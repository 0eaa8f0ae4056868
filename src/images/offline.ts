import { NetrigError } from '../errors.js';

/** Set, and not empty: no registry and no mirror is asked. Inherited by the processes that netrig starts. */
export const offlineVariable = 'NETRIG_OFFLINE';

/** Throws NETRIG_OFFLINE, naming what would have to be fetched, where nobody is to be asked. */
export function requireNetwork(what: string, environment: NodeJS.ProcessEnv = process.env): void {
  if (!environment[offlineVariable]) return;
  throw new NetrigError('NETRIG_OFFLINE', `${what}: the cache does not have it, and nobody is to be asked`);
}

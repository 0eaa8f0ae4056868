import { familyOf } from '../model/cidr.js';

/** A socket that waits for connections or datagrams. */
export interface Listener {
  /** `*`, `0.0.0.0`, `::`, or the one address that it is bound to. */
  address: string;
  port: number;
}

/** Reads `ss -H -l -n -t` or `-u`: fixed columns, the fourth of which is the local address and port. */
export function readListeners(text: string): Listener[] {
  return text.split('\n').flatMap((line) => {
    const local = line.trim().split(/\s+/)[3];
    const match = local === undefined ? null : /^(.+):(\d+)$/.exec(local);
    if (!match) return [];
    return [{ address: match[1]!.replace(/^\[|\]$/g, '').replace(/%.*$/, ''), port: Number(match[2]) }];
  });
}

/** Whether somebody listens on the port in a way that takes what comes for the address. */
export function listensAt(listeners: readonly Listener[], address: string, port: number): boolean {
  return listeners.some(
    (one) =>
      one.port === port &&
      (one.address === address ||
        one.address === '*' ||
        // A socket on :: takes IPv4 too, unless it was told not to.
        one.address === '::' ||
        (one.address === '0.0.0.0' && familyOf(address) === 4)),
  );
}

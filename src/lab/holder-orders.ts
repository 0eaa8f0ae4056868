import { NetrigError } from '../errors.js';
import { orderAt, takeOrdersAt, type OrderPlace } from './order-socket.js';
import { labDirectory } from './store.js';

/** What others of the same user ask of the process that holds a lab, over a Unix socket in the lab's directory. */
export interface HolderOrder {
  do: 'reset-host';
  host: string;
}

function placeOf(lab: string): OrderPlace {
  return { directory: labDirectory(lab), socket: 'holder.sock' };
}

/** Carries out what others ask of the process that holds the lab, until that process ends. */
export function takeOrders(lab: string, carryOut: (order: HolderOrder) => Promise<void>): void {
  takeOrdersAt(placeOf(lab), carryOut);
}

/**
 * Has the process that holds the lab do something, and waits until it is done.
 *
 * @throws what went wrong there; NETRIG_LAB_GONE when nobody answers; the reason of `signal`.
 */
export async function orderHolder(lab: string, order: HolderOrder, signal: AbortSignal): Promise<void> {
  try {
    await orderAt(placeOf(lab), order, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof NetrigError) throw error;
    throw new NetrigError('NETRIG_LAB_GONE', `The process that holds the lab ${lab} does not answer.`, {
      cause: error,
    });
  }
}

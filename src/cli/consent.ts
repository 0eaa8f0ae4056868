import { createInterface } from 'node:readline/promises';
import { NetrigError } from '../errors.js';
import type { Provider } from '../providers/provider.js';
import { tell } from './terminal.js';
import { consentVariable, inventoryVariable } from '../providers/ssh/provider.js';

/** Lets every process of this run know the inventory. */
export function shareInventory(file: string | undefined): void {
  if (file !== undefined) process.env[inventoryVariable] = file;
}

/**
 * Asks, once for all labs, whether what was there before may be changed, where the provider changes such things. `yes` and
 * NETRIG_YES=1 have said it already.
 *
 * @throws NETRIG_USAGE when the answer is no, or nobody is there to give one.
 */
export async function agree(provider: Provider, yes: boolean): Promise<void> {
  if (!provider.asks) return;
  const question = await provider.asks();
  if (yes || process.env[consentVariable] === '1') {
    process.env[consentVariable] = '1';
    return;
  }
  tell`${question}`;
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    throw new NetrigError('NETRIG_USAGE', 'Nothing was changed: nobody is at the terminal to agree.', {
      hint: 'Say --yes.',
    });
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await reader.question('Go on? [y/N] ').finally(() => reader.close());
  if (!/^y(es)?$/i.test(answer.trim()))
    throw new NetrigError('NETRIG_USAGE', 'Nothing was changed.', { hint: 'Answer y, or say --yes.' });
  process.env[consentVariable] = '1';
}

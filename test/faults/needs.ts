import { localProvider } from '../../src/providers/local/provider.js';

/** The first of the named capabilities that this machine lacks; `null` where it has them all. */
export async function missingHere(needs: readonly string[]): Promise<string | null> {
  if (needs.length === 0) return null;
  const have = new Map<string, boolean>((await localProvider.capabilities()).map((one) => [one.name, one.have]));
  return needs.find((name) => have.get(name) !== true) ?? null;
}

import { readFileSync } from 'node:fs';

/** netrig's own version, from its package.json. */
export const netrigVersion = (
  JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;

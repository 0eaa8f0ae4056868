import { renamings, shownKeys } from './former-keys.js';
import type { Renaming } from './former-keys.js';

const intro = `<!-- Generated from src/scenario/former-keys.ts: \`npm run docs\` writes it anew. -->

# Files of the former language

The language says each thing in one way now:

- *where*: probes say \`from\` and \`to\`; everything else says \`on\`.
- *which address* of a target is meant: \`address-on: NAME\`, a segment, a network of an engine, or an interface. \`via\` is the next hop of a route, and nothing else.
- *not*: probes say \`expect: { fails: CAUSE }\`, state says \`expect: { absent: true }\`, values say \`not:\`.
- *what is claimed* stands below \`expect\`; what picks the thing stands beside \`on\`.
- netrig’s own keys are written with dashes, Docker Compose’s words as Compose has them.

\`\`\`
netrig migrate scenarios            # says what would change, line by line
netrig migrate --write scenarios    # rewrites the files; comments, order and everything else stay
netrig migrate --check scenarios    # ends with 1 while something is of the former language, for CI
\`\`\`

A file of the former language is refused, and each of its former keys is named with what it is called now.`;

/** What the language called something before and calls it now, by kind. */
export function migratingMarkdown(): string {
  const kinds = [...new Set(renamings.map(({ kind }) => kind))];
  const row = ({ former, now, note }: Renaming): string =>
    `| \`${former.join('.').replaceAll('*', 'NAME')}\` | ${now === null ? '' : `\`${shownKeys(now).replaceAll('*', 'NAME')}\``} | ${note ?? ''} |`;
  const sections = kinds.map((kind) =>
    [
      `## ${kind === null ? 'A file' : `\`${kind}\``}`,
      '',
      '| Before | Now | |',
      '|---|---|---|',
      ...renamings.filter((one) => one.kind === kind).map(row),
    ].join('\n'),
  );
  return `${[intro, ...sections].join('\n\n')}\n`;
}

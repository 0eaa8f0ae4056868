import { errorCatalogue } from '../errors.js';
import { hintRows } from '../scenario/hints.js';

const exitWords: Record<number, string> = { 1: 'failed', 2: 'usage', 3: 'lab', 130: 'interrupted' };

/** `docs/errors.md`: every code that netrig raises on purpose. */
export function errorsReferenceMarkdown(): string {
  const rows = Object.entries(errorCatalogue).map(([code, entry]) => `| \`${code}\` | ${entry.exit} (${exitWords[entry.exit] ?? '?'}) | ${entry.meaning} | ${entry.mend} |`);
  return `# Error codes

Generated from \`src/errors.ts\` by \`npm run docs\`.

Every error that netrig raises on purpose has a code. It is printed in parentheses after the message, and stands in \`results.json\`.

| Code | Exit status | Meaning | How to mend |
| --- | --- | --- | --- |
${rows.join('\n')}

## Hints

\`netrig validate\` and \`netrig run\` tell of what a valid file says and hardly means: file, line, column, and one of these codes. A hint fails nothing, except with \`netrig validate --strict\`.

| Code | Meaning |
| --- | --- |
${Object.entries(hintRows)
  .map(([code, meaning]) => `| \`${code}\` | ${meaning} |`)
  .join('\n')}
`;
}

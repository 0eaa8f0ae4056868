import { oneLine } from './terminal-text.js';

/** Text as Markdown shows it literally, inside a table cell too. */
export function plain(text: string): string {
  return oneLine(text).replace(/[\\`*_{}[\]<>#|~&!]/g, (sign) =>
    sign === '<' ? '&lt;' : sign === '&' ? '&amp;' : `\\${sign}`,
  );
}

/** Text as a Markdown code span: the fence is longer than any run of backticks inside (CommonMark 6.1). */
export function code(text: string): string {
  const content = oneLine(text).replace(/\|/g, '\\|');
  const longest = Math.max(0, ...[...content.matchAll(/`+/g)].map((m) => m[0].length));
  const fence = '`'.repeat(longest + 1);
  const pad = content.startsWith('`') || content.endsWith('`') ? ' ' : '';
  return `${fence}${pad}${content}${pad}${fence}`;
}

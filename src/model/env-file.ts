/** What a file of environment variables says, with what could not be read in it. */
export interface EnvFile {
  /** In their order; of a name that stands there twice, the last value. */
  values: Record<string, string>;
  /** 1-based lines that are no assignment. */
  unread: number[];
}

const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };

const assignment = /^\s*(?:export\s+)?([A-Za-z_][\w.-]*)\s*=[^\S\n]*(.*)$/s;

/** A value whose quotes go over several lines takes the rest of the text with it; `null` where they are never closed. */
function quoted(quote: string, rest: string): { value: string; used: number } | null {
  const shape = quote === "'" ? /^'([^']*)'/ : /^"((?:[^"\\]|\\.)*)"/s;
  const match = shape.exec(rest);
  return match === null ? null : { value: match[1]!, used: match[0].length };
}

/**
 * Reads a file of environment variables as Compose does (its `.env` and `env_file`): `NAME=value`, `export NAME=value`, comments,
 * single quotes for what stands as it is, double quotes with escapes; elsewhere a blank and `#` begin a comment. `${NAME}` and
 * `$NAME` are replaced by what stands before in the file, or in `known`. A name alone takes its value from an environment that
 * has no part here, and is left out. Never throws.
 */
export function parseEnvFile(text: string, known: Readonly<Record<string, string>> = {}): EnvFile {
  const values: Record<string, string> = {};
  const unread: number[] = [];
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  const look = (name: string): string => values[name] ?? known[name] ?? '';
  const replaced = (value: string): string =>
    value.replace(
      /\\\$|\$(?:\{(\w+)(?::?-([^}]*))?\}|(\w+))/g,
      (all, braced: string | undefined, fallback: string | undefined, bare: string | undefined) =>
        all === '\\$' ? '$' : look((braced ?? bare)!) || (fallback ?? ''),
    );
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at]!;
    if (/^\s*(?:#|$)/.test(line) || /^\s*(?:export\s+)?[A-Za-z_][\w.-]*\s*$/.test(line)) continue;
    const [, name, given] = assignment.exec(line) ?? [];
    if (name === undefined || given === undefined) {
      unread.push(at + 1);
      continue;
    }
    const quote = given[0];
    if (quote !== "'" && quote !== '"') {
      values[name] = replaced(given.replace(/(?:^|\s)#.*$/, '').trimEnd());
      continue;
    }
    const rest = [given, ...lines.slice(at + 1)].join('\n');
    const found = quoted(quote, rest);
    if (found === null) {
      unread.push(at + 1);
      continue;
    }
    values[name] =
      quote === "'"
        ? found.value
        : replaced(found.value.replace(/\\([^$])/g, (_, letter: string) => escapes[letter] ?? letter));
    at += rest.slice(0, found.used).split('\n').length - 1;
  }
  return { values, unread };
}

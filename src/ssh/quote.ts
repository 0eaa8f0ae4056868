import { NetrigError } from '../errors.js';

/**
 * Words that every POSIX shell takes as they stand, wherever they are. `=` only after a dash, where it can't make an
 * assignment; no `~`, no glob, no brace, nothing outside ASCII (locales differ in what they call a blank).
 */
const plainWord = /^(?:[A-Za-z0-9_./:@%+,-]+|--?[A-Za-z0-9_-]+=[A-Za-z0-9_./:@%+,=-]*)$/;

/** Words that a shell takes for syntax where a command name stands: those of POSIX.1-2024 2.4 and of bash and ksh. */
const reservedWords = new Set([
  'case',
  'coproc',
  'do',
  'done',
  'elif',
  'else',
  'esac',
  'fi',
  'for',
  'function',
  'if',
  'in',
  'namespace',
  'select',
  'then',
  'time',
  'until',
  'while',
]);

/**
 * One word of a POSIX shell command line that means exactly `text`: nothing in it is expanded, split or interpreted.
 * Left bare when it needs no quotes, so that command lines in reports read as a person would type them.
 * Throws NETRIG_USAGE when `text` holds a NUL, which no argument of a process can hold.
 */
export function quoteArg(text: string): string {
  rejectNul(text);
  return plainWord.test(text) && !reservedWords.has(text) ? text : singleQuoted(text);
}

/**
 * A command line that runs `argv`, each element one word, nothing interpreted. The first one is looked up as any command is,
 * which in a shell includes its builtins (`echo`, `kill`, `test`).
 * Throws NETRIG_USAGE when `argv` is empty or holds a NUL.
 */
export function quoteArgv(argv: readonly string[]): string {
  if (argv.length === 0) throw new NetrigError('NETRIG_USAGE', 'a command needs at least one word, its program');
  return argv.map(quoteArg).join(' ');
}

function singleQuoted(text: string): string {
  // Inside single quotes nothing is special but the quote itself: close, write one escaped, open again.
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function rejectNul(text: string): void {
  const at = text.indexOf('\0');
  if (at >= 0) {
    throw new NetrigError(
      'NETRIG_USAGE',
      `an argument of a command holds a NUL character, at index ${at}: ${JSON.stringify(text.slice(0, 80))}`,
      {
        hint: 'A process takes its arguments as NUL-terminated strings: hand such data over by stdin or in a file.',
      },
    );
  }
}

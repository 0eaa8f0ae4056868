/** A word of a command line, quotes taken away. */
export interface LiteralWord {
  text: string;
  /** `false`: the shell puts (the rest of) it together; `text` is what stands before that. */
  literal: boolean;
}

export interface SimpleCommand {
  words: LiteralWord[];
  /** It stands in a condition, after `!` or before `||`: what runs the script goes on where it fails. */
  mayFail: boolean;
}

const reserved = new Set(['do', 'then', 'else', '{', 'time', '!', 'if', 'elif', 'while', 'until']);
const conditions = new Set(['!', 'if', 'elif', 'while', 'until']);

interface Reading {
  text: string;
  at: number;
  commands: SimpleCommand[];
  /** Ends of here-documents that begin on the present line. */
  documents: string[];
}

/**
 * The simple commands of a shell script (POSIX.1-2017, 2.9.1), those of `$(…)` among them, as far as they stand there in so many
 * words. Bodies of here-documents are text and no commands. What cannot be read (a quote without its end) ends the reading.
 */
export function simpleCommands(script: string): SimpleCommand[] {
  const reading: Reading = { text: script.replace(/\\\n/g, ''), at: 0, commands: [], documents: [] };
  while (reading.at < reading.text.length) if (!readList(reading, false)) break;
  return reading.commands;
}

/** Reads up to the end, or to the `)` that ends a substitution; `false` where it cannot be read on. */
function readList(reading: Reading, nested: boolean): boolean {
  let words: LiteralWord[] = [];
  const finish = (operator: string): void => {
    if (words.length > 0) reading.commands.push(commandOf(words, operator));
    words = [];
  };
  while (reading.at < reading.text.length) {
    const rest = reading.text.slice(reading.at);
    const blank = /^[ \t\r]+/.exec(rest);
    if (blank) reading.at += blank[0].length;
    else if (rest.startsWith('#')) reading.at += /^[^\n]*/.exec(rest)![0].length;
    else if (rest.startsWith('\n')) {
      finish('\n');
      reading.at += 1;
      skipDocuments(reading);
    } else {
      const redirection = /^\d*(?:<<-?|<<<|>>|<>|>\||[<>]&|&>>?|[<>])/.exec(rest);
      const operator = /^(?:&&|\|\||;;|\|&|[;&|()])/.exec(rest);
      if (redirection) {
        if (!readRedirection(reading, redirection[0])) return false;
      } else if (operator) {
        reading.at += operator[0].length;
        finish(operator[0]);
        if (operator[0] === ')' && nested) return true;
      } else {
        const word = readWord(reading);
        if (word === null) return false;
        words.push(word);
      }
    }
  }
  finish('\n');
  return true;
}

function commandOf(all: LiteralWord[], operator: string): SimpleCommand {
  let mayFail = operator === '||';
  let first = 0;
  for (; first < all.length; first += 1) {
    const { text, literal } = all[first]!;
    if (!literal && !/^[A-Za-z_]\w*=/.test(text)) break;
    if (conditions.has(text)) mayFail = true;
    else if (!reserved.has(text) && !/^[A-Za-z_]\w*=/.test(text)) break;
  }
  return { words: all.slice(first), mayFail };
}

function readRedirection(reading: Reading, operator: string): boolean {
  reading.at += operator.length;
  reading.at += /^[ \t]*/.exec(reading.text.slice(reading.at))![0].length;
  const target = readWord(reading);
  if (target === null) return false;
  if (/<<-?$/.test(operator)) reading.documents.push(target.text);
  return true;
}

function skipDocuments(reading: Reading): void {
  for (const end of reading.documents.splice(0)) {
    for (;;) {
      const stop = reading.text.indexOf('\n', reading.at);
      const line = reading.text.slice(reading.at, stop < 0 ? undefined : stop);
      reading.at = stop < 0 ? reading.text.length : stop + 1;
      if (line.replace(/^\t+/, '') === end || stop < 0) break;
    }
  }
}

/** A word from here to the next blank or operator; `null` where a quote has no end. */
function readWord(reading: Reading): LiteralWord | null {
  let text = '';
  let literal = true;
  const add = (more: string): void => void (text += literal ? more : '');
  for (;;) {
    const sign = reading.text[reading.at];
    if (sign === undefined || /[\s;&|()<>]/.test(sign)) return { text, literal };
    if (sign === '\\') {
      add(reading.text[reading.at + 1] ?? '');
      reading.at += 2;
    } else if (sign === "'") {
      const end = reading.text.indexOf("'", reading.at + 1);
      if (end < 0) return null;
      add(reading.text.slice(reading.at + 1, end));
      reading.at = end + 1;
    } else if (sign === '"') {
      const part = readQuoted(reading);
      if (part === null) return null;
      add(part.text);
      literal &&= part.literal;
    } else if (sign === '$' || sign === '`') {
      literal = false;
      if (!skipExpansion(reading)) return null;
    } else {
      add(sign);
      reading.at += 1;
    }
  }
}

function readQuoted(reading: Reading): LiteralWord | null {
  let text = '';
  let literal = true;
  reading.at += 1;
  for (;;) {
    const sign = reading.text[reading.at];
    if (sign === undefined) return null;
    if (sign === '$' || sign === '`') {
      literal = false;
      if (!skipExpansion(reading)) return null;
      continue;
    }
    reading.at += 1;
    if (sign === '"') return { text, literal };
    const escaped = sign === '\\' && /["$`\\]/.test(reading.text[reading.at] ?? '');
    if (literal) text += escaped ? reading.text[reading.at] : sign;
    if (escaped) reading.at += 1;
  }
}

/** Goes over `$name`, `${…}`, `$((…))`, `` `…` ``; commands in `$(…)` are read. */
function skipExpansion(reading: Reading): boolean {
  const rest = reading.text.slice(reading.at);
  const simple = /^(?:\$\{[^{}]*\}|\$\(\([^()]*(?:\([^()]*\)[^()]*)*\)\)|\$\w+|\$[@*#?$!-]|`[^`]*`)/.exec(rest);
  if (simple) reading.at += simple[0].length;
  else if (rest.startsWith('$(')) {
    reading.at += 2;
    return readList(reading, true);
  } else if (rest.startsWith('${') || rest.startsWith('`')) return false;
  else reading.at += 1;
  return true;
}

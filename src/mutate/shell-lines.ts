/** A command of a script: one line, a line that goes on after a backslash, a here-document with its body, or a whole loop. */
export interface ScriptCommand {
  start: number;
  /** After its line break, where there is one. */
  end: number;
  text: string;
}

const opening = /^(?:if|for|while|until|case|select)\b|^\{(?:\s|$)|^\(\s*$|\(\)\s*\{\s*$/;
const closing = /^(?:fi|done|esac)\b|^[})]/;
/** Closed on the line that opened it: `for i in 1 2; do x; done`. */
const closedAtOnce = /\b(?:fi|done|esac)\s*(?:[|>&;].*)?$|[})]\s*$/;
const heredoc = /<<-?\s*(['"]?)([A-Za-z_]\w*)\1/;

/** Splits a script into its commands, comments and blank lines left out. Strict shell parsing is not needed: what is cut wrong fails its step. */
export function scriptCommands(script: string): ScriptCommand[] {
  const commands: ScriptCommand[] = [];
  let at = 0;
  const line = (): string | null => {
    if (at >= script.length) return null;
    const end = script.indexOf('\n', at);
    const text = script.slice(at, end < 0 ? script.length : end);
    at = end < 0 ? script.length : end + 1;
    return text;
  };
  for (let start = at, text = line(); text !== null; start = at, text = line()) {
    if (text.trim() === '' || text.trim().startsWith('#')) continue;
    let last: string | null = text;
    let whole = text;
    let depth = opening.test(text.trim()) && !closedAtOnce.test(text.trim()) ? 1 : 0;
    const take = (): void => {
      last = line();
      if (last !== null) whole += `\n${last}`;
    };
    const document = heredoc.exec(text);
    if (document) while (last !== null && last.trim() !== document[2]) take();
    while (last !== null && (last as string).endsWith('\\')) take();
    // A quoted text that runs over several lines belongs to its command.
    while (last !== null && openQuote(whole)) take();
    while (last !== null && depth > 0) {
      take();
      const inner = (last ?? '').trim();
      if (closing.test(inner)) depth -= 1;
      else if (opening.test(inner) && !closedAtOnce.test(inner)) depth += 1;
    }
    commands.push({ start, end: at, text: whole });
  }
  return commands;
}

function openQuote(text: string): boolean {
  if (heredoc.test(text)) return false;
  let quote = '';
  for (let at = 0; at < text.length; at += 1) {
    const sign = text[at]!;
    if (sign === '\\' && quote !== "'") at += 1;
    else if (quote !== '') {
      if (sign === quote) quote = '';
    } else if (sign === "'" || sign === '"') quote = sign;
    else if (sign === '#' && /\s/.test(text[at - 1] ?? ' ')) {
      const end = text.indexOf('\n', at);
      if (end < 0) return false;
      at = end;
    }
  }
  return quote !== '';
}

/** A word of a command line with its place; quotes are part of it. */
export interface ShellWord {
  text: string;
  start: number;
  end: number;
}

export function shellWords(text: string): ShellWord[] {
  return [...text.matchAll(/(?:'[^']*'|"(?:\\[^]|[^"\\])*"|\\[^]|[^\s'"\\;|&()<>])+/g)].map((match) => ({
    text: match[0],
    start: match.index,
    end: match.index + match[0].length,
  }));
}

const shows = [
  /^(?:ls|cat|true|:|pwd|sleep|wait|set|tcpdump|ping|curl|wget|dig|nslookup|host|grep|test|\[)(?:\s|$)/,
  /^(?:echo|printf)\s/,
  /^docker\s+(?:ps|images|info|version|logs|inspect|port|top|(?:network|container|volume|node|service|image)\s+(?:ls|inspect|ps))\b/,
  /^ip\s+(?:-\S+\s+)*(?:a|addr|address|r|route|l|link|n|neigh|rule)(?:\s+(?:show|list|get)\b.*)?$/,
  /^brctl\s+show/,
  /^(?:iptables|ip6tables)\s+(?:-t\s+\w+\s+)?(?:-S|-L|-nL|-nvL|--list)\b/,
  /^systemctl\s+(?:status|show|is-active|cat)\b/,
  /^(?:until|while\s+!)\s/,
  /^timeout\s+\S+\s+(?:sh|bash)\s+-c\s+['"](?:until|while)\b/,
  /^docker\s+wait\b/,
];

/** Whether a command only shows, asks or waits: leaving it out changes no configuration. */
export function onlyShows(command: string): boolean {
  const text = command.trim();
  // What goes into a file or through a pipe may well configure.
  if (/(?:^|[^<>&\d])>>?(?!\s*(?:\/dev\/null|&))|\|/.test(text.replace(/\|\|.*$/s, ''))) return false;
  return !/&&|;/.test(text.replace(/^(?:until|while)[^]*$/, '')) && shows.some((pattern) => pattern.test(text));
}

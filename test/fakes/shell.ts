/** What netrig composes for a host's shell, taken apart again: enough for the fake lab, and no more than netrig writes. */

/** The words of a simple POSIX command line; quotes and backslashes are undone, nothing is expanded. */
function shellWords(text: string): string[] {
  const words: string[] = [];
  let word: string | null = null;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at]!;
    if (char === "'") {
      const end = text.indexOf("'", at + 1);
      word = (word ?? '') + text.slice(at + 1, end);
      at = end;
    } else if (char === '"') {
      const end = text.indexOf('"', at + 1);
      word = (word ?? '') + text.slice(at + 1, end);
      at = end;
    } else if (char === '\\') {
      word = (word ?? '') + (text[at + 1] ?? '');
      at += 1;
    } else if (/\s/.test(char)) {
      if (word !== null) words.push(word);
      word = null;
    } else word = (word ?? '') + char;
  }
  return word === null ? words : [...words, word];
}

/** The argv of the program that a line runs, without assignments before it. */
export function commandOf(shell: string): string[] {
  const words = shellWords(shell.trim());
  return words.slice(words.findIndex((word) => !/^[A-Za-z_]\w*=/.test(word)));
}

/** Where `nsenter` leads, `null` for the host itself, and what runs there. */
export interface Entered {
  where: { pid: number } | { path: string } | null;
  argv: string[];
}

export function entered(argv: readonly string[]): Entered {
  if (argv[0] !== 'nsenter') return { where: null, argv: [...argv] };
  const rest = argv.slice(argv.indexOf('--') + 1);
  const path = argv.find((word) => word.startsWith('--net='));
  return {
    where: path === undefined ? { pid: Number(argv[argv.indexOf('-t') + 1]) } : { path: path.slice('--net='.length) },
    argv: rest,
  };
}

export interface ComposedPart {
  name: string;
  shell: string;
  apart: boolean;
}

/** A script as `composeScript` writes it; `null` for any other shell text. */
export function composedScript(text: string): { mark: string; prelude: string; parts: ComposedPart[] } | null {
  const mark = /printf '\\n(@@[0-9a-f]{10}) /.exec(text)?.[1];
  if (mark === undefined) return null;
  const together = [...text.matchAll(/\{ \{ ([\s\S]*?)\n\}; echo \$\? >"\$d\/([a-z0-9.-]+)\.s"; \}/g)];
  const rest = together.length === 0 ? text : text.slice(text.indexOf('rm -rf "$d"') + 'rm -rf "$d"'.length);
  const inTurn = [
    // At the beginning of a line: functions before the parts have braces, too.
    ...rest.matchAll(/^\{ ([\s\S]*?)\n\}( 2>&1)?; s=\$\?; printf '\\n@@[0-9a-f]{10} ([a-z0-9.-]+) %d\\n' "\$s"/gm),
  ];
  return {
    mark,
    prelude: text.slice(0, together[0]?.index ?? inTurn[0]?.index ?? 0),
    parts: [
      ...together.map((match) => ({ shell: match[1]!, name: match[2]!, apart: false })),
      ...inTurn.map((match) => ({ shell: match[1]!, name: match[3]!, apart: match[2] === undefined })),
    ],
  };
}

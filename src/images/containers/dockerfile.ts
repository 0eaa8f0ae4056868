import { shown } from '../../language/wording.js';
import { parseReference } from './reference.js';

/** An instruction of a Dockerfile, its continuation lines joined. */
export interface DockerfileInstruction {
  /** 1-based line where it begins. */
  line: number;
  /** In capitals: `FROM`, `RUN`. */
  keyword: string;
  /** As it stands in the file. */
  text: string;
  /** Here-documents follow it. */
  here?: true;
}

/** An image that a Dockerfile stands on or copies from. */
export interface DockerfileImage {
  line: number;
  /** As the file names it, variables replaced. */
  reference: string;
}

/** A here-document of an instruction: the line that ends it, and whether tabs may stand before that. */
interface HereDocument {
  end: string;
  tabs: boolean;
}

/** The here-documents that an instruction begins (`RUN <<EOF`, `COPY <<-"a" /a`), in their order. */
function hereDocuments(text: string): HereDocument[] {
  if (!/^(?:ONBUILD\s+)?(?:ADD|COPY|RUN)\s/i.test(text)) return [];
  return text.split(/\s+/).flatMap((word) => {
    const [, dash, , end] = /^\d*<<(-?)(["']?)([^\s"'<]+)\2$/.exec(word) ?? [];
    return end === undefined ? [] : [{ end, tabs: dash === '-' }];
  });
}

/** The line on which the last here-document ends; `at` where one has no end, and so is none. */
function lastHereLine(lines: readonly string[], at: number, documents: readonly HereDocument[]): number {
  let last = at;
  for (const { end, tabs } of documents) {
    do last += 1;
    while (last < lines.length && (tabs ? lines[last]!.replace(/^\t+/, '') : lines[last]) !== end);
    if (last === lines.length) return at;
  }
  return last;
}

/** The sign that continues a line: directives stand before everything else, also before other comments. */
function escapeSign(lines: readonly string[]): string {
  for (const line of lines) {
    const [, name, value] = /^#\s*([a-z][a-z0-9]*)\s*=\s*(.+?)\s*$/i.exec(line) ?? [];
    if (name === undefined) break;
    if (name.toLowerCase() === 'escape') return value === '`' ? '`' : '\\';
  }
  return '\\';
}

/** Lines of a Dockerfile; a byte order mark is none of its text. */
function linesOf(text: string): string[] {
  return text.replace(/^\ufeff/, '').split(/\r?\n/);
}

/** Splits a Dockerfile into its instructions; parser directives, comments and here-documents are left out. Never throws. */
export function dockerfileInstructions(text: string): DockerfileInstruction[] {
  const lines = linesOf(text);
  const sign = escapeSign(lines);
  /** The text of a line that goes on, as BuildKit's parser tells them; `null`: it does not. Two signs are one that is meant. */
  const continued = (line: string): string | null => {
    const bare = line.replace(/[ \t]+$/, '');
    return bare.endsWith(sign) && bare.at(-2) !== sign ? bare.slice(0, -1) : null;
  };
  const found: DockerfileInstruction[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    if (empty.test(lines[at]!)) continue;
    const line = at + 1;
    let whole = '';
    let next = lines[at]!.trimStart();
    for (let more = continued(next); more !== null; more = continued(next)) {
      whole += more;
      // Comments and blank lines inside an instruction do not end it.
      do at += 1;
      while (at < lines.length && empty.test(lines[at]!));
      next = lines[at] ?? '';
    }
    whole = (whole + next).trim();
    const keyword = /^[A-Za-z]+/.exec(whole)?.[0].toUpperCase() ?? '';
    const last = lastHereLine(lines, at, hereDocuments(whole));
    found.push({ line, keyword, text: whole, ...(last > at ? { here: true as const } : {}) });
    at = last;
  }
  return found;
}

/** A comment, or nothing. */
const empty = /^\s*(?:#|$)/;

/**
 * `$name`, `${name}`, `${name:-default}` and `${name:+other}` by values, as BuildKit replaces them: a variable without a value is
 * empty.
 */
function replaced(text: string, values: ReadonlyMap<string, string>): string {
  return text.replace(
    /\$(?:\{(\w+)(?:(:?)([-+])([^${}]*))?\}|(\w+))/g,
    (_, braced: string, colon: string, sign: string, word: string, bare: string) => {
      const value = values.get(braced ?? bare);
      const set = value !== undefined && (colon !== ':' || value !== '');
      if (sign === '+') return set ? word : '';
      return set ? value : (word ?? '');
    },
  );
}

/** What `FROM` may name without an `ARG`. */
function platformArguments(): [string, string][] {
  const os = 'linux';
  const arch = process.arch === 'x64' ? 'amd64' : process.arch;
  return ['BUILD', 'TARGET'].flatMap((of): [string, string][] => [
    [`${of}PLATFORM`, `${os}/${arch}`],
    [`${of}OS`, os],
    [`${of}ARCH`, arch],
  ]);
}

/** The words of an instruction: the flags that stand directly behind its keyword, and the rest. */
export function wordsOf({ text }: Pick<DockerfileInstruction, 'text'>): { flags: string[]; rest: string[] } {
  const words = text.split(/\s+/).slice(1);
  const first = words.findIndex((word) => !word.startsWith('--'));
  const end = first < 0 ? words.length : first;
  return { flags: words.slice(0, end), rest: words.slice(end) };
}

/** Stages and images that an instruction takes files from, as it names them: `COPY --from=`, `RUN --mount=…,from=`. */
export function takenFrom(instruction: Pick<DockerfileInstruction, 'keyword' | 'text'>): string[] {
  const { keyword } = instruction;
  const flag = keyword === 'RUN' ? /^--mount=(?:\S*,)?from=([^,]+)/ : keyword === 'COPY' ? /^--from=(.+)/ : null;
  if (flag === null) return [];
  return wordsOf(instruction).flags.flatMap((word) => flag.exec(word)?.[1] ?? []);
}

function notAnImage(text: string, values: ReadonlyMap<string, string>): string {
  const [, name] = /\$\{?(\w+)/.exec(text) ?? [];
  return name !== undefined && !values.has(name)
    ? `FROM names its image by a variable without a value: ${text}`
    : `${shown(text)} is no reference of a container image`;
}

export type DockerfileRead = { images: DockerfileImage[]; text: string } | { problem: string; line: number };

/**
 * The images that a Dockerfile needs, stages of its own left out (`FROM`, `COPY --from=`, `RUN --mount=…,from=`), and its text
 * without a `# syntax=` line, which would have a frontend fetched from a registry; `renamed` says what an image is called where
 * the build runs.
 */
export function readDockerfile(
  text: string,
  buildArguments: Readonly<Record<string, string>>,
  renamed: (reference: string) => string = (reference) => reference,
): DockerfileRead {
  const values = new Map(platformArguments());
  const stages = new Set<string>();
  const images: DockerfileImage[] = [];
  const lines = linesOf(text).map((line) => line.replace(/^#\s*syntax\s*=.*$/i, '#'));
  let begun = false;
  /** Answers whether it is the name of an image. */
  const need = (reference: string, line: number): boolean => {
    if (reference === 'scratch' || /^\d+$/.test(reference) || stages.has(reference.toLowerCase())) return true;
    if (parseReference(reference) === null) return false;
    images.push({ line, reference });
    const name = renamed(reference);
    if (name !== reference) lines[line - 1] = lines[line - 1]!.replace(reference, name);
    return true;
  };
  for (const { keyword, line, text: whole } of dockerfileInstructions(text)) {
    const { rest } = wordsOf({ text: whole });
    if (keyword === 'ARG' && !begun) {
      for (const word of rest) {
        const [name = '', value] = word.split(/=(.*)/s);
        const given = buildArguments[name] ?? (value && replaced(value.replace(/^(["'])(.*)\1$/, '$2'), values));
        if (given !== undefined) values.set(name, given);
      }
    } else if (keyword === 'FROM') {
      begun = true;
      const [image, as, stage] = rest;
      if (image === undefined) return { problem: 'FROM names no image', line };
      if (!need(replaced(image, values), line)) return { problem: notAnImage(image, values), line };
      if (as?.toLowerCase() === 'as' && stage !== undefined) stages.add(stage.toLowerCase());
    } else
      for (const reference of takenFrom({ keyword, text: whole }))
        if (!reference.includes('$') && !need(reference, line)) return { problem: notAnImage(reference, values), line };
  }
  return begun ? { images, text: lines.join('\n') } : { problem: 'there is no FROM in it', line: 1 };
}

const collapsed = (text: string): string => text.replace(/\s+/g, '');

/** What a failed build says, from BuildKit's plain progress. */
export interface BuildFailure {
  /** Of the Dockerfile; `null` where it does not say. */
  line: number | null;
  /** The instruction, or what is wrong. */
  what: string;
  /** What its command wrote last. */
  output: string[];
}

const keptLines = 10;

/** BuildKit says the command once more before its exit status. */
function reasonOf(text: string): string {
  const status = /^(?:executor failed running|process) .*(?:exit code: |exit code )(\d+)$/s.exec(text)?.[1];
  return status === undefined ? text : `exited with ${status}`;
}

/** Why a step could not be done, as far as its words tell: it asked for something outside, or for a file that the context lacks. */
export type MissedBy = 'network' | 'context' | null;

const missingInContext = /"[^"]*" not found|failed to calculate checksum[^\n]*not found|no source files were specified/;

/** As resolvers, curl, wget, apt, apk, pip, npm, go and git put it. */
const networkWords =
  /resolv|getaddrinfo|bad address|no such host|name or service not known|ENOTFOUND|EAI_AGAIN|temporary (?:failure|error)|network is unreachable|connect(?:ion)? .*(?:refused|timed out|failed)|could not connect|unable to (?:connect|fetch|access)|failed to (?:fetch|connect|establish)|dial tcp|no route to host/i;

/** What the output of `docker build --progress=plain` says of the step that failed. */
export function missedBy(output: string): MissedBy {
  const failed = /^#(\d+) ERROR: (.*)$/m.exec(output);
  if (missingInContext.test(failed?.[2] ?? output)) return 'context';
  if (!failed) return null;
  const lines = output.split('\n').filter((line) => line.startsWith(`#${failed[1]} `));
  // The step's own text may well speak of networks.
  const said = lines.filter((line) => !/^#\d+ \[/.test(line)).join('\n');
  return networkWords.test(said.replace(/(?:executor failed running|process) .*/g, '')) ? 'network' : null;
}

/** Reads the output of `docker build --progress=plain` that failed. */
export function buildFailure(output: string, instructions: readonly DockerfileInstruction[]): BuildFailure {
  const parse = /dockerfile parse error (?:on )?line (\d+): (.*)/i.exec(output);
  if (parse) return { line: Number(parse[1]), what: parse[2]!.trim(), output: [] };
  const failed = /^#(\d+) ERROR: (.*)$/m.exec(output);
  const all = output.trimEnd().split('\n');
  if (!failed) return { line: null, what: all.at(-1)?.trim() ?? 'it said nothing', output: [] };
  const number = failed[1]!;
  const step = new RegExp(`^#${number} \\[[^\\]]*\\] (.*)$`, 'm').exec(output)?.[1] ?? '';
  const found = instructions.find(({ text }) => collapsed(text) === collapsed(step));
  const own = new RegExp(`^#${number} \\d+\\.\\d+ (.*)$`);
  const said = all.flatMap((line) => own.exec(line)?.[1] ?? []).slice(-keptLines);
  return { line: found?.line ?? null, what: `${step === '' ? '' : `${step}: `}${reasonOf(failed[2]!)}`, output: said };
}

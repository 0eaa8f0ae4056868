/** An instruction of a Dockerfile, its continuation lines joined. */
export interface DockerfileInstruction {
  /** 1-based line where it begins. */
  line: number;
  /** In capitals: `FROM`, `RUN`. */
  keyword: string;
  /** As it stands in the file. */
  text: string;
}

/** An image that a Dockerfile stands on or copies from. */
export interface DockerfileImage {
  line: number;
  /** As the file names it, variables replaced. */
  reference: string;
}

/** Splits a Dockerfile into its instructions; parser directives and comments are left out. Never throws. */
export function dockerfileInstructions(text: string): DockerfileInstruction[] {
  const lines = text.split(/\r?\n/);
  const escape = /^#\s*escape\s*=\s*`\s*$/im.test(lines.slice(0, 3).join('\n')) ? '`' : '\\';
  const found: DockerfileInstruction[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    const first = lines[at]!;
    if (/^\s*(?:#|$)/.test(first)) continue;
    const line = at + 1;
    let whole = first.trim();
    // Comments and blank lines inside an instruction do not end it.
    while (whole.endsWith(escape) && at + 1 < lines.length) {
      at += 1;
      if (!/^\s*(?:#|$)/.test(lines[at]!)) whole = `${whole.slice(0, -1)}${lines[at]!.trimEnd()}`;
    }
    const keyword = /^[A-Za-z]+/.exec(whole)?.[0].toUpperCase() ?? '';
    found.push({ line, keyword, text: whole });
  }
  return found;
}

/** `$name`, `${name}` and `${name:-default}` by values; `null` where one has none. */
function replaced(text: string, values: ReadonlyMap<string, string>): string | null {
  let missing = false;
  const out = text.replace(
    /\$(?:\{(\w+)(?::-([^}]*))?\}|(\w+))/g,
    (_, braced: string, fallback: string, bare: string) => {
      const value = values.get(braced ?? bare) ?? fallback;
      if (value === undefined) missing = true;
      return value ?? '';
    },
  );
  return missing ? null : out;
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
  const values = new Map<string, string>();
  const stages = new Set<string>();
  const images: DockerfileImage[] = [];
  const lines = text.split(/\r?\n/).map((line) => line.replace(/^#\s*syntax\s*=.*$/i, '#'));
  let begun = false;
  const need = (reference: string, line: number): void => {
    if (reference === 'scratch' || /^\d+$/.test(reference) || stages.has(reference.toLowerCase())) return;
    images.push({ line, reference });
    const name = renamed(reference);
    if (name !== reference) lines[line - 1] = lines[line - 1]!.replace(reference, name);
  };
  for (const { keyword, line, text: whole } of dockerfileInstructions(text)) {
    const words = whole.split(/\s+/).slice(1);
    if (keyword === 'ARG' && !begun) {
      for (const word of words) {
        const [name = '', value] = word.split(/=(.*)/s);
        const given = buildArguments[name] ?? value?.replace(/^(["'])(.*)\1$/, '$2');
        if (given !== undefined) values.set(name, given);
      }
    } else if (keyword === 'FROM') {
      begun = true;
      const [image, as, stage] = words.filter((word) => !word.startsWith('--'));
      if (image === undefined) return { problem: 'FROM names no image', line };
      const reference = replaced(image, values);
      if (reference === null) return { problem: `FROM names its image by a variable without a value: ${image}`, line };
      need(reference, line);
      if (as?.toLowerCase() === 'as' && stage !== undefined) stages.add(stage.toLowerCase());
    } else
      for (const [, reference] of whole.matchAll(/\s--(?:from=|mount=\S*\bfrom=)([^\s,]+)/g))
        if (!reference!.includes('$')) need(reference!, line);
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

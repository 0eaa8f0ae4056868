import { lstatSync } from 'node:fs';
import { join, posix } from 'node:path';
import { shown, suggestion } from '../../language/wording.js';
import {
  dockerfileInstructions,
  readDockerfile,
  takenFrom,
  wordsOf,
  type DockerfileInstruction,
} from './dockerfile.js';

/** What is wrong with a Dockerfile, and on which of its lines. */
export interface DockerfileMistake {
  line: number;
  message: string;
}

/** As in the reference of Dockerfiles; `MAINTAINER` is deprecated and still taken. */
const keywords: readonly string[] = [
  'ADD',
  'ARG',
  'CMD',
  'COPY',
  'ENTRYPOINT',
  'ENV',
  'EXPOSE',
  'FROM',
  'HEALTHCHECK',
  'LABEL',
  'MAINTAINER',
  'ONBUILD',
  'RUN',
  'SHELL',
  'STOPSIGNAL',
  'USER',
  'VOLUME',
  'WORKDIR',
];

/** Flags that the engine knows which builds Dockerfiles: BuildKit of Docker 20.10. Seen there: others are parse errors. */
const knownFlags: Readonly<Record<string, readonly string[]>> = {
  ADD: ['chmod', 'chown'],
  COPY: ['chmod', 'chown', 'from'],
  FROM: ['platform'],
  RUN: ['mount', 'network', 'security'],
};

/** What came into Dockerfiles after the engine that builds them: each is an error wherever it stands. */
function tooNew(instruction: DockerfileInstruction): DockerfileMistake[] {
  const { line, keyword, here } = instruction;
  if (here)
    return [
      {
        line,
        message: `here-documents (\`<<\`) are newer than Docker 20.10, which builds it: ${keyword === 'RUN' ? 'join the commands by `&& \\`' : 'put the text into a file beside the Dockerfile'}`,
      },
    ];
  const known = knownFlags[keyword];
  return wordsOf(instruction).flags.flatMap((flag) => {
    const [, name] = /^--([a-z][a-z-]*)(?:=|$)/.exec(flag) ?? [];
    if (known === undefined || name === undefined || known.includes(name)) return [];
    const guess = suggestion(name, known);
    return [{ line, message: `Docker 20.10, which builds it, knows no flag \`--${name}\` of ${keyword}${guess}` }];
  });
}

/** Instructions of a stage, with the names and numbers of stages that it stands on or takes from. */
interface Stage {
  name: string | null;
  instructions: DockerfileInstruction[];
  needs: string[];
}

function stagesOf(instructions: readonly DockerfileInstruction[]): Stage[] {
  const stages: Stage[] = [];
  for (const instruction of instructions) {
    if (instruction.keyword === 'FROM') {
      const [image = '', as, name] = wordsOf(instruction).rest;
      stages.push({
        name: as?.toLowerCase() === 'as' && name !== undefined ? name.toLowerCase() : null,
        instructions: [],
        needs: [image.toLowerCase()],
      });
      continue;
    }
    const stage = stages.at(-1);
    stage?.instructions.push(instruction);
    for (const other of takenFrom(instruction)) stage?.needs.push(other.toLowerCase());
  }
  return stages;
}

/** By its name, or by its number. */
function stageNamed(stages: readonly Stage[], name: string): Stage | undefined {
  return stages.find((stage) => stage.name === name) ?? (/^\d+$/.test(name) ? stages[Number(name)] : undefined);
}

/** The stages that a build of `target` surely carries out: of the others, what is wrong may never be seen. */
function builtStages(stages: readonly Stage[], target: string | null): ReadonlySet<Stage> {
  const find = (name: string): Stage | undefined => stageNamed(stages, name);
  const built = new Set<Stage>();
  const open = [target === null ? stages.at(-1) : find(target.toLowerCase())];
  for (const stage of open) {
    if (stage === undefined || built.has(stage)) continue;
    built.add(stage);
    open.push(...stage.needs.map(find));
  }
  return built;
}

/** Words that say where something comes from in another way than by a name in the context, or by one that is not certain. */
const uncertain = /["'`\\$<>[\]*?:@#]|^github\.com\/|\.git$/;

/** What `COPY` and `ADD` take from the context, as far as it is certain: no variables, patterns, quotes, addresses. */
function sourcesOf(instruction: DockerfileInstruction): string[] {
  if (instruction.keyword !== 'COPY' && instruction.keyword !== 'ADD') return [];
  const { flags, rest } = wordsOf(instruction);
  // Another place to take from.
  if (!flags.every((flag) => /^--(?:chown|chmod)=/.test(flag))) return [];
  if (rest[0]?.startsWith('[') === true) return listOf(rest.join(' ')).slice(0, -1).filter(certain);
  // A quote may hold a blank, and then the words are others.
  return rest.some((word) => /["'`\\]/.test(word)) ? [] : rest.slice(0, -1).filter(certain);
}

const certain = (source: string): boolean => !uncertain.test(source);

function listOf(text: string): string[] {
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) && list.every((one) => typeof one === 'string') ? list : [];
  } catch {
    return [];
  }
}

/** Whether something is surely not in the context. A link on the way may lead anywhere, so nothing is said of what is behind it. */
function isMissing(context: string, source: string): boolean {
  let here = context;
  // A name that begins outside of the context is taken as one inside it.
  for (const part of posix.join('/', source).split('/').filter(Boolean)) {
    here = join(here, part);
    try {
      if (lstatSync(here).isSymbolicLink()) return false;
    } catch (error) {
      return ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
    }
  }
  return false;
}

/**
 * What would keep a build from succeeding whatever it meets: unknown instructions, what is newer than the engine that builds them, files that `COPY` and `ADD` name and that the
 * context does not have, `FROM` without an image, a `target` that is no stage. Where variables, patterns, links or the stages that are built leave it open,
 * nothing is said. In the order of the lines.
 */
export function dockerfileMistakes(
  text: string,
  {
    context,
    target,
    buildArguments,
  }: {
    /** The directory, absolute. */
    context: string;
    target: string | null;
    buildArguments: Readonly<Record<string, string>>;
  },
): DockerfileMistake[] {
  const instructions = dockerfileInstructions(text);
  const unknown = instructions.flatMap(({ line, text: whole }) => {
    const word = whole.split(/\s+/)[0]!;
    if (keywords.includes(word.toUpperCase())) return [];
    return [{ line, message: `unknown instruction ${shown(word)}${suggestion(word, keywords)}` }];
  });
  // With a word that says nothing, where a stage begins is not known either.
  if (unknown.length > 0) return unknown;
  const newer = instructions.flatMap(tooNew);
  if (newer.length > 0) return newer;
  const read = readDockerfile(text, buildArguments);
  if ('problem' in read) return [{ line: read.line, message: read.problem }];
  const stages = stagesOf(instructions);
  if (target !== null && stageNamed(stages, target.toLowerCase()) === undefined) {
    const names = stages.flatMap(({ name }) => name ?? []);
    const there = names.length === 0 ? '; none of its stages has a name' : `; its stages are ${names.join(', ')}`;
    const message = `it has no stage ${shown(target)}${suggestion(target.toLowerCase(), names) || there}`;
    return [{ line: 1, message }];
  }
  const built = builtStages(stages, target);
  return stages
    .filter((stage) => built.has(stage))
    .flatMap((stage) => stage.instructions)
    .flatMap((instruction) =>
      sourcesOf(instruction)
        .filter((source) => isMissing(context, source))
        .map((source) => ({
          line: instruction.line,
          message: `${instruction.keyword} takes ${shown(source)}, which is not in the directory of the build`,
        })),
    );
}

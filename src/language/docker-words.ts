import { simpleCommands, type LiteralWord } from './shell-commands.js';

/** What the `docker` commands of a script say about images, as far as they stand there in so many words. */
export interface DockerWords {
  /** Images of `docker run`, `create` and `pull`. */
  used: string[];
  /** Those of them that `docker pull` names, and so are asked a registry for although the engine has them. */
  pulled: string[];
  /** Names that `docker build`, `tag`, `commit` and `import` give. */
  made: string[];
  /** Something is made whose name is not said: by `docker load` or `compose`, or a name that the shell puts together. */
  makesUnnamed: boolean;
}

/** Options of `docker run`, `create` and `pull` without a value (docker 20.10 to 28). */
const bare = new Set(
  `--all-tags --detach --disable-content-trust --init --interactive --no-healthcheck --oom-kill-disable --privileged
  --publish-all --quiet --read-only --rm --sig-proxy --tty --use-api-socket`.split(/\s+/),
);
const bareLetters = 'aditPq';

/** Those of them that take one. */
const valued = new Set(
  `--add-host --annotation --attach --blkio-weight --blkio-weight-device --cap-add --cap-drop --cgroup-parent --cgroupns
  --cidfile --cpu-count --cpu-percent --cpu-period --cpu-quota --cpu-rt-period --cpu-rt-runtime --cpu-shares --cpus
  --cpuset-cpus --cpuset-mems --detach-keys --device --device-cgroup-rule --device-read-bps --device-read-iops
  --device-write-bps --device-write-iops --dns --dns-opt --dns-option --dns-search --domainname --entrypoint --env
  --env-file --expose --gpus --group-add --health-cmd --health-interval --health-retries --health-start-interval
  --health-start-period --health-timeout --hostname --ip --ip6 --ipc --isolation --kernel-memory --label --label-file
  --link --link-local-ip --log-driver --log-opt --mac-address --memory --memory-reservation --memory-swap
  --memory-swappiness --mount --name --net --net-alias --network --network-alias --oom-score-adj --pid --pids-limit
  --platform --publish --pull --restart --runtime --security-opt --shm-size --stop-signal --stop-timeout --storage-opt
  --sysctl --tmpfs --ulimit --user --userns --uts --volume --volume-driver --volumes-from --workdir`.split(/\s+/),
);
const valuedLetters = 'acehlmpuvw';

/** How many words an option takes, itself among them; `null` for one that is not known, or not said. */
function optionLength({ text, literal }: LiteralWord, letters: { bare: string }): number | null {
  if (text.startsWith('--')) {
    const [name = ''] = text.split('=');
    if (text.includes('=')) return bare.has(name) || valued.has(name) ? 1 : null;
    if (!literal) return null;
    return bare.has(name) ? 1 : valued.has(name) ? 2 : null;
  }
  for (const [at, letter] of [...text.slice(1)].entries()) {
    if (letters.bare.includes(letter)) continue;
    if (!valuedLetters.includes(letter)) return null;
    return at + 2 < text.length || !literal ? 1 : 2;
  }
  return literal ? 1 : null;
}

/** The first word that is no option; `null` where that cannot be told. */
function firstArgument(words: readonly LiteralWord[], bareOnes: string): string | null {
  for (let at = 0; at < words.length;) {
    const word = words[at]!;
    if (!word.text.startsWith('-')) return word.literal ? word.text : null;
    const length = optionLength(word, { bare: bareOnes });
    if (length === null) return null;
    at += length;
  }
  return null;
}

const wrappers = new Set(['sudo', 'exec', 'command', 'nohup', 'env']);

/** What stands after `docker` where that is the program. */
function dockerArguments(words: readonly LiteralWord[]): readonly LiteralWord[] | null {
  let at = 0;
  while (words[at]?.literal && wrappers.has(words[at]!.text)) at += 1;
  if (words[at]?.text === 'timeout' && /^[\d.]+[smhd]?$/.test(words[at + 1]?.text ?? '')) at += 2;
  const program = words[at];
  return program?.literal && /^(?:\/usr\/bin\/)?docker$/.test(program.text) ? words.slice(at + 1) : null;
}

/** The names that a command gives to images; `null`: some that it does not say. */
function madeNames(verb: string, rest: readonly LiteralWord[]): (string | null)[] {
  const plain = rest.filter((word) => !/^-./.test(word.text));
  const last = (least: number): (string | null)[] => {
    const word = plain.at(-1);
    return plain.length < least ? [] : [word?.literal ? word.text : null];
  };
  switch (verb) {
    case 'build':
    case 'buildx':
      return rest.flatMap((word, at) => {
        if (/^(?:-t|--tag)$/.test(word.text)) return [rest[at + 1]?.literal ? rest[at + 1]!.text : null];
        const joined = /^(?:-t|--tag=)(.+)$/.exec(word.text)?.[1];
        return joined === undefined ? [] : [word.literal ? joined : null];
      });
    case 'tag':
    case 'commit':
    case 'import':
      return last(2);
    case 'load':
    case 'compose':
    case 'bake':
    case 'plugin':
      return [null];
    default:
      return [];
  }
}

/**
 * Reads the `docker` commands of a script. On the side of seeing too little: a command whose options are not all known, or whose
 * image the shell puts together, says nothing; neither does one that may fail (`docker run … || true`).
 */
export function dockerWords(script: string): DockerWords {
  const found: DockerWords = { used: [], pulled: [], made: [], makesUnnamed: /\bdocker-compose\b/.test(script) };
  for (const { words, mayFail } of simpleCommands(script)) {
    const given = dockerArguments(words);
    if (given === null || given.length === 0) continue;
    const grouped = given[0]!.literal && ['container', 'image', 'builder'].includes(given[0]!.text);
    const [verb, ...rest] = grouped ? given.slice(1) : given;
    if (verb === undefined || !verb.literal) continue;
    for (const name of madeNames(verb.text, rest)) {
      if (name === null) found.makesUnnamed = true;
      else found.made.push(name);
    }
    if (mayFail || !['run', 'create', 'pull'].includes(verb.text)) continue;
    const image = firstArgument(rest, verb.text === 'pull' ? bareLetters : bareLetters.replace('a', ''));
    if (image === null) continue;
    found.used.push(image);
    if (verb.text === 'pull') found.pulled.push(image);
  }
  return found;
}

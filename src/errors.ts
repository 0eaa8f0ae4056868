import { exitStatus } from './model/verdict.js';

interface ErrorEntry {
  /** What it means, one sentence. */
  meaning: string;
  /** What the reader does about it. */
  mend: string;
  exit: number;
}

const { usage, lab, failed } = exitStatus;

/** Every error that netrig raises on purpose. `docs/errors.md` is generated from this table. */
export const errorCatalogue = {
  NETRIG_USAGE: {
    meaning: 'A command was called with arguments it does not take.',
    mend: 'See `netrig COMMAND --help`.',
    exit: usage,
  },
  NETRIG_NO_SCENARIO: {
    meaning: 'No scenario file matches what was asked for.',
    mend: 'Name a `.yaml` file or a directory that holds some; `netrig init` writes a first one.',
    exit: usage,
  },
  NETRIG_IMPORT: {
    meaning: 'What is to be imported cannot be read, or is no lab of a kind that is known.',
    mend: 'Name a containerlab topology, a Kathará `lab.conf` or a Compose file; `--as` says which it is.',
    exit: usage,
  },
  NETRIG_SCENARIO_INVALID: {
    meaning: 'A scenario file has one or more mistakes; each is listed with its place.',
    mend: 'Mend the places named, then run `netrig validate FILE`.',
    exit: usage,
  },
  NETRIG_SCENARIO_READ: {
    meaning: 'A scenario file cannot be read.',
    mend: 'Check the path and its permissions.',
    exit: usage,
  },
  NETRIG_OWN_FILE: {
    meaning: 'A file beside the scenario cannot be put on a host.',
    mend: 'The message has the place in the scenario, and what is in the way.',
    exit: usage,
  },
  NETRIG_HOST_ROOT: {
    meaning: 'No host can be made of a root file system or OCI image.',
    mend: 'The message has its place in the scenario, and why; docs/foreign-hosts.md says what it takes.',
    exit: usage,
  },
  NETRIG_NOTHING_RAN: {
    meaning: 'The run ended without a single probe sent, so it proves nothing.',
    mend: 'Check `--grep`, `--tag` and the reasons of the skipped checks.',
    exit: failed,
  },
  NETRIG_CLASS_FILE: {
    meaning: 'The file of a class, its roster or one of its exercises has mistakes, or cannot be read.',
    mend: 'The message names the places; docs/class.md describes the file.',
    exit: usage,
  },
  NETRIG_CLASS_RECORD: {
    meaning: 'The record of what happened in a class cannot be written, or what stands in it is no record.',
    mend: 'Free space, or check the permissions; the message names the file and the line.',
    exit: lab,
  },
  NETRIG_CLASS_RUNNING: {
    meaning: 'A class is held by another process, or none is where one is needed.',
    mend: '`netrig class status` says what is; `netrig class stop` ends it.',
    exit: usage,
  },
  NETRIG_CLASS_LISTEN: {
    meaning: 'The server of a class cannot listen where it is told to.',
    mend: 'Choose another port by `server: { listen: … }`; the message has the kernel’s words.',
    exit: lab,
  },
  NETRIG_INVENTORY: {
    meaning:
      'The inventory of existing machines has mistakes, does not fit the scenario, or does not fit the machines.',
    mend: 'The message names the place in the file, or the machine and what it has instead; docs/ssh.md describes the file.',
    exit: usage,
  },
  NETRIG_ENGINE_UNREACHABLE: {
    meaning: 'The Docker engine that the container provider makes hosts on does not answer.',
    mend: 'Start it, or set DOCKER_HOST to where it listens; `netrig doctor` says what was tried.',
    exit: lab,
  },
  NETRIG_ENGINE_REFUSED: {
    meaning: 'The Docker engine refused what the container provider asked of it.',
    mend: 'The message has the engine’s words.',
    exit: lab,
  },
  NETRIG_VAGRANT: {
    meaning: 'Vagrant did not do what the vagrant provider asked of it.',
    mend: 'The message has Vagrant’s words.',
    exit: lab,
  },
  NETRIG_VAGRANT_PROVIDER: {
    meaning: 'Vagrant has no hypervisor here that netrig can use, or the one that it has does not work.',
    mend: 'Install VirtualBox, or libvirt with the plugin vagrant-libvirt; `netrig doctor --provider vagrant` says what was tried.',
    exit: lab,
  },
  NETRIG_BOX_MISSING: {
    meaning: 'There is no box for Vagrant to make a host of.',
    mend: '`netrig images build vagrant:IMAGE` builds one for libvirt; NETRIG_VAGRANT_BOX names one that exists (docs/vagrant.md).',
    exit: usage,
  },
  NETRIG_NO_ROOT: {
    meaning: 'The local provider makes namespaces, mounts and cgroups: it needs root, or a user with subordinate ids.',
    mend: 'Run as root; or mend what `netrig doctor` names for running without root (docs/without-root.md); or choose another provider.',
    exit: lab,
  },
  NETRIG_TOOL_MISSING: {
    meaning: 'A program that the work needs is not installed on this machine.',
    mend: 'Run `netrig doctor` to see which package has it, or `npm run quickstart` to install what is missing.',
    exit: lab,
  },
  NETRIG_IMAGE_UNKNOWN: {
    meaning: 'There is no host image of that name.',
    mend: '`netrig images list` names those that exist.',
    exit: usage,
  },
  NETRIG_PACKAGE_UNKNOWN: {
    meaning: 'A Debian package that a scenario asks for does not exist in the release of the host’s image.',
    mend: 'Mend the name, or choose an image whose release has it.',
    exit: usage,
  },
  NETRIG_IMAGE_NOT_FOUND: {
    meaning:
      'A container image that a scenario asks for cannot be had: its registry has none of that name, or does not let us read it.',
    mend: 'Mend the reference, or log in to the registry (`docker login`, `skopeo login`); the message has the registry’s words.',
    exit: lab,
  },
  NETRIG_IMAGE_DIGEST: {
    meaning: 'A registry delivered something else than the digest of the container image says.',
    mend: 'Do not use it. Ask whoever runs the registry, or name the digest of an image that you trust.',
    exit: lab,
  },
  NETRIG_IMAGE_ARCHIVE: {
    meaning: 'A file that should hold a saved container image does not.',
    mend: 'Write it with `docker save IMAGE -o FILE`, or with a tool that writes OCI archives; one image a file.',
    exit: usage,
  },
  NETRIG_LOCK: {
    meaning: 'Something that a scenario stands on is not what its lock file says.',
    mend: 'Run `netrig lock FILE` where the new one is wanted; else bring back what was locked.',
    exit: lab,
  },
  NETRIG_OFFLINE: {
    meaning:
      'Something that a scenario needs is not in the cache, and netrig was told to ask nobody for it (`--offline`).',
    mend: 'Run it once without `--offline`, where the network is.',
    exit: lab,
  },
  NETRIG_REGISTRY_UNREACHABLE: {
    meaning: 'A registry of container images does not answer.',
    mend: 'Check the network and the registry’s name. What the cache has needs no registry.',
    exit: lab,
  },
  NETRIG_DOCKERFILE: {
    meaning: 'A Dockerfile has a mistake, or one of its steps failed.',
    mend: 'The message names the line and has what the step wrote. Steps that fetch something need `outside: true` in the scenario.',
    exit: usage,
  },
  NETRIG_IMAGE_BUILD: {
    meaning: 'Building a host image failed.',
    mend: 'The message says at which step; the full log is at the path it names. Nothing half-built is kept.',
    exit: lab,
  },
  NETRIG_MIRROR_UNREACHABLE: {
    meaning: "The package mirror of this machine's own apt configuration did not answer.",
    mend: 'Check `apt-get update` on this machine; an image that is cached already needs no mirror.',
    exit: lab,
  },
  NETRIG_CACHE_FULL: {
    meaning: 'The file system of the cache has no room left.',
    mend: 'Free space, remove images by `netrig images rm`, or point XDG_CACHE_HOME elsewhere.',
    exit: lab,
  },
  NETRIG_CACHE_LOCKED: {
    meaning: 'Another netrig process holds the lock on an image for longer than the deadline.',
    mend: 'Wait for it to finish, or end it if it hangs: its pid is named.',
    exit: lab,
  },
  NETRIG_HOST_BOOT: {
    meaning: 'A lab host did not come up within its deadline, twice.',
    mend: "The host's console is in the log the message names.",
    exit: lab,
  },
  NETRIG_SEGMENT: {
    meaning: 'A segment or an interface of the lab could not be made.',
    mend: 'The message has the command and the kernel’s words.',
    exit: lab,
  },
  NETRIG_CAPABILITY: {
    meaning: 'The lab needs something that this machine or image does not have.',
    mend: '`netrig doctor` lists what this machine can do.',
    exit: lab,
  },
  NETRIG_LIMIT: {
    meaning:
      'The limits of a lab or host cannot be set, or cannot be lived with, or the lab does not fit into this machine.',
    mend: 'Change `limits:` in the scenario, run fewer labs at once, or use a machine with more room.',
    exit: lab,
  },
  NETRIG_ISOLATION: {
    meaning: 'Lab hosts were to be isolated from the machine, and this machine cannot do that.',
    mend: '`netrig doctor` says what was tried; `--isolation none` does without, which only your own scenarios should get.',
    exit: lab,
  },
  NETRIG_SSH_CONNECT: {
    meaning: 'No SSH connection to a lab host could be made.',
    mend: 'See the host’s console log; `netrig run --keep-on-fail` keeps the lab for a look.',
    exit: lab,
  },
  NETRIG_SSH_HOST_KEY: {
    meaning: 'A host showed another SSH host key than the one pinned for it.',
    mend: 'Something else answers at that address: do not go on before you know what.',
    exit: lab,
  },
  NETRIG_FAULT: {
    meaning: 'A fault could not be put into the lab, or not be taken out of it.',
    mend: 'The message has the command and the kernel’s words.',
    exit: lab,
  },
  NETRIG_HOST_OFF: {
    meaning: 'A step or check needs a host that a step of the scenario powered off or paused.',
    mend: 'Put a `heal:` step before it, or ask another host.',
    exit: failed,
  },
  NETRIG_HOST_RESET: {
    meaning: 'A host of a lab that is up could not be made anew.',
    mend: 'Try it again, or take the lab down and up again.',
    exit: lab,
  },
  NETRIG_SSH_SILENT: {
    meaning:
      'A lab host is there, but says nothing: no answer in the time of the step or check nor to the order to end what ran on it, none to keepalives, or none to a new connection. The item is inconclusive.',
    mend: 'The host may be frozen, out of memory, or starved by others on its machine: `netrig run --keep-on-fail` keeps the lab for a look.',
    exit: lab,
  },
  NETRIG_SSH_LOST: {
    meaning: 'The SSH connection to a lab host ended while it was in use.',
    mend: 'See the host’s console log; the host may have been stopped or run out of memory. A step that restarts its host or switches it off says so, `fault: { restart: HOST }` or `fault: { poweroff: HOST }`: the lab waits for it then.',
    exit: lab,
  },
  NETRIG_SFTP: {
    meaning: 'A file could not be written to or read from a lab host.',
    mend: 'The message has the path and the server’s words.',
    exit: lab,
  },
  NETRIG_STEP_FAILED: {
    meaning: 'A step of the scenario failed; what comes after it was skipped.',
    mend: 'Its transcript is in the report.',
    exit: failed,
  },
  NETRIG_LAB_UNKNOWN: {
    meaning: 'There is no lab of that name.',
    mend: '`netrig ps` lists the labs that are up.',
    exit: usage,
  },
  NETRIG_LAB_DIED: {
    meaning:
      'Something that the lab itself is made of died while the lab was in use, so that no verdict on it would be true.',
    mend: 'The message names what died: look who killed it (a step that switched its host off, where `fault: { poweroff: HOST }` belongs; or the kernel, by its log, when memory ran out), then run again.',
    exit: lab,
  },
  NETRIG_LAB_GONE: {
    meaning: 'The lab exists on paper, but its hosts are gone.',
    mend: 'Run `netrig gc`, then `netrig up` again.',
    exit: lab,
  },
  NETRIG_HOST_UNKNOWN: {
    meaning: 'The lab has no host or container of that name.',
    mend: '`netrig ps` lists the hosts of each lab.',
    exit: usage,
  },
  NETRIG_CLEANUP: {
    meaning: 'Something that netrig made could not be taken away.',
    mend: 'Run `netrig gc`; the message names what is left.',
    exit: lab,
  },
  NETRIG_RUN_UNKNOWN: {
    meaning: 'There is no record of a run (`run.jsonl`) in the directory that was named.',
    mend: 'Name a directory below `reports/`, or `reports/latest`.',
    exit: usage,
  },
  NETRIG_REPORT_WRITE: {
    meaning: 'The record of the run or a report made from it could not be written.',
    mend: 'Free space or change the permissions of the reports directory; a report can be made again from `run.jsonl` by `netrig report`.',
    exit: lab,
  },
  NETRIG_WRITE: {
    meaning:
      'A file that netrig keeps for itself could not be written: its file system is full or read-only, or it is not ours to write.',
    mend: 'The message names the place: free space there, or keep records of labs (XDG_STATE_HOME), images (XDG_CACHE_HOME), passing files (TMPDIR) or reports (`--reports`) elsewhere. `netrig gc` removes what dead runs left.',
    exit: lab,
  },
  NETRIG_INTERRUPTED: {
    meaning: 'The run was interrupted.',
    mend: 'Nothing: the lab was taken down.',
    exit: exitStatus.interrupted,
  },
  NETRIG_INTERNAL: {
    meaning: 'netrig itself is broken.',
    mend: 'Please report it with the stack that was printed.',
    exit: lab,
  },
} as const satisfies Record<string, ErrorEntry>;

/** A code of the catalogue; documented one by one in `docs/errors.md`. */
export type ErrorCode = keyof typeof errorCatalogue;

/** An error with a code from the catalogue. `message` says what and where, `hint` how to mend it in this very case. */
export class NetrigError extends Error {
  /** The same in every copy of the package, where `instanceof` knows only its own. */
  override readonly name = 'NetrigError';
  /** What callers branch on; messages are for people and may change. */
  readonly code: ErrorCode;
  /** How to mend it: of this very case, or what the catalogue says. */
  readonly hint: string;

  /** `hint`: default what the catalogue says. `cause`: the error beneath. */
  constructor(code: ErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint ?? errorCatalogue[code].mend;
  }

  /** The exit status that the `netrig` command ends with for it. */
  get exit(): number {
    return errorCatalogue[this.code].exit;
  }
}

/** Whether it is an error of netrig's, of this code where one is given. */
export function isNetrigError(value: unknown, code?: ErrorCode): value is NetrigError {
  return value instanceof NetrigError && (code === undefined || value.code === code);
}

/** The error's message; for anything else that was thrown, the best sentence available. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

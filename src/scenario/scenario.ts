import type { FeedbackLevel } from '../model/feedback.js';
import type { ResourceLimits } from '../model/size.js';
import type { OwnFolders } from '../language/own-path.js';
import type { HostFilePlan, HostPlan } from '../plan/lab-plan.js';
import type { Pins } from '../images/pins.js';
import type { WantedImage } from '../images/containers/wanted-image.js';
import type { CheckKind } from '../checks/kind.js';
import type { SavedValue } from '../model/saved.js';
import type { StepKind } from '../steps/kind.js';
import type { ContainerKeys } from './container-keys.js';
import type { CheckShown, StepRole } from './exercise-schema.js';
import type { ParameterDeclarations, ParameterValues } from './parameters.js';

/** 1-based, as editors count. */
export interface SourcePlace {
  line: number;
  column: number;
  /** The shared file where it stands, as shown to people; absent where that is the scenario’s own. */
  file?: string;
}

/** A condition under which an item runs; absent means always. Engine and image are tested against the host(s) the item works on. */
export interface When {
  /** A semver range over the engine's own version: `>=28`. */
  engine?: string;
  /** Host images the item is for. */
  image?: string[];
  /** Variables with the values the item is for, and the value that each has here. */
  vars?: Record<string, { values: string[]; here: string }>;
}

/** What an item has of values that earlier steps save: its spec is made of samples until they are known. */
export interface LateValues {
  names: readonly string[];
  /** A text that was made from the samples, with the references as they stand in the file. */
  shown(text: string): string;
  /** The spec with the values in it, or why one does not fit, with its place. */
  resolve(values: ReadonlyMap<string, SavedValue>): { spec: unknown } | { message: string };
}

interface ItemBase {
  /** `s01`, `c07`: numbered over the whole file in its order. */
  id: string;
  title: string;
  source: SourcePlace;
  when: When | null;
  /** ms; for a step the whole step, for a check one attempt. `null`: the kind's default. */
  timeoutMs: number | null;
  covers: string[];
  /** Markdown for readers of the reports; `''` for none. */
  text: string;
  /** `null`: everything in the spec is known. */
  late: LateValues | null;
}

export interface StepItem extends ItemBase {
  kind: 'step';
  type: StepKind;
  spec: unknown;
  on: string[];
  /** Where files beside the scenario are that it names. */
  folders: OwnFolders;
  /** Of `finally`: runs after everything else, whatever became of it. */
  last: boolean;
  /** Of an exercise: who does it. */
  role?: StepRole;
  /** Of an exercise: the stage that it belongs to; `null`: it comes before the first one. */
  stage?: string | null;
}

export interface CheckItem extends ItemBase {
  kind: 'check';
  type: CheckKind;
  spec: unknown;
  /** Becomes true within this many ms; `null`: true at the first attempt. */
  withinMs: number | null;
  /** Stays true for this many ms. */
  holdsForMs: number | null;
  /** `warning`: where it does not hold, the run is as good as without it. */
  level: 'error' | 'warning';
  /** Of an exercise: how it counts. */
  grading?: Grading;
}

/** What a check of an exercise is worth, and who sees it. */
export interface Grading {
  /** `null`: it is not graded. */
  points: number | null;
  /** True from the start; costs its points where it is broken. */
  guard: boolean;
  /** `null`: the exercise has no stages, or it belongs to none. */
  stage: string | null;
  shown: CheckShown;
  /** By cause or root cause, with `otherwise` for the rest; empty: there is none. */
  hints: Partial<Record<string, string>>;
}

export interface ExerciseStage {
  name: string;
  title: string;
  /** Markdown; `''` for none. */
  text: string;
}

/** What makes an exercise of a scenario. */
export interface ScenarioExercise {
  /** Markdown, with the values of this scenario in it. */
  text: string;
  /** ms that a student has; `null`: no limit. */
  timeMs: number | null;
  /** What students are told of a task that did not pass; `null`: its author says nothing of it. */
  feedback: FeedbackLevel | null;
  /** The file is one that students were given. */
  handout: boolean;
  /** In their order; empty: it has none. */
  stages: ExerciseStage[];
  /** What is drawn for each student. */
  declared: ParameterDeclarations;
  /** What was drawn for this scenario. */
  values: ParameterValues;
}

export type ScenarioItem = StepItem | CheckItem;

/** A network as `docker network create` takes it, in Compose's words. */
export interface DockerNetwork {
  driver: string;
  driver_opts: Record<string, string>;
  internal: boolean;
  attachable: boolean;
  enable_ipv6: boolean;
  ipam: {
    driver?: string;
    config: { subnet?: string; gateway?: string; ip_range?: string; aux_addresses?: Record<string, string> }[];
  };
  labels: Record<string, string>;
}

/** A container as `docker run -d` takes it, in Compose's words. */
export interface DockerContainer extends ContainerKeys {
  image: string;
  /** argv, or a string split by the shell of the image as Compose does it. */
  command: string[] | string | null;
  hostname: string | null;
  network_mode: string | null;
  networks: Record<string, { ipv4_address?: string; ipv6_address?: string; aliases: string[] }>;
  ports: string[];
  expose: string[];
  environment: Record<string, string>;
  dns: string[];
  dns_search: string[];
  dns_opt: string[];
  extra_hosts: string[];
  links: string[];
  cap_add: string[];
  cap_drop?: string[] | undefined;
  privileged?: boolean | undefined;
  entrypoint?: string | string[] | undefined;
  working_dir?: string | undefined;
  user?: string | undefined;
  read_only?: boolean | undefined;
  tmpfs?: string[] | undefined;
  init?: boolean | undefined;
  stop_signal?: string | undefined;
  tty?: boolean | undefined;
  sysctls: Record<string, string>;
  volumes: string[];
  restart: string | null;
  labels: Record<string, string>;
}

/** A name with its addresses. */
export interface NameRecord {
  /** In lower case, without a dot at its end. */
  name: string;
  addresses: string[];
}

export interface ScenarioHost {
  name: string;
  image: string;
  /** In place of an image, whose name is then made of it. */
  root?: NonNullable<HostPlan['root']>;
  init: 'systemd' | 'light';
  /** `false`: no engine wanted. */
  engine: boolean;
  /** The engine starts at the first docker command only; otherwise it runs before the first step. */
  engineOnDemand?: boolean;
  routes: { to: string; via: string }[];
  sysctls: Record<string, string>;
  /** Debian packages beyond those of the image. */
  packages: string[];
  /** Where the file names them, as `FILE:LINE:COLUMN` by package; left out where it names none. */
  packagePlaces?: Record<string, string>;
  /** Files beside the scenario that it has from the start. */
  files: HostFilePlan[];
  /** It has a way to the outside. */
  outside: boolean;
  /** A step types `docker pull` there. */
  pulls?: boolean;
  /** What it resolves as a name server of the lab; `null`: it is none. */
  records: NameRecord[] | null;
  /** Addresses outside the lab that it stands for. */
  standsFor: string[];
  /** What it may use of the machine, where the file says. */
  limits?: ResourceLimits;
  docker: { networks: Record<string, DockerNetwork>; containers: Record<string, DockerContainer> };
  source: SourcePlace;
}

export interface ScenarioSegment {
  name: string;
  /** One, or one of each family. */
  subnets: string[];
  mtu: number | null;
  /** Host name → its addresses on the segment, without prefix; `null` for an interface without an address. */
  hosts: Record<string, string[] | null>;
}

/** One scenario with one set of matrix values, all variables replaced, validated: nothing in it can be wrong by itself. */
export interface Scenario {
  /** Absolute path. */
  file: string;
  /** As in the file: `ports`. */
  name: string;
  /** Unique: `ports[image=debian-12]`. */
  id: string;
  title: string;
  description: string;
  /** Markdown for readers of the reports; `''` for none. */
  text: string;
  matrix: Record<string, string>;
  covers: string[];
  tags: string[];
  requires: string[];
  /** Provider asked for by the file, if any. */
  provider: string | null;
  hosts: ScenarioHost[];
  segments: ScenarioSegment[];
  items: ScenarioItem[];
  /** Texts that nobody is to read: masked in all that a run writes. */
  secrets: string[];
  /** ms that one host may take to boot. */
  bootTimeoutMs: number;
  /** What all hosts together may use of the machine, where the file says. */
  limits?: ResourceLimits;
  /** Where the scenario is an exercise. */
  exercise?: ScenarioExercise;
  /** Container images of netrig's own that the hosts' engines must have, found in `docker:`, in steps and named by `images:`. */
  containerImages: string[];
  /** Those of others, likewise. */
  wantedImages: WantedImage[];
  /** What the lock file beside the scenario says; left out where there is none. */
  pins?: Pins;
}

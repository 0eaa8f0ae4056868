import type { Shard } from './shard.js';

export interface RunFlags {
  provider?: string;
  inventory?: string;
  yes?: boolean;
  isolation: string;
  offline?: boolean;
  checkOnly?: boolean;
  matrix: Record<string, string[]>;
  grep?: string;
  tag: string[];
  shard?: Shard;
  jobs?: number;
  bail?: boolean;
  keepOnFail?: boolean;
  retries: number;
  json?: boolean;
  reporter?: string;
  reports: string;
  allure?: boolean;
  /** `false` by --no-allure-report, which was needed when the page was made of every run. */
  allureReport: boolean;
}

export interface CoverageFlags {
  scenarios: string;
  reports: string;
  json?: boolean;
}

export interface CompareFlags {
  reports: string;
  last?: boolean;
  html?: string;
  markdown?: string;
  heading?: string;
  json?: boolean;
}

export interface MutateFlags {
  provider?: string;
  matrix: Record<string, string[]>;
  limit?: number;
  untilNoticed?: number;
  sample?: string;
  jobs?: number;
  bail?: boolean;
  json?: boolean;
  write?: string;
  reports?: string;
}

export interface ProveFlags {
  provider?: string;
  jobs?: number;
  /** `false` by --no-lines. */
  lines: boolean;
  reports?: string;
  json?: boolean;
}

export interface ClassGradeFlags {
  output: string;
  class?: string;
  /** ms */
  timeout: number;
  isolation: string;
  jobs?: number;
  reports?: string;
  json?: boolean;
}

export interface ClassHandoutFlags {
  class?: string;
}

export interface LabFlags {
  lab?: string;
  timeout?: number;
  stdin?: boolean;
}

export interface TraceFlags {
  lab?: string;
  tcp?: number;
  udp?: number;
  dns?: string;
  fromPort?: number;
  family?: number;
  json?: boolean;
  pcap?: string;
}

export interface WatchFlags extends Omit<TraceFlags, 'fromPort' | 'pcap'> {
  count?: number;
}

export interface CaptureFlags {
  lab?: string;
  interface?: string;
  filter?: string;
}

/** Values of the options of `netrig up`. */
export interface UpFlags {
  provider?: string;
  inventory?: string;
  yes?: boolean;
  scenario?: string;
  steps: boolean;
  unsolved?: boolean;
  isolation: string;
  offline?: boolean;
}

/** What the commands do, each with the exit status. Their last argument is the values of the command's options. */
export interface Handlers {
  run(paths: string[], flags: RunFlags): Promise<number>;
  play(file: string, flags: { port: number; provider?: string; scenario?: string; isolation: string }): Promise<number>;
  up(file: string, flags: UpFlags): Promise<number>;
  check(flags: { lab?: string; grep?: string; json?: boolean; reports: string }): Promise<number>;
  exec(endpoint: string, command: string[], flags: LabFlags): Promise<number>;
  ssh(host: string, flags: Pick<LabFlags, 'lab'>): Promise<number>;
  trace(from: string, to: string, flags: TraceFlags): Promise<number>;
  watch(from: string, to: string, flags: WatchFlags): Promise<number>;
  capture(where: string, flags: CaptureFlags): Promise<number>;
  ps(flags: { json?: boolean }): Promise<number>;
  down(labs: string[], flags: { all?: boolean }): Promise<number>;
  gc(flags: { inventory?: string; json?: boolean }): Promise<number>;
  validate(paths: string[], flags: { json?: boolean }): Promise<number>;
  lock(paths: string[], flags: { offline?: boolean }): Promise<number>;
  migrate(paths: string[], flags: { write?: boolean; check?: boolean }): Promise<number>;
  imagesList(flags: { json?: boolean }): Promise<number>;
  imagesBuild(names: string[], flags: { force?: boolean }): Promise<number>;
  imagesRemove(names: string[], flags: { all?: boolean }): Promise<number>;
  doctor(flags: { json?: boolean; provider?: string; inventory?: string }): Promise<number>;
  report(run: string | undefined, flags: { reports: string; format: string[]; json?: boolean }): Promise<number>;
  coverage(runs: string[], flags: CoverageFlags): Promise<number>;
  compare(runs: string[], flags: CompareFlags): Promise<number>;
  mutate(paths: string[], flags: MutateFlags): Promise<number>;
  prove(paths: string[], flags: ProveFlags): Promise<number>;
  classStart(file: string, flags: { newLinks?: boolean }): Promise<number>;
  classStatus(file: string, flags: { json?: boolean }): Promise<number>;
  classLink(file: string, person: string, flags: Record<never, never>): Promise<number>;
  classStop(file: string, flags: Record<never, never>): Promise<number>;
  classRehearse(file: string, flags: { students: number; exercise?: string; json?: boolean }): Promise<number>;
  classGrade(folder: string, exercise: string, flags: ClassGradeFlags): Promise<number>;
  classHandout(exercise: string, directory: string, flags: ClassHandoutFlags): Promise<number>;
  classRegrade(file: string, flags: { output: string; json?: boolean }): Promise<number>;
  init(where: string, flags: { force?: boolean }): Promise<number>;
  importForeign(file: string, flags: { as?: string; to?: string; force?: boolean }): Promise<number>;
}

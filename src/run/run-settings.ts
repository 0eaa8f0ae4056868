/**
 * What a run's processes share. The process that starts the run puts it into the environment, from where Mocha's workers
 * inherit it.
 */
export interface RunSettings {
  /** Absolute path of the run's directory. */
  runDir: string;
  /** Provider for every scenario, over what its file asks for; `null`: as the file says, else `local`. */
  provider: string | null;
  /** How lab hosts are to be kept from the machine, for files of the working directory. */
  isolation: 'auto' | 'users' | 'none';
  keepOnFail: boolean;
  /** Stop at the first check that does not pass. */
  bail: boolean;
  /** Steps are left out, and checks that may change something; nothing is provisioned. */
  checkOnly: boolean;
  /** Which time the files are being run, from 1. */
  attempt: number;
  /** Ids of the scenarios to run; `null`: all of the files. */
  scenarios: string[] | null;
  /** Only scenarios with one of these tags; empty: all. */
  tags: string[];
  /** Matrix values wanted, by name; empty: all. */
  matrix: Record<string, string[]>;
}

const variable = 'NETRIG_RUN_SETTINGS';

export function shareSettings(settings: RunSettings): void {
  process.env[variable] = JSON.stringify(settings);
}

export function sharedSettings(): RunSettings | null {
  const text = process.env[variable];
  return text ? (JSON.parse(text) as RunSettings) : null;
}

export function unshareSettings(): void {
  delete process.env[variable];
}

/** What a host, or a lab as a whole, may use of the machine. `null`: nobody says. */
export interface ResourceLimits {
  /** Bytes of memory, with all that lies in it: processes, files of the root file system, caches. */
  memory: number | null;
  /** Processes and threads. */
  pids: number | null;
  /** Processors' worth of time: 0.5 is half of one. */
  cpus: number | null;
  /** Bytes of the root file system. */
  disk: number | null;
}

const units: Record<string, number> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };

/** Bytes of `400M`, `1.5 GB`, `512MiB`, in powers of 1024 as Docker and systemd count them; `null` for anything else. */
export function parseSize(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)\s*(?:([kmgt])i?b?|b)$/i.exec(text.trim());
  if (!match) return null;
  const bytes = Math.round(Number(match[1]) * units[(match[2] ?? '').toLowerCase()]!);
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : null;
}

/** `400 MB`: the largest unit of which it is at least one, with at most one decimal. */
export function formatSize(bytes: number): string {
  const names = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < names.length - 1; unit += 1) value /= 1024;
  return `${Math.round(value * 10) / 10} ${names[unit]}`;
}

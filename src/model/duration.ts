const factors = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

/** Parses `250ms`, `10s`, `1.5m`, `2h` to milliseconds; `null` for anything else (also for zero, negative and bare numbers). */
export function parseDuration(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  if (!match) return null;
  const ms = Number(match[1]) * factors[match[2] as keyof typeof factors];
  return ms > 0 && Number.isFinite(ms) ? ms : null;
}

/** Milliseconds for people: `4 ms`, `850 ms`, `2.4 s`, `1 min 05 s`. */
export function formatDuration(ms: number): string {
  if (ms < 1) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, '0')} s`;
}

const mark = /(?:^|\s)#\s*survives:\s*(\S.*?)\s*$/;

/**
 * Reasons for which a mutation may go unnoticed, by the line that they are about: `# survives: REASON` at the end of that
 * line, or on comment lines right above it. Above a step's first line, it is about the whole step.
 */
export function acceptedReasons(text: string): Map<number, string> {
  const reasons = new Map<number, string>();
  let pending: string | null = null;
  text.split('\n').forEach((line, index) => {
    const comment = line.trim().startsWith('#');
    const found = mark.exec(line)?.[1] ?? null;
    if (comment) {
      if (found !== null) pending = found;
      else if (pending !== null) pending = `${pending} ${line.trim().replace(/^#\s*/, '')}`.trim();
      return;
    }
    const reason = found ?? pending;
    pending = null;
    if (reason !== null && line.trim() !== '') reasons.set(index + 1, reason);
  });
  return reasons;
}

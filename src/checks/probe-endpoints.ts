import type { EndpointUse } from './kind.js';

interface Ends {
  from: string;
  to?: string;
}

/** What a probe names: where it starts, what it is sent to if that is named apart, and likewise of its control. */
export function probeEndpoints(spec: Ends & { control?: Ends }): EndpointUse[] {
  return [...endsOf(spec, []), ...(spec.control === undefined ? [] : endsOf(spec.control, ['control']))];
}

function endsOf({ from, to }: Ends, path: string[]): EndpointUse[] {
  const uses: EndpointUse[] = [{ endpoint: from, path: [...path, 'from'], role: 'vantage' }];
  if (to !== undefined) uses.push({ endpoint: to, path: [...path, 'to'], role: 'target' });
  return uses;
}

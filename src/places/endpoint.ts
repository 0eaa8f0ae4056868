import { parseTarget } from '../language/endpoint.js';
import type { Target, Vantage as VantageText } from '../language/endpoint.js';

/** A place inside the lab that probes can start from. */
export type VantageEndpoint = VantageText;

/** Whatever a check may name as its source or target. */
export type Endpoint = Target;

/** Anything that knows the lab's host names: a `LabPlan`, or a scenario. */
export interface HostNames {
  readonly hosts: readonly { readonly name: string }[];
}

/**
 * Reads an endpoint as scenarios write it: `node1` (a host of the lab), `node1/web` (a container), `node1/netns:blue` (a
 * named network namespace), a literal address, and otherwise a name to resolve from the source. Throws nothing: what is no
 * possible endpoint comes back as a `name`, which no vantage accepts and no resolver knows.
 */
export function parseEndpoint(text: string, lab: HostNames): Endpoint {
  return (
    parseTarget(
      text,
      lab.hosts.map((host) => host.name),
    ) ?? { kind: 'name', name: text }
  );
}

export function isVantage(endpoint: Endpoint): endpoint is VantageEndpoint {
  return endpoint.kind === 'host' || endpoint.kind === 'container' || endpoint.kind === 'netns';
}

/** The endpoint as scenarios write it. */
export function formatEndpoint(endpoint: Endpoint): string {
  switch (endpoint.kind) {
    case 'host':
      return endpoint.host;
    case 'container':
      return `${endpoint.host}/${endpoint.container}`;
    case 'netns':
      return `${endpoint.host}/netns:${endpoint.netns}`;
    case 'address':
      return endpoint.address;
    case 'name':
      return endpoint.name;
  }
}

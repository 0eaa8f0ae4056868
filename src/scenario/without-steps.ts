import type { Scenario } from './scenario.js';

/** The same hosts and segments, with nothing to do on them: no steps, no checks, no declared engine state. */
export function withoutSteps(scenario: Scenario): Scenario {
  return {
    ...scenario,
    items: [],
    hosts: scenario.hosts.map((host) => ({ ...host, docker: { networks: {}, containers: {} } })),
  };
}

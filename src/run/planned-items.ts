import { dirname } from 'node:path';
import { maskOf } from './mask.js';
import { addressesOf, subnetsOf } from '../model/planned-addresses.js';
import type { PlannedItem, ScenarioPlan, Topology } from '../model/events.js';
import type { LabPlan } from '../plan/lab-plan.js';
import { planLab } from '../plan/plan.js';
import type { Scenario, ScenarioItem, StepItem } from '../scenario/scenario.js';
import { declaresDocker, dockerStateStep } from '../steps/docker-state.js';
import type { StepKind } from '../steps/kind.js';

/** The engine states that `hosts.*.docker` declares, as steps before the first one of the file. */
function declaredStateItems(scenario: Scenario): StepItem[] {
  return scenario.hosts.filter(declaresDocker).map((host, index) => ({
    kind: 'step',
    id: `d${String(index + 1).padStart(2, '0')}`,
    title: `Docker on ${host.name} as declared`,
    type: dockerStateStep as unknown as StepKind,
    spec: host.docker,
    on: [host.name],
    source: host.source,
    when: null,
    timeoutMs: null,
    covers: [],
    text: '',
    folders: { from: dirname(scenario.file), root: dirname(scenario.file) },
    last: false,
    late: null,
  }));
}

/** Everything a run of the scenario will report on, in order. */
export function itemsOf(scenario: Scenario): ScenarioItem[] {
  return [...declaredStateItems(scenario), ...scenario.items];
}

function plannedItem(item: ScenarioItem): PlannedItem {
  return {
    id: item.id,
    kind: item.kind,
    type: item.type.name,
    title: item.title,
    detail: item.late?.shown(item.type.describe(item.spec)) ?? item.type.describe(item.spec),
    line: item.source.line,
    column: item.source.column,
    covers: item.covers,
    ...(item.source.file === undefined ? {} : { file: item.source.file }),
    ...(item.text === '' ? {} : { text: item.text }),
    ...(item.kind === 'step' && item.last ? { last: true as const } : {}),
    ...(item.kind === 'check' && item.level === 'warning' ? { level: item.level } : {}),
  };
}

export function topologyOf(plan: LabPlan): Topology {
  return {
    hosts: plan.hosts.map((host) => ({
      name: host.name,
      image: host.image,
      init: host.init,
      ...(host.outside ? { outside: true } : {}),
      interfaces: host.interfaces.map((nic) => ({
        name: nic.name,
        segment: nic.segment,
        address: addressesOf(nic).join(', '),
      })),
    })),
    segments: plan.segments.map((segment) => ({
      name: segment.name,
      subnet: subnetsOf(segment).join(', '),
      ...(segment.mtu ? { mtu: segment.mtu } : {}),
    })),
  };
}

/** All that a run of the scenario will be about, known before anything of it starts; its secrets are masked. */
export function plannedScenario(scenario: Scenario, provider: string): ScenarioPlan {
  return maskOf(scenario.secrets)({
    scenario: scenario.id,
    file: scenario.file,
    title: scenario.title,
    description: scenario.description,
    ...(scenario.text === '' ? {} : { text: scenario.text }),
    tags: scenario.tags,
    covers: scenario.covers,
    matrix: scenario.matrix,
    provider,
    planned: itemsOf(scenario).map(plannedItem),
    topology: topologyOf(planLab(scenario)),
  });
}

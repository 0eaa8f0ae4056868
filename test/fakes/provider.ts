import type { LabPlan } from '../../src/plan/lab-plan.js';
import type { LabRecord, Provider, RunningLab } from '../../src/providers/provider.js';

/** A lab of no hosts: what asks one of them for a connection is told that there is no such machine. */
export function fakeLab(plan: LabPlan, over: Partial<RunningLab> = {}): RunningLab {
  const record: LabRecord = {
    id: 'fake',
    title: plan.title,
    provider: 'fake',
    holder: { pid: process.pid, startTime: 0 },
    createdAt: new Date(0).toISOString(),
    state: 'up',
    detached: false,
    plan,
    access: {},
  };
  return {
    id: record.id,
    plan,
    record,
    target: (host) => ({
      host,
      username: 'root',
      privateKey: '',
      hostKey: '',
      open: () => Promise.reject(new Error('there is no such machine')),
    }),
    console: () => Promise.resolve(''),
    down: () => Promise.resolve(),
    ...over,
  };
}

/** A provider that makes nothing; what a test wants otherwise it says. */
export function fakeProvider(over: Partial<Provider> = {}): Provider {
  return {
    name: 'fake',
    capabilities: () => Promise.resolve([]),
    preflight: () => Promise.resolve(),
    up: (plan) => Promise.resolve(fakeLab(plan)),
    attach: (record) => Promise.resolve(fakeLab(record.plan)),
    destroy: () => Promise.resolve(),
    sweep: () => Promise.resolve({ removed: [], left: [] }),
    ...over,
  };
}

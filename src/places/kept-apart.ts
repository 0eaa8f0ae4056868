import { faultText, isHostFault, type Fault } from '../model/fault.js';
import type { LabPlan } from '../plan/lab-plan.js';

/** The part of a segment that a host's link leads to while faults are in; `null`: none, for the link carries nothing. */
function partOf(host: string, segment: string, faults: readonly Fault[]): string | null {
  const part = [segment];
  for (const fault of faults) {
    if (isHostFault(fault)) {
      // One whose processes stand still forwards all the same.
      if (fault.kind === 'poweroff' && fault.host === host) return null;
    } else if (fault.segment !== segment) {
      continue;
    } else if (fault.kind === 'partition') {
      part.push(String(fault.groups.findIndex((group) => group.includes(host))));
    } else if (
      fault.hosts.includes(host) &&
      (fault.kind === 'cut' || (fault.kind === 'loss' && fault.percent >= 100))
    ) {
      return null;
    }
  }
  return part.join(' ');
}

/** Whether there is any way over the segments of a plan from one host to another, whoever forwards in between. */
function isWay(plan: LabPlan, from: string, to: string, faults: readonly Fault[]): boolean {
  const parts = plan.hosts.flatMap(({ name, interfaces }) =>
    interfaces.flatMap(({ segment }) => {
      const part = partOf(name, segment, faults);
      return part === null ? [] : [{ host: name, part }];
    }),
  );
  const reached = new Set([from]);
  for (const host of reached) {
    const near = new Set(parts.filter((one) => one.host === host).map((one) => one.part));
    for (const one of parts) if (near.has(one.part)) reached.add(one.host);
  }
  return reached.has(to);
}

/** Of faults that together leave no way, those without which there would be one: what else is broken has no part in it. */
function needed(plan: LabPlan, from: string, to: string, faults: readonly Fault[]): readonly Fault[] {
  let left = faults;
  for (const fault of faults) {
    const without = left.filter((one) => one !== fault);
    if (!isWay(plan, from, to, without)) left = without;
  }
  return left;
}

/**
 * Why nothing can get from one host to another: faults that steps put in leave no way, where the plan has one; a clause each.
 * `null` where they leave one, however few packets pass it: then the faults alone explain nothing.
 */
export function keptApart(plan: LabPlan, faults: readonly Fault[], from: string, to: string): string[] | null {
  if (faults.length === 0 || from === to || !isWay(plan, from, to, []) || isWay(plan, from, to, faults)) return null;
  const alone = faults.filter((fault) => !isWay(plan, from, to, [fault]));
  return (alone.length > 0 ? alone : needed(plan, from, to, faults)).map(faultText);
}

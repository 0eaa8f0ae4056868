import { orderKey } from '../../images/made-to-order.js';
import type { HostPlan } from '../../plan/lab-plan.js';

/** Hosts with equal keys are made from the same image of the engine: container images from elsewhere come later, over SSH. */
export function imageKey({ image, packages, root }: HostPlan): string {
  return orderKey({ image, ...(packages ? { packages } : {}), ...(root ? { root } : {}) });
}

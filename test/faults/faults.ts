import { bridged } from './bridged.js';
import { consul } from './consul.js';
import { docker } from './docker.js';
import type { Family } from './fault.js';
import { leased } from './leased.js';
import { macvlan } from './macvlan.js';
import { named } from './named.js';
import { ovs } from './ovs.js';
import { routed } from './routed.js';
import { swarm } from './swarm.js';

export const families: Family[] = [routed, named, leased, docker, bridged, swarm, consul, macvlan, ovs];

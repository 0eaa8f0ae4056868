import { z } from 'zod';
import { commandCheck } from './command.js';
import { dnsCheck } from './dns.js';
import { httpCheck } from './http.js';
import type { CheckKind } from './kind.js';
import { pingCheck } from './ping.js';
import { portCheck } from './port.js';

/** The kinds of check that may make traffic while something is watched. Each is run by its own file: nothing here knows how. */
export const trafficKinds: Readonly<Record<string, CheckKind>> = Object.fromEntries(
  [pingCheck, dnsCheck, portCheck, httpCheck, commandCheck].map((kind) => [
    kind.name,
    kind as CheckKind<never> as CheckKind,
  ]),
);

/** One check that makes the traffic: `{ ping: … }`. */
export interface Traffic {
  name: string;
  spec: unknown;
}

export const zTraffic = z
  .strictObject(Object.fromEntries(Object.entries(trafficKinds).map(([name, kind]) => [name, kind.schema.optional()])))
  .refine(
    (during) => Object.values(during).filter((spec) => spec !== undefined).length === 1,
    'must hold exactly one check',
  )
  .transform((during): Traffic => {
    const [name, spec] = Object.entries(during).find(([, value]) => value !== undefined) ?? ['', undefined];
    return { name, spec };
  });

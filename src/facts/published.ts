import { z } from 'zod';
import { canonicalAddress, familyOf } from '../model/cidr.js';
import type { ProbeContext } from '../places/context.js';
import { runningEngineAnswers } from '../places/engine.js';

/** A container that an engine publishes a port for. */
export interface Published {
  container: string;
  /** As the engine states it: `running`, `paused`. */
  state: string;
  /** Its own address and port; `null` where the engine states no address. */
  address: string | null;
  port: number;
}

const zContainers = z.array(
  z.object({
    Names: z.array(z.string()).nullish(),
    State: z.string().nullish(),
    Ports: z
      .array(
        z.object({
          IP: z.string().nullish(),
          PrivatePort: z.number(),
          PublicPort: z.number().nullish(),
          Type: z.string(),
        }),
      )
      .nullish(),
    NetworkSettings: z
      .object({ Networks: z.record(z.string(), z.object({ IPAddress: z.string().nullish() })).nullish() })
      .nullish(),
  }),
);

/** Whether a port that is published at `at` is served at `address`: at that very one, or at all of its family. */
function servedAt(at: string | null | undefined, address: string): boolean {
  if (at === undefined || at === null || at === '') return true;
  if (at === '0.0.0.0' || at === '::') return familyOf(at) === familyOf(address);
  return canonicalAddress(at) === canonicalAddress(address);
}

/**
 * The container for which the engine of `host` publishes a port at `address`; `null` where there is none, or no engine that runs says so.
 * Several containers may publish one port, each at an address of its own.
 */
export async function publishedAt(
  context: ProbeContext,
  host: string,
  address: string,
  port: number,
  proto: 'tcp' | 'udp',
): Promise<Published | null> {
  const result = await context.host(host).exec(runningEngineAnswers(['/containers/json']), {
    timeoutMs: context.timeLeftMs(),
    signal: context.signal,
    keepBytes: 4 << 20,
  });
  if (result.exitCode !== 0) return null;
  let raw: unknown;
  try {
    raw = JSON.parse(result.stdout);
  } catch {
    return null;
  }
  for (const { Names, State, Ports, NetworkSettings } of zContainers.safeParse(raw).data ?? []) {
    const found = Ports?.find((one) => one.PublicPort === port && one.Type === proto && servedAt(one.IP, address));
    const container = Names?.find((one) => one.lastIndexOf('/') === 0)?.slice(1);
    if (!found || container === undefined) continue;
    const own = Object.values(NetworkSettings?.Networks ?? {}).flatMap(({ IPAddress }) => IPAddress || []);
    return { container, state: State ?? 'unknown', address: own[0] ?? null, port: found.PrivatePort };
  }
  return null;
}

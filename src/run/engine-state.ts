import type { EngineState } from '../model/events.js';
import type { ProbeHost } from '../places/context.js';
import { betweenAnswers, runningEngineAnswers } from '../places/engine.js';

interface ApiContainer {
  Names?: string[];
  Image?: string;
  State?: string;
  Ports?: { IP?: string; PrivatePort?: number; PublicPort?: number; Type?: string }[];
  NetworkSettings?: { Networks?: Record<string, { IPAddress?: string } | null> };
}

interface ApiNetwork {
  Name?: string;
  Driver?: string;
  Scope?: string;
  IPAM?: { Config?: { Subnet?: string }[] | null };
}

// One process a question, where the docker command would need a dozen.
const script = runningEngineAnswers(['/version', '/containers/json?all=1', '/networks'], 5);

function portText(port: NonNullable<ApiContainer['Ports']>[number]): string {
  const inside = `${port.PrivatePort}/${port.Type}`;
  return port.PublicPort ? `${port.IP ?? ''}:${port.PublicPort}->${inside}` : inside;
}

/** What the engine of a host has right now, as it states it itself; `null` where no engine runs or its answer is not understood. */
export async function readEngineState(host: Pick<ProbeHost, 'name' | 'exec'>): Promise<EngineState | null> {
  const result = await host.exec(script, { timeoutMs: 20_000, keepBytes: 4 * 1024 * 1024 });
  if (result.exitCode !== 0) return null;
  const [version, containers, networks] = result.stdout.split(betweenAnswers);
  try {
    const stated = JSON.parse(version ?? '') as { Version?: string };
    return {
      host: host.name,
      version: stated.Version ?? '',
      containers: (JSON.parse(containers ?? '') as ApiContainer[]).map((one) => ({
        name: (one.Names?.find((name) => name.lastIndexOf('/') === 0) ?? one.Names?.[0] ?? '').replace(/^\//, ''),
        image: one.Image ?? '',
        state: one.State ?? '',
        networks: Object.entries(one.NetworkSettings?.Networks ?? {}).map(([name, attachment]) => ({
          name,
          address: attachment?.IPAddress ?? '',
        })),
        ports: [...new Set((one.Ports ?? []).map(portText))],
      })),
      networks: (JSON.parse(networks ?? '') as ApiNetwork[]).map((one) => ({
        name: one.Name ?? '',
        driver: one.Driver ?? '',
        scope: one.Scope ?? '',
        subnet: one.IPAM?.Config?.[0]?.Subnet ?? '',
      })),
    };
  } catch {
    return null;
  }
}

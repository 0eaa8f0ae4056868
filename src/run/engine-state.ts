import type { EngineState } from '../model/events.js';
import type { ProbeHost } from '../places/context.js';

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

/** Stands between the three answers: no JSON text holds a line that begins so. */
const separator = '\u001e';

// The engine's own API through curl: one process for three questions, where the docker command would need a dozen. An engine
// that nobody has used yet is not started for the sake of a drawing.
const script = `[ -S /run/docker.sock ] && [ -e /run/docker.pid ] || exit 9
ask() { curl --silent --max-time 5 --unix-socket /run/docker.sock "http://engine/$1"; printf '\\036'; }
ask version; ask 'containers/json?all=1'; ask networks`;

function portText(port: NonNullable<ApiContainer['Ports']>[number]): string {
  const inside = `${port.PrivatePort}/${port.Type}`;
  return port.PublicPort ? `${port.IP ?? ''}:${port.PublicPort}->${inside}` : inside;
}

/** What the engine of a host has right now, as it states it itself; `null` where no engine runs or its answer is not understood. */
export async function readEngineState(host: Pick<ProbeHost, 'name' | 'exec'>): Promise<EngineState | null> {
  const result = await host.exec(script, { timeoutMs: 20_000, keepBytes: 4 * 1024 * 1024 });
  if (result.exitCode !== 0) return null;
  const [version, containers, networks] = result.stdout.split(separator);
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

import { z } from 'zod';
import { askIp } from './answer.js';
import type { ProbeContext, ProbeHost } from '../places/context.js';
import { engineGet } from './engine.js';
import { inNamespace } from '../places/vantage.js';
import type { Vantage } from '../places/vantage.js';

export type OverlayNamespace = { path: string } | { unknown: string };

/**
 * The network namespace in which a host's engine keeps an overlay network's bridge and VXLAN link. The engine names it
 * `N-ID10` below its run directory: N counts up, ID10 are the first ten characters of the network's id (seen with 20.10
 * to 28). It exists only where a container of that host is on the network.
 */
export async function overlayNamespace(
  context: ProbeContext,
  host: ProbeHost,
  network: string,
): Promise<OverlayNamespace> {
  const answer = await engineGet(context, host, 'network', network);
  if ('unknown' in answer) return answer;
  if ('missing' in answer) return { unknown: `the engine of ${host.name} has no network ${network}` };
  const facts = z.object({ Id: z.string().min(10), Driver: z.string() }).safeParse(answer.document);
  if (!facts.success)
    return { unknown: `the engine of ${host.name} describes the network ${network} in a form that is not known` };
  if (facts.data.Driver !== 'overlay')
    return {
      unknown: `the network ${network} of ${host.name} has the driver ${facts.data.Driver}: only overlay networks have a VXLAN network identifier`,
    };
  const listed = await host.exec(
    ['find', '/var/run/docker/netns/', '-mindepth', '1', '-maxdepth', '1', '-printf', '%f\\n'],
    { timeoutMs: Math.min(context.timeLeftMs(), 10_000), signal: context.signal },
  );
  if (listed.exitCode !== 0)
    return {
      unknown: `the namespaces of the engine of ${host.name} could not be listed: ${listed.stderr.trim() || `exit status ${listed.exitCode ?? 'none'}`}`,
    };
  const id = facts.data.Id.slice(0, 10);
  const names = listed.stdout
    .split('\n')
    .filter((name) => /^\d+-/.test(name) && name.slice(name.indexOf('-') + 1) === id);
  if (names.length !== 1) {
    return {
      unknown:
        names.length === 0
          ? `the engine of ${host.name} has no namespace for the network ${network}: no container of that host is on it`
          : `the engine of ${host.name} has ${names.length} namespaces for the network ${network}: ${names.join(', ')}`,
    };
  }
  return { path: `/var/run/docker/netns/${names[0]}` };
}

const zVxlan = z.object({
  ifname: z.string(),
  linkinfo: z.object({ info_kind: z.literal('vxlan'), info_data: z.object({ id: z.number() }) }),
});

/** The VXLAN network identifier that the kernel of this host uses for an overlay network: read from the VXLAN link itself. */
export async function overlayVni(
  context: ProbeContext,
  host: ProbeHost,
  network: string,
): Promise<{ vni: number } | { unknown: string }> {
  const namespace = await overlayNamespace(context, host, network);
  if ('unknown' in namespace) return namespace;
  const place: Vantage = {
    endpoint: { kind: 'host', host: host.name },
    label: host.name,
    host,
    enter: (argv) => [...argv],
    nameFiles: null,
    container: null,
  };
  const vantage = inNamespace(place, namespace.path, `${host.name}, network ${network}`);
  const links = await askIp(context, vantage, ['-d', 'link', 'show', 'type', 'vxlan'], zVxlan);
  if ('unknown' in links) return links;
  if ('refusal' in links) return { unknown: `the VXLAN link of ${vantage.label} could not be read: ${links.refusal}` };
  const ids = new Set(links.items.map((link) => link.linkinfo.info_data.id));
  const [vni] = ids;
  return ids.size === 1 && vni !== undefined
    ? { vni }
    : { unknown: `${vantage.label} has ${links.items.length} VXLAN links, one was expected` };
}

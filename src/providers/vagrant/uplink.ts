import type { ProcessIdentity } from '../../lab/process.js';
import { startUplink } from '../shared/uplink.js';
import { runCommand } from '../shared/command.js';
import type { PrivateLibvirtd } from './libvirtd.js';

/**
 * The way of a virtual machine to the outside: as that of the local provider's hosts, two slirp4netns with a network namespace of
 * their own between them. Its device is a port of the bridge that the machine's card for it is on, and nothing else is: libvirt's
 * namespace has no address there, no route to the outside, and no other machine gets there.
 */

const commandMs = 20_000;

export interface Link {
  ifname: string;
  address?: string;
  master?: string;
}

/** libvirt's end of the card with that address: it has the same address but for the first byte. */
export function endOfCard(links: readonly Link[], mac: string): Link | undefined {
  const end = `fe${mac.slice(2)}`.toLowerCase();
  return links.find(({ address }) => address === end);
}

/** Plugs one in. `own` gets its processes as they start. Rejects with an Error that has the words of what failed. */
export async function plugUplink(
  { init }: PrivateLibvirtd,
  mac: string,
  directory: string,
  device: string,
  own: ProcessIdentity[],
): Promise<void> {
  const inside = async (...argv: string[]): Promise<string> => {
    const result = await runCommand(['nsenter', '--target', String(init.pid), '--net', '--', ...argv], {
      timeoutMs: commandMs,
    });
    if (result.exitCode !== 0)
      throw new Error(`its way to the outside could not be plugged in: ${result.stderr.trim() || argv.join(' ')}`);
    return result.stdout;
  };
  const links = JSON.parse(await inside('ip', '-json', 'link', 'show')) as Link[];
  const bridge = endOfCard(links, mac)?.master;
  if (bridge === undefined) throw new Error('its card for the way to the outside is on no bridge');
  await startUplink(init, directory, (identity) => own.push(identity), device);
  await inside('ip', 'link', 'set', 'dev', device, 'master', bridge);
  await inside('ip', 'link', 'set', 'dev', device, 'up');
}

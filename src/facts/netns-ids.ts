import { z } from 'zod';
import { quoteArg } from '../ssh/quote.js';
import type { ProbeContext } from '../places/context.js';
import { runScript, whyUnfinished } from '../places/script.js';
import type { Vantage } from '../places/vantage.js';

/** Shell text for the file of a vantage's network namespace. */
function namespaceFile(vantage: Vantage, path: string | undefined): string {
  if (path !== undefined) return quoteArg(path);
  if (vantage.container !== null) return `/proc/${vantage.container.pid}/ns/net`;
  if (vantage.endpoint.kind !== 'netns') return '/proc/self/ns/net';
  const name = quoteArg(vantage.endpoint.netns);
  return `"$(for f in /run/netns/${name} /var/run/docker/netns/${name}; do if [ -e "$f" ]; then printf '%s' "$f"; break; fi; done)"`;
}

const zIds = z.array(z.looseObject({ nsid: z.number(), name: z.string().optional() }));

/** The id that a namespace has for another one, `same` where that is itself, `null` where it has none for it. */
export type NamespaceId = number | 'same' | null;

/** From `ip -j netns list-id` and `stat --printf '%n %i\n'` of the files it had: which of the members' namespaces has which id. */
export function parseNamespaceIds(listed: string, inodes: string, members: number): NamespaceId[] | null {
  let raw: unknown;
  try {
    raw = listed.trim() === '' ? [] : JSON.parse(listed);
  } catch {
    return null;
  }
  const ids = zIds.safeParse(raw);
  if (!ids.success) return null;
  const inodeOf = new Map<string, string>();
  for (const line of inodes.split('\n')) {
    const [, name, inode] = /(?:^|\/)(here|m\d+) (\d+)$/.exec(line) ?? [];
    if (name !== undefined && inode !== undefined) inodeOf.set(name, inode);
  }
  // Two members may share one namespace, of which the list then states one name only.
  const idOf = new Map(
    ids.data.flatMap(({ nsid, name }) =>
      name !== undefined && inodeOf.has(name) ? [[inodeOf.get(name), nsid] as const] : [],
    ),
  );
  const result = Array.from({ length: members }, (_unused, i) => inodeOf.get(`m${i}`));
  if (result.includes(undefined)) return null;
  return result.map((inode) => (inode === inodeOf.get('here') ? 'same' : (idOf.get(inode) ?? null)));
}

/**
 * The ids by which a namespace knows the members' namespaces (`link_netnsid` of its links).
 *
 * `ip netns list-id` can put names to ids only of namespaces below /run/netns: they are bound there in a mount namespace that
 * ends with the command, so that nothing of the host changes.
 */
export async function namespaceIds(
  context: ProbeContext,
  of: Vantage,
  path: string | undefined,
  members: readonly Vantage[],
): Promise<NamespaceId[] | { unknown: string }> {
  const bind = (name: string, file: string): string =>
    `f=${file}; : >/mnt/netns/${name} && mount --bind "$f" /mnt/netns/${name} || exit 71`;
  const binds = [
    'mount -t tmpfs netrig /mnt && mkdir /mnt/netns || exit 71',
    bind('here', namespaceFile(of, path)),
    ...members.map((member, i) => bind(`m${i}`, namespaceFile(member, undefined))),
    'mount --rbind /mnt /run',
  ];
  const script = await runScript(
    of.host,
    [
      { name: 'bind', errors: 'apart', shell: binds.join('\n') },
      { name: 'inodes', shell: `stat -L --printf '%n %i\\n' /mnt/netns/*` },
      { name: 'ids', shell: 'nsenter --net=/mnt/netns/here ip -j netns list-id', errors: 'apart' },
    ],
    {
      timeoutMs: Math.min(context.timeLeftMs(), 15_000),
      signal: context.signal,
      wrap: (shell) => `unshare --mount --propagation private sh -c ${quoteArg(shell)}`,
    },
  );
  const unknown = (why: string): { unknown: string } => ({
    unknown: `the ids that ${of.label} has for network namespaces could not be listed: ${why}`,
  });
  const ids = script.parts.get('ids');
  if (ids === undefined || ids.exitCode !== 0)
    return unknown(script.exec.stderr.trim().split('\n').at(-1) || whyUnfinished(script.exec));
  return (
    parseNamespaceIds(ids.output, script.parts.get('inodes')?.output ?? '', members.length) ??
    unknown('they are in a form that is not known')
  );
}

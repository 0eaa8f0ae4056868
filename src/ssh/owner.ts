import type { HostConnection } from './ssh.js';
import type { TreeOwner } from './tree.js';

/** An owner as the language writes it: `frr`, `frr:adm`, `1000:1000`. Without a group, it is the user's own. */
function partsOf(owner: string): { user: string; group: string | null } {
  const [user = '', group] = owner.split(':');
  return { user, group: group ?? null };
}

const isNumber = (text: string): boolean => /^\d+$/.test(text);

/** Lines of passwd(5) or group(5) by name. */
function lineOf(table: string, name: string): string[] | null {
  return (
    table
      .split('\n')
      .map((line) => line.split(':'))
      .find(([first]) => first === name) ?? null
  );
}

/**
 * The numbers of an owner, by the texts of /etc/passwd and /etc/group. A user by number has its own number as its group where none
 * is named. A name that they do not have comes out as a sentence.
 */
export function ownerIn(owner: string, passwd: string, group: string): TreeOwner | { message: string } {
  const wanted = partsOf(owner);
  const user = isNumber(wanted.user) ? ['', '', wanted.user, wanted.user] : lineOf(passwd, wanted.user);
  if (user === null) return { message: `there is no user ${wanted.user}` };
  const gid =
    wanted.group === null ? user[3] : isNumber(wanted.group) ? wanted.group : lineOf(group, wanted.group)?.[2];
  if (gid === undefined) return { message: `there is no group ${wanted.group}` };
  return { uid: Number(user[2]), gid: Number(gid) };
}

/** As `ownerIn`, by what the host itself says. */
export async function ownerOn(
  host: Pick<HostConnection, 'exec'>,
  owner: string,
): Promise<TreeOwner | { message: string }> {
  const { user, group } = partsOf(owner);
  const ask = async (...argv: string[]): Promise<string> => (await host.exec(argv)).stdout;
  // What getent does not know is in none of its sources, and not printed.
  const passwd = isNumber(user) ? '' : await ask('getent', 'passwd', '--', user);
  const groups = group === null || isNumber(group) ? '' : await ask('getent', 'group', '--', group);
  return ownerIn(owner, passwd, groups);
}

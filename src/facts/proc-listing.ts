/**
 * What the files of /proc say of processes, read by the host's find and grep in the forms that the kernel writes for machines
 * (proc(5)): NUL after each argument, escaped names, numbers in columns. Nothing here runs anything.
 */

export interface ProcessFacts {
  pid: number;
  /** The kernel's name of it (comm): at most 15 bytes. */
  name: string;
  argv: string[];
  parent: number;
  /** Effective. */
  uid: number;
  /** R, S, D, Z, T, … */
  state: string;
  /** Identity of its network namespace, `net:[4026531840]`; `null` where it could not be read. */
  netns: string | null;
}

const entry = /^\/proc\/(\d+)\/(?:status|cmdline|cgroup):/;

/** `/proc/PID/status` escapes line ends and backslashes in names. */
function unescapeName(text: string): string {
  return text.replace(/\\(n|\\|[0-7]{3})/g, (_all, code: string) =>
    code === 'n' ? '\n' : code === '\\' ? '\\' : String.fromCharCode(parseInt(code, 8)),
  );
}

/**
 * Processes from `grep -H -E '^(Name|State|PPid|Uid):' /proc/PID/status`, `grep -zH '' /proc/PID/cmdline` and `find … -printf '%p %l'`
 * of `/proc/PID/ns/net`. A process that ended while it was read has not all of its lines, and is left out. `null`: a line that is
 * none of these.
 */
export function parseProcesses(status: string, cmdline: string, namespaces: string): ProcessFacts[] | null {
  const fields = new Map<number, Map<string, string>>();
  for (const line of status.split('\n')) {
    if (line === '') continue;
    const [, pid, name, value] = /^\/proc\/(\d+)\/status:(Name|State|PPid|Uid):\t(.*)$/.exec(line) ?? [];
    if (pid === undefined || name === undefined || value === undefined) return null;
    const of = fields.get(Number(pid)) ?? new Map<string, string>();
    fields.set(Number(pid), of.set(name, value));
  }
  const argvs = new Map<number, string[]>();
  for (const record of cmdline.split('\0')) {
    if (record === '') continue;
    const head = entry.exec(record);
    if (head === null) return null;
    const pid = Number(head[1]);
    const argv = argvs.get(pid) ?? [];
    argv.push(record.slice(head[0].length));
    argvs.set(pid, argv);
  }
  const netns = new Map<number, string>();
  for (const line of namespaces.split('\n')) {
    const [, pid, id] = /^\/proc\/(\d+)\/ns\/net (net:\[\d+\])$/.exec(line) ?? [];
    if (pid !== undefined && id !== undefined) netns.set(Number(pid), id);
  }
  return [...fields].flatMap(([pid, of]) => {
    const name = of.get('Name');
    const state = of.get('State')?.[0];
    const parent = of.get('PPid');
    const uid = of.get('Uid')?.split('\t')[1];
    if (name === undefined || state === undefined || parent === undefined || uid === undefined) return [];
    return [
      {
        pid,
        name: unescapeName(name),
        argv: argvs.get(pid) ?? [],
        parent: Number(parent),
        uid: Number(uid),
        state,
        netns: netns.get(pid) ?? null,
      },
    ];
  });
}

/** How sshd titles a process that serves one connection; its listener, which belongs to the host, is titled otherwise (sshd.c, setproctitle). */
const servesConnection = (one: ProcessFacts): boolean =>
  /^sshd(?:-\w+)?: /.test(one.argv[0] ?? '') && !(one.argv[0] ?? '').includes('[listener]');

/** The shell that a step `start` leaves behind, to write down how its command ended. */
const keepsExitStatus = (one: ProcessFacts): boolean =>
  one.name === 'sh' && /^\/var\/log\/netrig\/.*\.exit$/.test(one.argv.at(-1) ?? '');

/** What keeps a light host alive, in place of an init: a scenario that looks for a `sleep` of its own does not mean it. */
const keepsLightHost = (one: ProcessFacts): boolean => one.pid === 1 && one.argv.join(' ') === 'sleep infinity';

/**
 * The processes that are netrig's own: `self` (the shell that lists them) with the sshd of its connection and all that runs in
 * it; other connections that netrig keeps, whose sshd was put into the host from outside (parent 0) or by netrig's own socket
 * unit (`units`: pids in its control groups); the first process of a light host; the shells around commands that steps have
 * started. The commands themselves, which have left the session that started them, are the scenario's.
 */
export function ownProcesses(all: readonly ProcessFacts[], self: number, units: ReadonlySet<number>): Set<number> {
  const byPid = new Map(all.map((one) => [one.pid, one]));
  let top = byPid.get(self);
  for (let next = top && byPid.get(top.parent); next && next.pid !== 1; next = byPid.get(next.parent)) {
    if (/^sshd/.test(next.name) && !servesConnection(next)) break;
    top = next;
  }
  const own = new Set(
    all
      .filter(
        (one) =>
          one === top ||
          keepsExitStatus(one) ||
          keepsLightHost(one) ||
          (servesConnection(one) && one.pid !== 1 && (one.parent === 0 || (one.parent === 1 && units.has(one.pid)))),
      )
      .map(({ pid }) => pid),
  );
  const session = new Set(top === undefined ? [] : [top.pid]);
  // A parent may stand after its child in the listing: until nothing is added.
  for (let size = -1; size !== session.size;) {
    size = session.size;
    for (const one of all) if (session.has(one.parent)) session.add(one.pid);
  }
  return new Set([...own, ...session]);
}

/** The pids named by the `/proc/PID/cgroup` lines that `grep -H` found. */
export function parsePids(lines: string): Set<number> {
  return new Set(lines.split('\n').flatMap((line) => (entry.test(line) ? [Number(entry.exec(line)![1])] : [])));
}

export interface ListeningSocket {
  protocol: 'tcp' | 'udp';
  /** As the kernel bound it: `0.0.0.0`, `127.0.0.1`, `::`. */
  address: string;
  port: number;
  inode: number;
}

/** Addresses in /proc/net stand as 32-bit words in the byte order of the machine: little-endian on all that run these hosts. */
function addressOf(hex: string): string {
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) =>
    (word.match(/../g) ?? []).reverse().map((byte) => parseInt(byte, 16)),
  );
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_unused, i) => ((bytes[2 * i]! << 8) | bytes[2 * i + 1]!).toString(16));
  // RFC 5952: the longest run of zeros, from two on, is written as "::".
  const zeros = groups
    .join(':')
    .match(/(?:^|:)0(?::0)+(?=:|$)/g)
    ?.sort((a, b) => b.length - a.length)[0];
  if (zeros === undefined) return groups.join(':');
  const text = groups.join(':');
  const at = text.indexOf(zeros);
  return `${text.slice(0, at)}::${text.slice(at + zeros.length).replace(/^:/, '')}`;
}

/**
 * Sockets that wait for somebody, from /proc/net/{tcp,tcp6,udp,udp6} one after the other: TCP in the state LISTEN (0A), UDP
 * without a peer (07). `null`: a line in a form that is not known.
 */
export function parseSockets(text: string, protocol: 'tcp' | 'udp'): ListeningSocket[] | null {
  const sockets: ListeningSocket[] = [];
  for (const line of text.split('\n')) {
    if (line.trim() === '' || /^ *sl /.test(line)) continue;
    const columns = line.trim().split(/ +/);
    const [, local, , state] = columns;
    const inode = columns[9];
    const [, hex, port] = /^((?:[0-9A-F]{8}){1,4}):([0-9A-F]{4})$/.exec(local ?? '') ?? [];
    if (
      hex === undefined ||
      port === undefined ||
      (hex.length !== 8 && hex.length !== 32) ||
      !/^[0-9A-F]{2}$/.test(state ?? '') ||
      !/^\d+$/.test(inode ?? '')
    )
      return null;
    if (state === (protocol === 'tcp' ? '0A' : '07'))
      sockets.push({ protocol, address: addressOf(hex), port: parseInt(port, 16), inode: Number(inode) });
  }
  return sockets;
}

/** Which processes hold which socket inodes, from `find /proc/PID/fd -lname 'socket:*' -printf '%h %l\n'`. */
export function parseHolders(text: string): Map<number, Set<number>> {
  const holders = new Map<number, Set<number>>();
  for (const line of text.split('\n')) {
    const [, pid, inode] = /^\/proc\/(\d+)\/fd socket:\[(\d+)\]$/.exec(line) ?? [];
    if (pid === undefined || inode === undefined) continue;
    const held = holders.get(Number(pid)) ?? new Set<number>();
    holders.set(Number(pid), held.add(Number(inode)));
  }
  return holders;
}

/** Names by their ids, from a passwd or a group file, which are alike in their first three fields. The first of several names of one id counts, as for getpwuid(3) and getgrgid(3). */
export function parsePasswd(text: string): Map<number, string> {
  const names = new Map<number, string>();
  for (const line of text.split('\n')) {
    const [name, , uid] = line.split(':');
    if (name !== undefined && name !== '' && uid !== undefined && /^\d+$/.test(uid) && !names.has(Number(uid)))
      names.set(Number(uid), name);
  }
  return names;
}

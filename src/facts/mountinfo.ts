/** One mount, as proc(5) states it in /proc/PID/mountinfo. */
export interface Mount {
  /** Where it is mounted, as the process sees it. */
  at: string;
  /** What of the mounted file system is shown there: `/` for all of it; the directory or file of a bind mount. */
  root: string;
  /** Device, server or name: `/dev/vda`, `tmpfs`. */
  source: string;
  fstype: string;
  /** Those of the mount, then those of its file system that the mount does not have: `ro`, `nosuid`, `size=64k`. */
  options: string[];
}

/** Blank, tab, line end and backslash stand as octal numbers. */
const unescape = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_all, code: string) => String.fromCharCode(parseInt(code, 8)));

/** The mount table in the order of mounting: of several at one place the last is seen. `null`: a line in a form that is not known. */
export function parseMountinfo(text: string): Mount[] | null {
  const mounts: Mount[] = [];
  for (const line of text.split('\n')) {
    if (line === '') continue;
    // 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue; optional fields before the dash.
    const [, root, at, own, fstype, source, shared] =
      /^\d+ \d+ \d+:\d+ (\S+) (\S+) (\S+)(?: [a-z_]+(?::\d+)?)* - (\S+) (\S*) (\S+)$/.exec(line) ?? [];
    if (
      root === undefined ||
      at === undefined ||
      own === undefined ||
      fstype === undefined ||
      source === undefined ||
      shared === undefined
    )
      return null;
    const options = own.split(',');
    // Both lists say rw or ro: that of the mount counts for whoever writes there, unless the file system itself is read-only.
    if (shared.split(',').includes('ro') && options.includes('rw')) options[options.indexOf('rw')] = 'ro';
    mounts.push({
      at: unescape(at),
      root: unescape(root),
      source: unescape(source),
      fstype,
      options: [...new Set([...options, ...shared.split(',').filter((one) => one !== 'rw' && one !== 'ro')])].map(
        unescape,
      ),
    });
  }
  return mounts;
}

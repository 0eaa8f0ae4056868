/** A host image that is built and ready: the read-only base of lab hosts. */
export interface HostImage {
  /** `debian-11` */
  name: string;
  /** `bullseye` */
  suite: string;
  /** Which build of it this is: its content key, and when it was built. What is made over a tree is made over that build of it. */
  build: string;
  /** Absolute directory of the read-only root tree. */
  root: string;
  /** Absolute directories of overlay layers over the tree, the topmost first: packages, for one. */
  layers: string[];
  /** The engine's upstream version as its package states it (`20.10.5`); `''` where the image has none. */
  engineVersion: string;
  /** What the image's systemd needs to see at /sys/fs/cgroup: systemd 257 and later exit at once on version 1. */
  cgroup: 'hybrid' | 'v2';
  /** Absolute directory of a warmed /var/lib/docker that holds the container images; never written to once it is built. */
  dockerData: string | null;
  /** Names of the container images in `dockerData`, each tagged `NAME:latest`. */
  containerImages: string[];
  /** Where the tree is not netrig's: the root of the image that its tools come from, and the tree's own systemd, `null` for none. */
  foreign?: { tools: string; systemd: string | null };
}

/** One row of the table of host images: what `netrig images list` shows and a build starts from. */
export interface HostImageRow {
  name: string;
  suite: string;
  cgroup: 'hybrid' | 'v2';
  /** The engine that the suite carries, as far as is known before a build (`20.10.5`); the built image states its own. */
  engine: string;
  /** Packages beyond those that every image has. */
  packages: readonly string[];
  /** Whether the suite has `SUITE-updates` and `SUITE-security` beside it. */
  hasUpdates: boolean;
  containerImages: readonly string[];
  /** Lines for sshd_config that only this suite's sshd understands. */
  sshdOptions: readonly string[];
  /** Units that only this suite has and a lab host has no use for. */
  masked: readonly string[];
}

export interface HostImageStatus {
  name: string;
  suite: string;
  /** `stale`: built from an older recipe; the next use builds it anew. */
  state: 'ready' | 'stale' | 'absent';
  /** As stated by the built image; as expected by the table where it is absent. */
  engineVersion: string;
  /** Absolute directory in the cache; `null` where absent. */
  directory: string | null;
  /** Bytes on disk; 0 where absent. */
  sizeBytes: number;
  /** ISO 8601; `null` where absent. */
  builtAt: string | null;
  containerImages: string[];
}

/** OpenSSH 9.8 and later refuse a source for a while after connections that did not log in: repeated probes of port 22 would be refused for no reason of the lab's. */
const noSshdPenalties = ['PerSourcePenalties no'];

/** Services of systemd 256 and later that listen from the start: for consoles, images and credentials that a lab host has none of. */
const newerSockets = [
  'systemd-ask-password.socket',
  'systemd-creds.socket',
  'systemd-factory-reset.socket',
  'systemd-journalctl.socket',
  'systemd-mute-console.socket',
  'systemd-sysext.socket',
  'systemd-sysinstall.socket',
];

/** The Debian releases that lab hosts can be made of. A new one is a row here. */
export const hostImageRows: readonly HostImageRow[] = [
  {
    name: 'debian-11',
    suite: 'bullseye',
    cgroup: 'hybrid',
    engine: '20.10.5',
    packages: ['dnsutils', 'consul'],
    hasUpdates: true,
    containerImages: ['busybox', 'web', 'consul'],
    sshdOptions: [],
    masked: [],
  },
  {
    name: 'debian-12',
    suite: 'bookworm',
    cgroup: 'hybrid',
    engine: '20.10.24',
    packages: ['bind9-dnsutils'],
    hasUpdates: true,
    containerImages: ['busybox', 'web'],
    sshdOptions: [],
    masked: [],
  },
  {
    name: 'debian-13',
    suite: 'trixie',
    cgroup: 'hybrid',
    engine: '26.1.5',
    packages: ['bind9-dnsutils', 'docker-cli'],
    hasUpdates: true,
    containerImages: ['busybox', 'web'],
    sshdOptions: noSshdPenalties,
    masked: newerSockets,
  },
  {
    name: 'debian-sid',
    suite: 'sid',
    cgroup: 'v2',
    engine: '28.5.2',
    packages: ['bind9-dnsutils', 'docker-cli'],
    hasUpdates: false,
    containerImages: ['busybox', 'web'],
    sshdOptions: noSshdPenalties,
    masked: newerSockets,
  },
];

/** The row of that name, or undefined. */
export function findHostImageRow(name: string): HostImageRow | undefined {
  return hostImageRows.find((row) => row.name === name);
}

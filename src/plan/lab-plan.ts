import type { Pins } from '../images/pins.js';
import type { WantedImage } from '../images/containers/wanted-image.js';
import type { ResourceLimits } from '../model/size.js';

/** A network interface of a lab host. `address` is in CIDR form (`10.10.10.11/24`); `null` leaves the interface without one. */
export interface InterfacePlan {
  /** `eth0`, `eth1`, … in the order in which the scenario's segments name the host. */
  name: string;
  /** The host's own name for it, where that is another one: on a machine that existed before the lab, which knows `name` as an alternative. */
  device?: string;
  segment: string;
  address: string | null;
  /** Beside `address`, one of the other family, on a segment with two subnets. */
  further?: string[];
  mac: string;
}

export interface RoutePlan {
  /** A subnet in CIDR form, or `default`. */
  to: string;
  via: string;
}

/** A file or directory of this machine that a host has from the start. */
export interface HostFilePlan {
  /** Absolute path on this machine. */
  from: string;
  /** Absolute path on the host. */
  to: string;
  /** `frr`, `frr:frr`, as the host knows them; left out for root. */
  owner?: string;
  /** Permission bits of a file; left out for those that it has. */
  mode?: number;
  /** Where it is named, for errors: `lab.yaml:7:9`. */
  place: string;
}

export interface HostPlan {
  name: string;
  /** A host image that exists: `debian-11`. */
  image: string;
  /** In place of an image: a root file system, or the archive of an OCI image, of this machine; `image` is then its name for people. */
  root?: { kind: 'root' | 'oci'; path: string; place: string };
  /** `systemd`: a full Debian boot. `light`: own root and SSH, no systemd and no engine. */
  init: 'systemd' | 'light';
  /** Whether the Docker engine of the image is to be usable. */
  engine: boolean;
  /** The engine is left to start at the first docker command; otherwise provisioning starts it. */
  engineOnDemand?: boolean;
  /** Container images of netrig's own that must be in the engine's store when the host is up: `busybox`, `web`, `consul`. */
  containerImages: string[];
  /** Further ones, from elsewhere; left out where there are none. */
  wantedImages?: WantedImage[];
  /** What a lock file says of them and of `packages`; left out where there is none. */
  pins?: Pins;
  interfaces: InterfacePlan[];
  routes: RoutePlan[];
  sysctls: Record<string, string>;
  /** Debian packages that it has beyond those of its image, sorted; left out where there are none. */
  packages?: string[];
  /** Where the scenario names them, as `FILE:LINE:COLUMN` by package; left out where there are none. */
  packagePlaces?: Record<string, string>;
  /** What it has from the start, in this order; left out where there is nothing. */
  files?: HostFilePlan[];
  /** `docker pull` is typed there, and no registry can be reached: one of its own tells the engine that it has what it has. */
  pullsWhatItHas?: true;
  /** It has a way to the outside, by the machine; left out where it has none. */
  outside?: true;
  /** What it resolves as a name server of the lab; left out for others. */
  records?: { name: string; addresses: string[] }[];
  /** Names, and the addresses that have them, for which it as a name server asks another one; left out where there are none. */
  passesOn?: { names: string[]; addresses: string[]; to: string }[];
  /** Addresses outside the lab that it stands for; left out where there are none. */
  standsFor?: string[];
  /** Addresses of name servers of the lab that it asks; left out where there are none. */
  asks?: string[];
  /** What it may use of the machine, as far as somebody says; for providers whose hosts share the machine. */
  limits?: ResourceLimits;
}

/** A layer-2 segment: one broadcast domain. Hosts of the plan point to it by name. */
export interface SegmentPlan {
  name: string;
  subnet: string;
  /** Beside `subnet`, one of the other family. */
  further?: string[];
  mtu: number | null;
}

/** Everything a provider needs to know. Pure data, JSON-serialisable, no reference to where it came from. */
export interface LabPlan {
  /** The scenario's name with matrix values, for people. */
  title: string;
  /** `[a-z0-9-]{1,24}`: made from the scenario's name; the lab's id is this plus a random part. */
  slug: string;
  hosts: HostPlan[];
  segments: SegmentPlan[];
  /** Milliseconds that one host may take to answer SSH. */
  bootTimeoutMs: number;
  /** What all hosts together may use of the machine. */
  limits?: ResourceLimits;
}

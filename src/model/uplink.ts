/**
 * The network between a host and its way to the outside, the same for each host that has one: no two of them meet on it. It is of
 * the range for benchmarks (RFC 2544), which neither labs nor engines use.
 */
export const uplink = {
  device: 'uplink0',
  subnet: '198.18.255.0/24',
  /** Of the host; slirp4netns gives out no other. */
  address: '198.18.255.100',
  gateway: '198.18.255.2',
  nameServer: '198.18.255.3',
  /** Behind every route of the lab. */
  metric: 65_000,
} as const;

/** As `uplink`, between that network and the machine: no host ever sees it. */
export const gate = {
  device: 'gate0',
  subnet: '198.18.254.0/24',
  address: '198.18.254.100',
  gateway: '198.18.254.2',
  nameServer: '198.18.254.3',
} as const;

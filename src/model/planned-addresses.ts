/** Every address of a planned interface, in CIDR form. */
export function addressesOf(nic: { address: string | null; further?: readonly string[] }): string[] {
  return [...(nic.address === null ? [] : [nic.address]), ...(nic.further ?? [])];
}

/** Every subnet of a planned segment. */
export function subnetsOf(segment: { subnet: string; further?: readonly string[] }): string[] {
  return [segment.subnet, ...(segment.further ?? [])];
}

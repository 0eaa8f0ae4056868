/**
 * Where a key of `sysctls:` is below /proc/sys. As sysctl(8) reads it: the first of the two separators in it separates, and
 * the other one then stands for itself inside a name, swapped (`net/ipv4/conf/eth0.100/rp_filter`, or
 * `net.ipv4.conf.eth0/100.rp_filter`).
 */
export function sysctlPath(key: string): string {
  const dotted = /^[^./]*\./.test(key);
  const path = dotted ? key.replace(/[./]/g, (one) => (one === '.' ? '/' : '.')) : key;
  return `/proc/sys/${path}`;
}

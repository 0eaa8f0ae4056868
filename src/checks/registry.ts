import { addressCheck } from './address.js';
import { arpCheck } from './arp.js';
import { availabilityCheck } from './availability.js';
import { bgpCheck } from './bgp.js';
import { bridgeCheck } from './bridge.js';
import { captureCheck } from './capture.js';
import { commandCheck } from './command.js';
import { conntrackCheck } from './conntrack.js';
import { consulCheck } from './consul.js';
import { counterCheck } from './counter.js';
import { dhcpCheck } from './dhcp.js';
import { dnsCheck } from './dns.js';
import { dockerCheck } from './docker.js';
import { fdbCheck } from './fdb.js';
import { fileCheck } from './file.js';
import { httpCheck } from './http.js';
import { iptablesCheck } from './iptables.js';
import type { CheckKind } from './kind.js';
import { linkCheck } from './link.js';
import { mtuCheck } from './mtu.js';
import { neighbourCheck } from './neighbour.js';
import { netnsCheck } from './netns.js';
import { ospfCheck } from './ospf.js';
import { ovsCheck } from './ovs.js';
import { pingCheck } from './ping.js';
import { portCheck } from './port.js';
import { processCheck } from './process.js';
import { reachCheck } from './reach.js';
import { routeCheck } from './route.js';
import { serviceCheck } from './service.js';
import { sysctlCheck } from './sysctl.js';
import { throughputCheck } from './throughput.js';
import { tlsCheck } from './tls.js';

/**
 * A kind whose own spec type is put aside: it is only ever given what its own schema made, so that the registry can hold
 * kinds of different specs in one list.
 */
function registered<Spec>(kind: CheckKind<Spec>): CheckKind {
  return kind as CheckKind<never> as CheckKind;
}

/** Every check kind of the language, in the order of the reference page. */
export const checkKinds: readonly CheckKind[] = [
  registered(pingCheck),
  registered(mtuCheck),
  registered(dnsCheck),
  registered(portCheck),
  registered(httpCheck),
  registered(reachCheck),
  registered(commandCheck),
  registered(addressCheck),
  registered(linkCheck),
  registered(bridgeCheck),
  registered(ovsCheck),
  registered(routeCheck),
  registered(dockerCheck),
  registered(captureCheck),
  registered(consulCheck),
  registered(processCheck),
  registered(serviceCheck),
  registered(fileCheck),
  registered(iptablesCheck),
  registered(counterCheck),
  registered(sysctlCheck),
  registered(netnsCheck),
  registered(arpCheck),
  registered(neighbourCheck),
  registered(fdbCheck),
  registered(conntrackCheck),
  registered(ospfCheck),
  registered(bgpCheck),
  registered(tlsCheck),
  registered(dhcpCheck),
  registered(throughputCheck),
  registered(availabilityCheck),
];

/** The kind that a check's key names, if there is one. */
export function checkKindNamed(name: string): CheckKind | undefined {
  return checkKinds.find((kind) => kind.name === name);
}

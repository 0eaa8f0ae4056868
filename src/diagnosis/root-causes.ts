import type { RootCause } from '../model/verdict.js';

export interface RootCauseEntry {
  /** What it is, in a sentence. */
  meaning: string;
  /** What a person sees who does not know yet. */
  looksLike: string;
  /** What netrig takes for proof. */
  known: string;
  mend: string;
}

/** Every root cause that a diagnosis can name. `docs/causes.md` is made from it. */
export const rootCauseCatalogue: Record<RootCause, RootCauseEntry> = {
  'no-route': {
    meaning: 'A host on the way has no route to the destination.',
    looksLike: '`no-route` at the sender, `net-unreachable` or silence from a router.',
    known: 'The packet was last seen at that host, and none of its rules and tables has a route for it.',
    mend: '`ip route add DESTINATION via GATEWAY` on that host.',
  },
  'wrong-route': {
    meaning:
      'A route leads to a next hop that does not lead there: a gateway that nobody has, a host that is no router, or a far address taken for a neighbour, as by a network of an engine with addresses of a segment.',
    looksLike: '`host-unreachable` or `timeout`.',
    known:
      'The route of the host, and who in the lab has the next hop’s address, on which segment, with which routes of its own.',
    mend: '`ip route replace` with the right gateway, or the right prefix length of the address.',
  },
  'route-refuses': {
    meaning: 'A `blackhole`, `unreachable` or `prohibit` route is the best one.',
    looksLike: 'Silence, `host-unreachable` or `prohibited`.',
    known: 'The packet was last seen at that host, and the longest prefix of its table is that route.',
    mend: '`ip route del TYPE DESTINATION`.',
  },
  'policy-rule': {
    meaning: 'A rule of the routing policy (`ip rule`) refuses the packet, or sends it to a table that does.',
    looksLike: 'The main table looks right, and nothing arrives.',
    known: 'The rule that matches the packet’s addresses and interface, by priority.',
    mend: '`ip rule del priority N`.',
  },
  'routing-loop': {
    meaning: 'Routers send the packet to each other until its TTL is used up.',
    looksLike: '`net-unreachable`, `host-unreachable` or `timeout`.',
    known: 'The packet was captured as it came to the same router again and again, with a TTL that fell.',
    mend: 'A route to the destination on the router that sends it back.',
  },
  'ttl-too-small': {
    meaning: 'The packet’s TTL (hop limit) is used up before it is there.',
    looksLike: '`timeout` or `host-unreachable`, while near hosts are reached.',
    known: 'The packet was captured with a TTL of 1 as it came to a router that had to pass it on.',
    mend: '`sysctl -w net.ipv4.ip_default_ttl=64` at the sender; no rule that sets the TTL.',
  },
  'neighbour-silent': {
    meaning: 'The next hop gets the question for its MAC address (ARP, neighbour discovery) and does not answer it.',
    looksLike: '`host-unreachable` after three seconds.',
    known: 'The question was captured as it came in at the host that has the address, and no answer left it.',
    mend: 'Where `arp_ignore` is set: `sysctl -w net.ipv4.conf.IF.arp_ignore=0`.',
  },
  'neighbour-wrong': {
    meaning:
      'An entry of a neighbour table or of a bridge’s forwarding database leads to a MAC address that nobody has, or to the wrong port.',
    looksLike: '`timeout`; both ends look right.',
    known: 'The MAC address that the packet was sent to, compared with those of all interfaces of the lab.',
    mend: '`ip neigh del ADDRESS dev IF`, `bridge fdb del MAC dev PORT master`.',
  },
  'address-missing': {
    meaning: 'Nobody has the address, or the host that should have it has another one.',
    looksLike: '`host-unreachable`; `timeout` while neighbour tables are stale.',
    known: 'The addresses of all network namespaces of all hosts.',
    mend: '`ip addr add ADDRESS/PREFIX dev IF`.',
  },
  'address-twice': {
    meaning: 'Two have the address on one segment.',
    looksLike: 'Works now and then, or answers come from somebody else.',
    known: 'Both answered the question for its MAC address, or both have it on that segment.',
    mend: 'Take the address away from one of them.',
  },
  'mac-twice': {
    meaning: 'Two interfaces of one segment have the same MAC address.',
    looksLike: 'Works now and then; a bridge sends frames to the port that spoke last.',
    known: 'The MAC addresses of all interfaces on that segment.',
    mend: '`ip link set IF address MAC` on one of them.',
  },
  'link-down': {
    meaning: 'An interface, bridge or port on the way is down.',
    looksLike: '`timeout`, `host-unreachable` or `no-route`: routes go with their interface.',
    known: 'The flags of the interface at which the packet, or the question for its next hop, was lost.',
    mend: '`ip link set IF up`.',
  },
  'no-carrier': {
    meaning: 'An interface is up, and what it is plugged into is not.',
    looksLike: 'As with `link-down`.',
    known: 'The flags of the interface, and of the other end of a veth pair.',
    mend: 'Set the other end up.',
  },
  'link-loss': {
    meaning: 'Frames are lost on a wire or in the queue of an interface.',
    looksLike: '`timeout`, or losses.',
    known:
      'The queue counted dropped packets while the probe was on its way; or one end sent the frame, and the other did not get it.',
    mend: '`tc qdisc del dev IF root` where a queue loses them.',
  },
  'link-delay': {
    meaning: 'A queue holds frames for longer than the probe waits.',
    looksLike: '`timeout`; with a longer wait it works.',
    known: 'The queue of the interface that the packet had to leave by, and its delay.',
    mend: '`tc qdisc del dev IF root`.',
  },
  'not-a-bridge-port': {
    meaning: 'An interface that leads to one of the ends is no port of the bridge that should join them.',
    looksLike: '`host-unreachable` between neighbours.',
    known: 'The other end of the veth pair, and the bridge that it is in.',
    mend: '`ip link set IF master BRIDGE`.',
  },
  'port-not-forwarding': {
    meaning:
      'A port of a bridge does not pass frames: its state (STP) is another than forwarding, or ports are isolated from each other.',
    looksLike: '`host-unreachable` between neighbours; with STP it goes away after half a minute.',
    known: 'The state and flags of the ports between which the frame was lost.',
    mend: 'Wait for STP, or `bridge link set dev PORT isolated off`.',
  },
  'vlan-mismatch': {
    meaning: 'Two ends are in different VLANs, or one is in none.',
    looksLike: '`host-unreachable` between neighbours.',
    known: 'The VLAN ids of both interfaces, or of the ports of a bridge that filters.',
    mend: 'The same VLAN id at both ends.',
  },
  'tunnel-mismatch': {
    meaning:
      'The two ends of a tunnel do not fit: network identifier, port, remote address, or a forwarding entry that is missing.',
    looksLike: '`host-unreachable` or `timeout` inside the tunnel; the hosts reach each other.',
    known: 'The encapsulated packet was captured, and compared with the tunnel interface of the host that got it.',
    mend: 'The same identifier and port at both ends; `bridge fdb append 00:00:00:00:00:00 dev VXLAN dst REMOTE`.',
  },
  mtu: {
    meaning: 'The packet is larger than a link on the way takes, and may not be fragmented.',
    looksLike:
      '`too-big`; `timeout` for large packets only where the word about it is filtered: a connection is taken, and then no page comes.',
    known:
      'The size of the packet and the MTU of the interface that it should have left by; of a connection, what was sent on it and is not acknowledged, and a packet of that size that is followed the same way.',
    mend: 'A larger MTU there, or a smaller one at the ends; let ICMP “fragmentation needed” pass.',
  },
  'forwarding-off': {
    meaning: 'A host got a packet for somebody else and does not forward.',
    looksLike: '`timeout`; its neighbours reach it.',
    known: 'The packet was captured as it came in, its destination is no address of the host, and the sysctl is 0.',
    mend: '`sysctl -w net.ipv4.ip_forward=1`, `net.ipv6.conf.all.forwarding=1`.',
  },
  'rp-filter': {
    meaning: 'Reverse path filtering drops it: the host would not answer by the interface it came by.',
    looksLike: '`timeout`, and no rule of a firewall counts anything.',
    known: 'The sysctl, the host’s route back to the sender, and the kernel’s counter IPReversePathFilter, which rose.',
    mend: 'A route back by that interface, or `rp_filter=0` (or 2) for it and for `all`.',
  },
  filtered: {
    meaning: 'A rule or the policy of a chain drops or rejects the packet or its answer.',
    looksLike: '`timeout`, `refused`, `prohibited`, `port-unreachable`.',
    known: 'nftables’ own trace of the packet; for legacy iptables, the counter of a rule that fits it.',
    mend: 'Remove or narrow that rule, or accept the packet before it.',
  },
  'nat-missing': {
    meaning: 'A packet leaves a host with an address that only this host knows: it should have been translated.',
    looksLike: '`timeout` from containers to the outside.',
    known:
      'The packet was captured at the other end with that address, which no segment of the lab has and nobody there has a route to.',
    mend: '`iptables -t nat -A POSTROUTING -s SUBNET ! -o BRIDGE -j MASQUERADE`.',
  },
  'nat-wrong': {
    meaning:
      'A rule translates the packet to an address that nobody has, or to a port that nobody listens on; or who translated it does not translate the answer back.',
    looksLike: '`timeout` or `refused` at a published port.',
    known: 'The packet’s addresses before and after the rule.',
    mend: 'Mend the rule’s target.',
  },
  'conntrack-stale': {
    meaning: 'A connection that is already tracked goes on being translated as it was when it began.',
    looksLike: 'UDP from a fixed port still goes to a container that is gone; a new port works.',
    known: 'The tracked connection’s translation, which no rule makes any more.',
    mend: '`conntrack -D` for that connection.',
  },
  'nobody-listens': {
    meaning: 'The packet came to the host, and no process listens on that port.',
    looksLike: '`refused`; `port-unreachable` for UDP; `no-answer` of a `dhcp` check.',
    known:
      'The refusal left that host, no rule rejected the packet, and the list of its sockets; of a question for an address, who on the segment got it.',
    mend: 'Start the service, or ask the port that it has.',
  },
  'listens-elsewhere': {
    meaning: 'The service listens on another address (127.0.0.1), the other IP version, or with the other protocol.',
    looksLike: '`refused`, while it works on the host itself.',
    known: 'The list of sockets of the host.',
    mend: 'Let it listen on the address that is asked, or on all.',
  },
  'container-not-running': {
    meaning: 'The container that has the address or publishes the port has ended, or is paused.',
    looksLike: '`refused`, or `timeout` after the connection was taken.',
    known: 'The engine says so.',
    mend: '`docker start NAME`, `docker unpause NAME`.',
  },
  'queue-full': {
    meaning: 'A process listens and does not accept: as many connections wait for it as it lets wait.',
    looksLike: '`timeout` at a port that is open.',
    known: 'The packet was captured at its destination, and the queue of the listening socket is full.',
    mend: 'Mend the service: it hangs, or has more connections than it can serve.',
  },
  'process-stopped': {
    meaning: 'The process that listens is stopped (SIGSTOP), so that it answers nothing.',
    looksLike: '`timeout` after the connection was taken.',
    known: 'The state of the process that has the listening socket.',
    mend: '`kill -CONT PID`.',
  },
  'no-way-back': {
    meaning: 'The packet arrived, and the answer has no route.',
    looksLike: '`timeout`, exactly as if the packet had been dropped.',
    known:
      'The packet was captured at its destination, and no rule and table there (or at a router on the way back) has a route to the sender.',
    mend: '`ip route add SENDER via GATEWAY` there.',
  },
  'asymmetric-way-back': {
    meaning:
      'The answer takes another way than the packet, and is lost on it, or comes past who would translate it back.',
    looksLike: '`timeout`.',
    known: 'The answer was captured on its way.',
    mend: 'A route back by the way that the packet came.',
  },
  'resolver-unreachable': {
    meaning: 'The name server that the place asks cannot be reached.',
    looksLike: '`unknown-host` after a wait.',
    known: 'The question was followed to where it is lost.',
    mend: 'As the cause of that loss says.',
  },
  'resolver-wrong': {
    meaning:
      'The place asks a name server that does not know, and not the one that does; or completes short names by another domain than the one that has them.',
    looksLike: '`nxdomain`, `unknown-host`.',
    known: 'The place’s resolv.conf, and the answer of the server that it names.',
    mend: 'The right `nameserver` line, or the right domain after `search`.',
  },
  'name-not-here': {
    meaning:
      'The name exists, but not for the one who asks: in another network, on another engine, or with another suffix.',
    looksLike: '`nxdomain` from the engine’s embedded server.',
    known: 'The engines’ lists of containers, their networks and aliases.',
    mend: 'Join the container to the network of the one that has the name: `docker network connect NETWORK CONTAINER`.',
  },
  'answer-from-another': {
    meaning: 'Somebody else than the one that is meant answers at that address.',
    looksLike: '`wrong-answer`; without netrig, it works, with the wrong content.',
    known:
      'Where the packet was delivered. That the target had no part in it, its own counters say: nothing of the probe came in there (/proc/net/snmp and snmp6).',
    mend: 'Mend the route, the translation or the neighbour entry that leads there.',
  },
  'sysctl-refuses': {
    meaning: 'The host is told not to answer such a probe (`icmp_echo_ignore_all`).',
    looksLike: '`timeout` of pings; connections work.',
    known: 'The packet was captured at its destination, and the sysctl.',
    mend: '`sysctl -w net.ipv4.icmp_echo_ignore_all=0`.',
  },
};

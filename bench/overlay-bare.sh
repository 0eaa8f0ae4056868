#!/bin/bash
# What scenarios/overlay/consul.yaml does and proves, as a person would script it by hand: the same three hosts by the bare
# recipe, the same commands, the same containers, the same probes and outcomes asserted, by nsenter. Ends with 0 when all held.
. "$(dirname -- "$0")/bare-lab.sh"
checks=0

# check WHAT COMMAND…: must succeed.
check() {
  local what=$1
  shift
  "$@" || fail "not so: $what"
  checks=$((checks + 1))
}

# within SECONDS WHAT COMMAND…: must succeed in that time.
within() {
  local until=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    [ "$SECONDS" -lt "$until" ] || fail "not in time: $what"
    sleep 0.05
  done
  checks=$((checks + 1))
}

find_large_layer
make_segment
BARE_HOSTS=$'10.10.10.11 node1\n10.10.10.12 node2\n10.10.10.100 client\n'
start_host node1 10.10.10.11/24 "$BARE_DOCKER"
start_host node2 10.10.10.12/24 "$BARE_DOCKER"
start_host client 10.10.10.100/24
wait_for_ssh

check 'node1 reaches node2' on node1 ping -n -c 2 -i 0.05 -W 1 10.10.10.12 >"$BARE_STATE/out"

# Consul
has_leader='until curl -sf -m 2 http://127.0.0.1:8500/v1/status/leader | grep -qF :8300; do sleep 0.1; done'
on node1 setsid sh -c 'exec consul agent -server -bootstrap -node node1 -data-dir /opt/consul -bind 10.10.10.11 -hcl "performance { raft_multiplier = 1 }" >/var/log/consul.log 2>&1' </dev/null &
on node1 timeout 30 sh -c "$has_leader" || fail 'no leader on node1'
on node2 setsid sh -c 'exec consul agent -node node2 -data-dir /opt/consul -bind 10.10.10.12 -retry-join 10.10.10.11 -retry-interval 1s >/var/log/consul.log 2>&1' </dev/null &
on node2 timeout 30 sh -c "$has_leader" || fail 'no leader on node2'
leader_is_node1() { [ "$(on node2 curl -s http://127.0.0.1:8500/v1/status/leader)" = '"10.10.10.11:8300"' ]; }
two_alive() { [ "$(on node1 curl -s http://127.0.0.1:8500/v1/agent/members | grep -oE '"(Name":"node[12]"|Status":1,)' | sort | uniq -c | tr -s ' \n' ' ')" = ' 1 "Name":"node1" 1 "Name":"node2" 2 "Status":1, ' ]; }
check 'the leader is node1' leader_is_node1
within 10 'two members, both alive' two_alive

# Docker on Consul
for node in node1 node2; do
  on $node sh -c 'mkdir -p /etc/systemd/system/docker.service.d && cat >/etc/systemd/system/docker.service.d/cluster.conf' <<'END' || fail 'the drop-in was not written'
[Service]
ExecStart=
ExecStart=/usr/sbin/dockerd -H unix:///var/run/docker.sock --cluster-store=consul://localhost:8500 --cluster-advertise=eth0:2375
END
done
for node in node1 node2; do
  on $node sh -c 'systemctl daemon-reload && systemctl restart docker' || fail "docker did not restart on $node"
done
store_is_consul() { [ "$(on "$1" docker info --format '{{.ClusterStore}}' 2>/dev/null)" = consul://localhost:8500 ]; }
check 'node1 stores in Consul' store_is_consul node1
check 'node2 stores in Consul' store_is_consul node2
kv_keys() { on "$1" curl -s "http://127.0.0.1:8500/v1/kv/$2?keys" | grep -oE '"[^"]+"' | wc -l; }
both_known() { [ "$(kv_keys node1 docker/nodes/)" = 2 ]; }
within 10 'both engines in Consul' both_known

# Networks and containers
on node1 sh -c 'docker network create -d overlay ov_net1 && docker network create -d overlay ov_net2' >/dev/null || fail 'networks'
network_of() { on "$1" docker network inspect --format '{{.Id}} {{.Scope}} {{.Driver}} {{(index .IPAM.Config 0).Subnet}}' ov_net1 2>/dev/null; }
same_network() {
  local one two
  one=$(network_of node1) && two=$(network_of node2) && [ "$one" = "$two" ] && [[ $one = *' global overlay '* ]]
}
within 10 'both engines list ov_net1 as the same' same_network
networks_stored() { [ "$(kv_keys node2 docker/network/v1.0/network/)" -ge 2 ]; }
check 'networks in the store' networks_stored
on node1 sh -ec 'docker run -d --name bbox1 --network ov_net1 busybox sleep 86400
docker run -d --name bbox4 --network ov_net2 busybox sleep 86400' >/dev/null || fail 'containers of node1'
on node2 sh -ec 'docker run -d --name bbox2 --network ov_net1 --restart always --stop-signal KILL busybox sleep 86400
docker run -d --name bbox3 --network ov_net2 --stop-signal KILL busybox sleep 86400' >/dev/null || fail 'containers of node2'

# facts NODE CONTAINER NETWORK: pid and address
facts() { on "$1" docker inspect --format "{{.State.Pid}} {{.NetworkSettings.Networks.$3.IPAddress}}" "$2"; }
read -r pid1 address1 <<<"$(facts node1 bbox1 ov_net1)"
read -r pid2 address2 <<<"$(facts node2 bbox2 ov_net1)"
read -r pid3 _ <<<"$(facts node2 bbox3 ov_net2)"
read -r _ address4 <<<"$(facts node1 bbox4 ov_net2)"
distinct() { [[ $address1 = 10.0.0.* && $address2 = 10.0.0.* && $address1 != "$address2" ]]; }
has_address() { [[ $(on "$1" nsenter -t "$2" -n ip -o -4 address show to "$3") = *"$3"* ]]; }
check 'distinct addresses in the subnet' distinct
check 'bbox1 has its address' has_address node1 "$pid1" "$address1"
check 'bbox2 has its address' has_address node2 "$pid2" "$address2"

by_name() { on "$1" docker exec "$2" ping -c 2 -i 0.05 -W 1 "$3" >/dev/null 2>&1; }
by_address() { on "$1" nsenter -t "$2" -n ping -n -c 2 -i 0.05 -W 1 "$3" >/dev/null; }
within 20 'bbox2 reaches bbox1 by name' by_name node2 bbox2 bbox1
within 20 'bbox1 reaches bbox2 by name' by_name node1 bbox1 bbox2
check 'bbox2 reaches bbox1 by address' by_address node2 "$pid2" "$address1"
check 'bbox1 reaches bbox2 by address' by_address node1 "$pid1" "$address2"
asked() { on "$1" nsenter -t "$2" -n dig @127.0.0.11 +time="$4" +tries=1 +short "$3" A; }
resolves() { [ "$(asked "$1" "$2" "$3" 2)" = "$4" ]; }
check 'bbox1 resolves for bbox2' resolves node2 "$pid2" bbox1 "$address1"
check 'bbox2 resolves for bbox1' resolves node1 "$pid1" bbox2 "$address2"
unknown() { [[ ! $(asked node2 "$pid3" bbox1 1) =~ ^[0-9] ]] && [[ $(asked node2 "$pid3" bbox3 2) =~ ^[0-9] ]]; }
check 'bbox1 is not known outside its network' unknown
within 20 'bbox3 reaches bbox4' by_address node2 "$pid3" "$address4"
apart() { ! by_address node2 "$pid3" "$address1" && by_address node2 "$pid2" "$address1"; }
check 'bbox3 does not reach bbox1, bbox2 does' apart
mtu_is() { [[ $(on node1 nsenter -t "$pid1" -n ip -o link show eth0) =~ ' mtu 1450 '.*'state UP' ]]; }
check 'the MTU is 1450' mtu_is

vxlan_seen() {
  local id vni lines
  id=$(network_of node1) && id=${id:0:10}
  vni=$(on node1 sh -c 'for f in /var/run/docker/netns/*-'"$id"'; do nsenter --net="$f" ip -d link show type vxlan; done' | grep -oE 'vxlan id [0-9]+' | grep -oE '[0-9]+') || return 1
  mkfifo "$BARE_STATE/listening"
  on node1 timeout 5 tcpdump -n -v -l --immediate-mode -c 4 -i eth0 udp port 4789 >"$BARE_STATE/packets" 2>"$BARE_STATE/listening" &
  local sniffer=$!
  exec 8<"$BARE_STATE/listening"
  read -r _ <&8
  by_address node2 "$pid2" "$address1" || return 1
  wait "$sniffer"
  exec 8<&-
  lines=$(grep -E '10\.10\.10\.1[12]\.[0-9]+ > 10\.10\.10\.1[12]\.4789: VXLAN' "$BARE_STATE/packets") || return 1
  grep -q '10.10.10.12.[0-9]* > 10.10.10.11.4789' <<<"$lines" && ! grep -qv "vni $vni\$" <<<"$lines"
}
check 'VXLAN with the identifier of ov_net1' vxlan_seen

# Published ports
on node1 sh -ec 'docker run -d --name web --hostname web -p 8080:80 web
docker run -d --name inner --hostname inner -p 127.0.0.1:8081:80 web' >/dev/null || fail 'web servers'
page() { [[ $(on "$1" curl -s -f -m 5 "$2") = *"$3"* ]]; }
# 7 is curl's word for a connection that failed; a silent port would take its time and be 28.
refused() { on client curl -s -m 2 "http://10.10.10.11:$1/" >/dev/null; [ $? = 7 ]; }
within 10 'client gets the published page' page client http://10.10.10.11:8080/ 'web on web'
check 'a port not published is refused' refused 8090
within 10 'node1 gets the local page' page node1 http://127.0.0.1:8081/ 'web on inner'
check 'client is refused at the local port' refused 8081

# A restart
on node2 systemctl restart docker || fail 'docker did not restart on node2'
within 60 'bbox2 reaches bbox1 after the restart' by_name node2 bbox2 bbox1
echo "$checks checks held"

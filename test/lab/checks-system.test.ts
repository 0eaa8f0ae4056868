import { bridgeCheck } from '../../src/checks/bridge.js';
import { fileCheck } from '../../src/checks/file.js';
import { ovsCheck } from '../../src/checks/ovs.js';
import { processCheck } from '../../src/checks/process.js';
import { linkCheck } from '../../src/checks/link.js';
import { serviceCheck } from '../../src/checks/service.js';
import { checkLab, lanHost, lanPlan } from './check-lab.js';

const image = process.env['NETRIG_TEST_IMAGE'] ?? 'debian-12';

const plan = lanPlan('checks-system', [
  lanHost('node1', 11, image, 'systemd', ['busybox']),
  lanHost('dark', 12, image, 'light', null),
]);

describe('checks of bridges, Open vSwitch, processes, services and files, on real hosts', function () {
  this.timeout(60_000);
  const { believing, passes, fails, cannotKnow, run } = checkLab(plan, async () => {
    await run('node1', 'mkdir -p /srv/data && echo shared >/srv/data/page');
    await run(
      'node1',
      'docker network create net1 && docker network create -o com.docker.network.bridge.name=br-mine named',
    );
    await run(
      'node1',
      'docker run -d --name one --network net1 -p 8080:80 -v /srv/data:/data:ro --tmpfs /scratch:size=64k busybox sleep 86400',
    );
    await run(
      'node1',
      'docker run -d --name two --network net1 busybox sleep 86401 && docker run -d --name plain busybox sleep 86402 && docker run -d --name sharer --network container:one busybox sleep 86403',
    );
    await run('node1', 'docker run -d --name dead busybox true');
  });

  describe('process', () => {
    it('passes', async () => {
      await passes(processCheck, {
        on: 'node1',
        name: 'dockerd',
        expect: {
          count: 1,
          user: 'root',
          parent: 'systemd',
          'command-line': { contains: '-H fd://' },
          argv: { contains: '/usr/sbin/dockerd' },
        },
      });
      await passes(processCheck, {
        on: 'node1',
        name: 'docker-proxy',
        listens: { port: 8080, address: '0.0.0.0' },
        expect: { count: 1, parent: 'dockerd', argv: { contains: '-container-port' } },
      });
      await passes(processCheck, { on: 'node1', name: 'sshd', listens: { port: 22, address: '::' } });
      await passes(processCheck, { on: 'node1', argv: ['sleep', '86401'], expect: { count: 1 } });
      await passes(processCheck, { on: 'node1', listens: { port: 8081 }, expect: { absent: true } });
    });
    it('leaves out what netrig itself runs, and nothing else', async () => {
      await passes(processCheck, {
        on: 'node1',
        name: 'sshd',
        expect: { count: 1, argv: { contains: { matches: 'listener' } } },
      });
      await passes(processCheck, { on: 'node1', name: { 'one-of': ['sh', 'grep', 'find'] }, expect: { absent: true } });
      await run('node1', 'sh -c "sleep 86409; true" >/dev/null 2>&1 & true');
      await fails('present', processCheck, { on: 'node1', name: 'sh', expect: { absent: true } });
      await passes(processCheck, { on: 'node1', argv: ['sleep', '86409'], expect: { count: 1, parent: 'sh' } });
      await run('node1', 'kill $(pgrep -fx "sleep 86409")');
    });
    it('passes in a container and in a namespace', async () => {
      await passes(processCheck, { on: 'node1/one', argv: ['sleep', '86400'], expect: { count: 1, user: 'root' } });
      await passes(processCheck, { on: 'node1/one', argv: { contains: 'sleep' }, expect: { count: 1 } });
      await passes(processCheck, { on: 'node1/one', name: 'dockerd', expect: { absent: true } });
      await run(
        'node1',
        "ip netns add blue && ip netns exec blue sh -c 'setsid sleep 86410 >/dev/null 2>&1 </dev/null & echo $!' >/run/blue.pid",
      );
      await passes(processCheck, {
        on: 'node1/netns:blue',
        name: 'sleep',
        expect: { count: 1, argv: ['sleep', '86410'] },
      });
      await run('node1', 'kill $(cat /run/blue.pid)');
      await run('node1', 'while [ -e /proc/$(cat /run/blue.pid) ]; do :; done');
      await passes(processCheck, { on: 'node1/netns:blue', name: 'sleep', expect: { absent: true } });
    });
    it('finds UDP sockets too, arguments that hold anything, and other users', async () => {
      await run(
        'node1',
        "setsid setpriv --reuid=nobody sh -c 'exec socat -u UDP4-RECVFROM:5353,bind=127.0.0.1,fork /dev/null' 'a b' '' >/dev/null 2>&1 </dev/null & echo $! >/run/udp.pid; i=0; until ss -Hlun sport = 5353 | grep -q 5353 || [ $i = 200 ]; do i=$((i+1)); done",
      );
      await passes(processCheck, {
        on: 'node1',
        listens: { port: 5353, protocol: 'udp', address: '127.0.0.1' },
        expect: { user: 'nobody', argv: { contains: '/dev/null' } },
      });
      await run('node1', 'kill $(cat /run/udp.pid)');
      // Opened for both directions by the shell that starts it, the pipe keeps its reader waiting.
      await run(
        'node1',
        "mkfifo /run/gate && exec 9<>/run/gate && setsid sh -c 'read x <&9' 'two words' '' 'line\nend' >/dev/null 2>&1 </dev/null & echo $! >/run/sh.pid",
      );
      await passes(processCheck, { on: 'node1', argv: ['sh', '-c', 'read x <&9', 'two words', '', 'line\nend'] });
      await run('node1', 'kill $(cat /run/sh.pid) && rm -f /run/gate');
    });
    it('fails', async () => {
      await fails('absent', processCheck, { on: 'node1', name: 'nginx' });
      await fails(
        'absent',
        processCheck,
        { on: 'node1', name: 'docker-proxy', listens: { port: 8080, address: '127.0.0.1' } },
        /without that socket: \d+ .*docker-proxy/,
      );
      await fails('present', processCheck, { on: 'node1', name: 'docker-proxy', expect: { absent: true } });
      await fails('wrong-value', processCheck, { on: 'node1', name: 'dockerd', expect: { count: 2 } });
      await fails(
        'wrong-value',
        processCheck,
        { on: 'node1', name: 'dockerd', expect: { user: 'nobody' } },
        /user of \d+ is "root", expected "nobody"/,
      );
      await fails('wrong-value', processCheck, {
        on: 'node1',
        name: 'dockerd',
        expect: { 'command-line': { contains: '--icc=false' } },
      });
      await fails('absent', processCheck, { on: 'node1/two', argv: ['sleep', '86400'] });
    });
    it('cannot know', async () => {
      await cannotKnow(/no container gone/, processCheck, {
        on: 'node1/gone',
        name: 'sleep',
        expect: { absent: true },
      });
      await cannotKnow(/not running/, processCheck, { on: 'node1/dead', name: 'sleep', expect: { absent: true } });
      await cannotKnow(/no network namespace/, processCheck, {
        on: 'node1/netns:red',
        name: 'sleep',
        expect: { absent: true },
      });
    });
  });

  describe('service', () => {
    before(async () => {
      await run(
        'node1',
        'printf \'[Service]\\nType=oneshot\\nExecStart=/bin/sh -c "exit 3"\\n[Install]\\nWantedBy=multi-user.target\\n\' >/etc/systemd/system/broken.service && systemctl daemon-reload && { systemctl start broken; :; } && systemctl mask nftables.service',
      );
    });
    it('passes', async () => {
      await passes(serviceCheck, { on: 'node1', unit: 'ssh' });
      await passes(serviceCheck, {
        on: 'node1',
        unit: 'docker.service',
        expect: {
          active: 'active',
          sub: 'running',
          'main-pid': { 'at-least': 2 },
          result: 'success',
          restarts: 0,
          fragment: { matches: '/docker\\.service$' },
          'needs-reload': 'no',
          properties: { ExecStart: { contains: '-H fd://' }, Type: 'notify' },
        },
      });
      await passes(serviceCheck, {
        on: 'node1',
        unit: 'docker.socket',
        expect: { active: 'active', enabled: 'enabled' },
      });
      await passes(serviceCheck, {
        on: 'node1',
        unit: 'broken',
        expect: { active: 'failed', result: 'exit-code', 'exec-main-status': 3, enabled: 'disabled' },
      });
      await passes(serviceCheck, { on: 'node1', unit: 'nftables', expect: { load: 'masked', active: 'inactive' } });
      await passes(serviceCheck, { on: 'node1', unit: 'nosuch', expect: { absent: true } });
    });
    it('fails', async () => {
      await fails('wrong-value', serviceCheck, { on: 'node1', unit: 'broken' }, /result exit-code, status 3/);
      await fails('absent', serviceCheck, { on: 'node1', unit: 'nosuch' });
      await fails('present', serviceCheck, { on: 'node1', unit: 'broken', expect: { absent: true } });
      await fails('wrong-value', serviceCheck, {
        on: 'node1',
        unit: 'broken',
        expect: { properties: { NoSuchProperty: 'x' } },
      });
      await run('node1', "echo '# changed' >>/etc/systemd/system/broken.service");
      await fails('wrong-value', serviceCheck, { on: 'node1', unit: 'broken', expect: { 'needs-reload': 'no' } });
      await run('node1', 'systemctl daemon-reload');
      await passes(serviceCheck, { on: 'node1', unit: 'broken', expect: { 'needs-reload': 'no' } });
    });
    it('cannot know on a light host', async () => {
      await cannotKnow(/dark is a light host, which runs no systemd: /, serviceCheck, { on: 'dark', unit: 'ssh' });
      await cannotKnow(/light host/, serviceCheck, { on: 'dark', unit: 'nosuch', expect: { absent: true } });
    });
  });

  describe('file', () => {
    before(async () => {
      await run(
        'node1',
        "mkdir -p /srv/t && cd /srv/t && printf 'a\\nb\\n' >two && chown nobody two && chmod 4751 two && ln -s two link && ln -s /nowhere dangling && ln -s loop loop && mkfifo pipe && echo '{\"a\":[1,{\"b\":true}]}' >doc.json && mkdir 'm t' && mount -t tmpfs -o ro,size=64k mine 'm t' && echo of-the-host >/etc/marker",
      );
      await run(
        'node1',
        'docker exec one sh -c "ln -s /data/page /abs && ln -s ../data /bin/rel && echo of-the-container >/etc/marker && ln -s /etc/marker /marker"',
      );
    });
    it('passes on a host', async () => {
      await passes(fileCheck, {
        on: 'node1',
        path: '/srv/t/two',
        expect: {
          type: 'file',
          mode: '4751',
          owner: 'nobody',
          group: 'root',
          size: 4,
          content: 'a\nb',
          lines: ['a', 'b'],
          mounted: false,
        },
      });
      await passes(fileCheck, {
        on: 'node1',
        path: '/srv/t/link',
        expect: { type: 'symlink', target: 'two', leads: '/srv/t/two', lines: { contains: 'b' } },
      });
      await passes(fileCheck, {
        on: 'node1',
        path: '/srv/t/dangling',
        expect: { type: 'symlink', target: '/nowhere', leads: { absent: true } },
      });
      await passes(fileCheck, { on: 'node1', path: '/srv/t/pipe', expect: { type: 'fifo' } });
      await passes(fileCheck, { on: 'node1', path: '/srv/t/doc.json', expect: { json: { 'a[1].b': true } } });
      await passes(fileCheck, {
        on: 'node1',
        path: '/srv/t/m t',
        expect: {
          type: 'directory',
          mounted: { source: 'mine', fstype: 'tmpfs', root: '/', options: { contains: 'ro' } },
        },
      });
      await passes(fileCheck, { on: 'node1', path: '/var/run/docker.sock', expect: { type: 'socket', mode: '0660' } });
      await passes(fileCheck, { on: 'node1', path: '/proc/sys/net/ipv4/ip_forward', expect: { content: 1 } });
      await passes(fileCheck, { on: 'node1', path: '/srv/t/three', expect: { absent: true } });
      await passes(fileCheck, { on: 'node1', path: '/srv/t/two/below', expect: { absent: true } });
      await passes(fileCheck, { on: 'dark', path: '/etc/hostname' });
    });
    it('passes in a container, whose links lead nowhere but into the container', async () => {
      await passes(fileCheck, { on: 'node1/one', path: '/data/page', expect: { content: 'shared' } });
      await passes(fileCheck, {
        on: 'node1/one',
        path: '/data',
        expect: { mounted: { root: { matches: '/srv/data$' }, options: { contains: 'ro' } } },
      });
      await passes(fileCheck, {
        on: 'node1/one',
        path: '/scratch',
        expect: { mounted: { fstype: 'tmpfs', options: { contains: 'size=64k' } } },
      });
      await passes(fileCheck, {
        on: 'node1/one',
        path: '/abs',
        expect: { target: '/data/page', leads: '/data/page', content: 'shared' },
      });
      await passes(fileCheck, { on: 'node1/one', path: '/bin/rel/page', expect: { content: 'shared' } });
      await passes(fileCheck, { on: 'node1/one', path: '/marker', expect: { content: 'of-the-container' } });
      for (const file of ['hosts', 'hostname', 'resolv.conf'])
        await passes(fileCheck, {
          on: 'node1/one',
          path: `/etc/${file}`,
          expect: { mounted: { root: { contains: '/containers/' } } },
        });
      await passes(fileCheck, { on: 'node1/one', path: '/srv/t/two', expect: { absent: true } });
      // net.* is read in the namespace of the container, not in that of who reads.
      await run(
        'node1',
        'docker run -d --name sys --sysctl net.ipv4.ip_unprivileged_port_start=77 busybox sleep 86405',
      );
      await passes(fileCheck, {
        on: 'node1/sys',
        path: '/proc/sys/net/ipv4/ip_unprivileged_port_start',
        expect: { content: 77 },
      });
    });
    it('fails', async () => {
      await fails('absent', fileCheck, { on: 'node1', path: '/srv/t/three' });
      await fails('present', fileCheck, { on: 'node1', path: '/srv/t/dangling', expect: { absent: true } });
      await fails(
        'wrong-value',
        fileCheck,
        { on: 'node1', path: '/srv/t/two', expect: { mode: '0644' } },
        /mode is "4751", expected "0644"/,
      );
      await fails('wrong-value', fileCheck, { on: 'node1', path: '/srv/t/two', expect: { lines: ['a'] } });
      await fails('wrong-value', fileCheck, { on: 'node1', path: '/srv/t/pipe', expect: { content: '' } });
      await fails('absent', fileCheck, { on: 'node1', path: '/srv/t/dangling', expect: { content: 'x' } });
      await fails('wrong-value', fileCheck, { on: 'node1', path: '/srv/t/two', expect: { mounted: true } });
      await fails('wrong-value', fileCheck, { on: 'node1', path: '/srv/t/m t', expect: { mounted: false } });
      await fails('wrong-value', fileCheck, { on: 'node1/one', path: '/marker', expect: { content: 'of-the-host' } });
      await fails('wrong-value', fileCheck, {
        on: 'node1/one',
        path: '/data',
        expect: { mounted: { options: { contains: 'rw' } } },
      });
    });
    it('cannot know', async () => {
      await cannotKnow(/not running/, fileCheck, { on: 'node1/dead', path: '/etc/hosts', expect: { absent: true } });
      await cannotKnow(/[Tt]oo many levels/, fileCheck, {
        on: 'node1',
        path: '/srv/t/loop/below',
        expect: { absent: true },
      });
      await run('node1', 'head -c 2000000 /dev/zero | tr "\\0" x >/srv/t/long');
      await cannotKnow(/longer than/, fileCheck, {
        on: 'node1',
        path: '/srv/t/long',
        expect: { content: { not: { contains: 'y' } } },
      });
    });
  });

  describe('bridge', () => {
    before(async () => {
      await run(
        'node1',
        'ip link add brown type bridge && ip link set brown up && for n in green grey; do ip netns add $n && ip link add v-$n type veth peer name eth0 netns $n && ip link set v-$n master brown up && ip -n $n link set eth0 up; done',
      );
      await run(
        'node1',
        'ip link add empty type bridge && ip link add br-stp type bridge stp_state 1 && ip link add off0 type veth peer name off1 && ip link set off0 master br-stp',
      );
      // Its own bridge inside a namespace, with an end whose two indexes are those of a pair that ends elsewhere.
      await run(
        'node1',
        'ip netns add left && ip netns add right && ip netns add far && ip -n left link add br0 type bridge',
      );
      await run(
        'node1',
        'ip -n left link add p index 40 type veth peer name q index 41 netns right && ip -n left link set p master br0',
      );
      await run(
        'node1',
        'ip netns add other && ip -n other link add p index 40 type veth peer name q index 41 netns far',
      );
    });
    it('passes', async () => {
      await passes(
        bridgeCheck,
        {
          on: 'node1',
          network: 'net1',
          expect: {
            members: ['node1/two', 'node1/one'],
            each: { state: 'forwarding', kind: 'veth', up: true },
            up: true,
            stp: false,
            ports: { length: 2 },
          },
        },
        /of node1\/one \(forwarding\)/,
      );
      await passes(bridgeCheck, {
        on: 'node1',
        network: 'net1',
        expect: { contains: ['node1/sharer'], not: { contains: ['node1/plain', 'eth0'] } },
      });
      await passes(bridgeCheck, {
        on: 'node1',
        network: 'net1',
        expect: { members: ['node1/sharer', 'node1/two', 'node1/one'] },
      });
      await passes(bridgeCheck, {
        on: 'node1',
        interface: 'docker0',
        expect: { contains: ['node1/plain'], not: { contains: ['node1/one', 'node1/two'] } },
      });
      await passes(bridgeCheck, { on: 'node1', network: 'named', expect: { members: [], up: false } }, /br-mine/);
      await passes(bridgeCheck, {
        on: 'node1',
        interface: 'brown',
        expect: {
          members: ['node1/netns:green', 'v-grey'],
          ports: ['v-grey', 'v-green'],
          port: { 'node1/netns:grey': { hairpin: false } },
        },
      });
      await passes(bridgeCheck, {
        on: 'node1',
        interface: 'br-stp',
        expect: { stp: true, up: false, port: { off0: { state: 'disabled', up: false } } },
      });
      await passes(bridgeCheck, { on: 'node1', interface: 'br7', expect: { absent: true } });
      await passes(bridgeCheck, {
        on: 'node1/netns:left',
        interface: 'br0',
        expect: { members: ['node1/netns:right'] },
      });
    });
    it('passes for the bridge of an overlay network, in the namespace that the engine keeps for it', async () => {
      await run(
        'node1',
        'docker swarm init --advertise-addr 10.10.10.11 >/dev/null && docker network create -d overlay --attachable ov && docker run -d --name far1 --network ov busybox sleep 86406 && docker run -d --name hostnet --network host busybox sleep 86407',
      );
      await passes(bridgeCheck, {
        on: 'node1',
        network: 'ov',
        expect: {
          contains: ['node1/far1', 'vxlan0'],
          port: { 'node1/far1': { mtu: 1450, state: 'forwarding' } },
          not: { contains: ['node1/one', 'node1/plain', 'node1/hostnet'] },
        },
      });
      await fails('wrong-value', bridgeCheck, { on: 'node1', network: 'ov', expect: { members: ['vxlan0'] } });
    });
    it('does not take a pair that ends elsewhere for a member because its indexes are the same', async () => {
      await passes(bridgeCheck, {
        on: 'node1/netns:left',
        interface: 'br0',
        expect: { not: { contains: ['node1/netns:far'] } },
      });
      await fails('wrong-value', bridgeCheck, {
        on: 'node1/netns:left',
        interface: 'br0',
        expect: { contains: ['node1/netns:far'] },
      });
    });
    it('nor does the kind link take it for the peer', async () => {
      await passes(linkCheck, {
        on: 'node1/netns:left',
        interface: 'p',
        expect: { peer: { on: 'node1/netns:right', name: 'q' } },
      });
      await fails(
        'wrong-value',
        linkCheck,
        { on: 'node1/netns:left', interface: 'p', expect: { peer: { on: 'node1/netns:far' } } },
        /peer is not in node1\/netns:far/,
      );
      await passes(linkCheck, { on: 'node1', interface: 'off0', expect: { peer: { on: 'node1', name: 'off1' } } });
      await run('node1', 'ip -n far link add off1 type veth peer name other-end');
      await fails(
        'wrong-value',
        linkCheck,
        { on: 'node1', interface: 'off0', expect: { peer: { on: 'node1/netns:far' } } },
        /peer is not in node1\/netns:far/,
      );
    });
    it('fails', async () => {
      await fails(
        'wrong-value',
        bridgeCheck,
        { on: 'node1', network: 'net1', expect: { members: ['node1/one'] } },
        /members have veth\w+, which must not be there/,
      );
      await fails(
        'wrong-value',
        bridgeCheck,
        { on: 'node1', network: 'net1', expect: { contains: ['node1/plain'] } },
        /members lack node1\/plain/,
      );
      await fails('wrong-value', bridgeCheck, {
        on: 'node1',
        network: 'net1',
        expect: { not: { contains: ['node1/two'] } },
      });
      await fails('wrong-value', bridgeCheck, {
        on: 'node1',
        interface: 'brown',
        expect: { port: { 'v-grey': { hairpin: true } } },
      });
      await fails('wrong-value', bridgeCheck, {
        on: 'node1',
        interface: 'empty',
        expect: { each: { state: 'forwarding' } },
      });
      await fails('wrong-value', bridgeCheck, { on: 'node1', interface: 'brown', expect: { stp: true } });
      await fails('wrong-value', bridgeCheck, { on: 'node1', interface: 'v-grey' }, /type veth, not a bridge/);
      await fails('absent', bridgeCheck, { on: 'node1', interface: 'br7' });
      await fails('absent', bridgeCheck, { on: 'node1', network: 'nope' }, /no network nope, so there is no bridge/);
      await fails('present', bridgeCheck, { on: 'node1', interface: 'docker0', expect: { absent: true } });
    });
    it('cannot know', async () => {
      await cannotKnow(/not running/, bridgeCheck, {
        on: 'node1',
        interface: 'docker0',
        expect: { not: { contains: ['node1/dead'] } },
      });
      await cannotKnow(/driver host/, bridgeCheck, { on: 'node1', network: 'host' });
      await cannotKnow(/no engine/, bridgeCheck, { on: 'dark', network: 'bridge' });
    });
    it('leaves no mount behind', async () => {
      await passes(fileCheck, { on: 'node1', path: '/mnt', expect: { type: 'directory', mounted: false } });
      await passes(fileCheck, { on: 'node1', path: '/mnt/netns', expect: { absent: true } });
    });
  });

  describe('ovs', () => {
    before(async () => {
      await run('node1', 'systemctl start openvswitch-switch');
      await run(
        'node1',
        'ovs-vsctl add-br br0 -- set bridge br0 datapath_type=netdev fail_mode=secure -- set-controller br0 tcp:127.0.0.1:6653 && ovs-vsctl add-br br1 -- set bridge br1 datapath_type=netdev',
      );
      await run(
        'node1',
        'ip link add ovs-a type veth peer name ovs-b && ovs-vsctl add-port br0 ovs-a tag=100 -- set interface ovs-a external_ids:container_id=one external_ids:container_iface=eth1 && ovs-vsctl add-port br0 vx0 trunks=5,6 -- set interface vx0 type=vxlan options:remote_ip=10.10.10.12',
      );
      // ovs-vsctl says that ovs-vswitchd could not open the device, and ends with 0.
      await run('node1', 'ovs-vsctl --no-wait add-port br1 nosuchdev');
    });
    it('passes', async () => {
      await passes(ovsCheck, { on: 'node1', expect: { bridges: ['br1', 'br0'] } });
      await passes(ovsCheck, {
        on: 'node1',
        bridge: 'br0',
        expect: {
          ports: ['vx0', 'ovs-a'],
          'fail-mode': 'secure',
          controllers: ['tcp:127.0.0.1:6653'],
          connected: false,
          'datapath-type': 'netdev',
          stp: false,
        },
      });
      await passes(ovsCheck, {
        on: 'node1',
        bridge: 'br1',
        expect: { ports: { length: 1 }, 'fail-mode': { absent: true }, controllers: [] },
      });
      await passes(ovsCheck, {
        on: 'node1',
        bridge: 'br0',
        port: 'ovs-a',
        expect: {
          tag: 100,
          type: '',
          ofport: { 'at-least': 1 },
          error: { absent: true },
          'external-ids': { container_id: 'one' },
        },
      });
      await passes(ovsCheck, {
        on: 'node1',
        bridge: 'br0',
        select: { container_id: 'one', container_iface: 'eth1' },
        expect: { tag: 100 },
      });
      await passes(ovsCheck, {
        on: 'node1',
        bridge: 'br0',
        port: 'vx0',
        expect: {
          type: 'vxlan',
          tag: { absent: true },
          trunks: [6, 5],
          fields: { 'options.remote_ip': '10.10.10.12' },
        },
      });
      await passes(ovsCheck, { on: 'node1', bridge: 'br0', select: { container_id: 'two' }, expect: { absent: true } });
      await passes(ovsCheck, { on: 'node1', bridge: 'br9', expect: { absent: true } });
      await passes(ovsCheck, {
        on: 'node1',
        bridge: 'br1',
        port: 'nosuchdev',
        expect: { ofport: -1, error: { contains: 'nosuchdev' } },
      });
    });
    it('fails', async () => {
      await fails(
        'wrong-value',
        ovsCheck,
        { on: 'node1', bridge: 'br0', port: 'ovs-a', expect: { tag: 200 } },
        /tag is 100, expected 200/,
      );
      await fails('wrong-value', ovsCheck, { on: 'node1', bridge: 'br0', port: 'vx0', expect: { tag: 100 } });
      await fails('wrong-value', ovsCheck, { on: 'node1', bridge: 'br0', expect: { connected: true } });
      await fails('wrong-value', ovsCheck, { on: 'node1', expect: { bridges: ['br0'] } });
      await fails('absent', ovsCheck, { on: 'node1', bridge: 'br9' });
      await fails('absent', ovsCheck, { on: 'node1', bridge: 'br9', port: 'x', expect: { absent: true } });
      await fails('absent', ovsCheck, { on: 'node1', bridge: 'br1', port: 'ovs-a' });
      await fails('present', ovsCheck, { on: 'node1', bridge: 'br0', port: 'ovs-a', expect: { absent: true } });
    });
    it('cannot know without the database, without the daemon whose findings are asked, without the tool', async () => {
      await cannotKnow(/database connection failed|failed to connect/, ovsCheck, {
        on: 'dark',
        bridge: 'br0',
        expect: { absent: true },
      });
      await run(
        'node1',
        'pid=$(cat /run/openvswitch/ovs-vswitchd.pid) && systemctl kill --signal=STOP ovs-vswitchd.service',
      );
      await cannotKnow(/ovs-vswitchd, which finds out/, ovsCheck, {
        on: 'node1',
        bridge: 'br0',
        port: 'ovs-a',
        expect: { ofport: 1 },
      });
      await passes(ovsCheck, { on: 'node1', bridge: 'br0', port: 'ovs-a', expect: { tag: 100 } });
      await run('node1', 'systemctl kill --signal=CONT ovs-vswitchd.service');
      await run('dark', 'tool=$(readlink -f "$(command -v ovs-vsctl)") && mv "$tool" "$tool.hidden"');
      await cannotKnow(/no ovs-vsctl/, ovsCheck, { on: 'dark', bridge: 'br0', expect: { absent: true } });
    });
  });

  // Last, because it breaks the host.
  describe('without the tools', () => {
    it('nothing can be known of processes without grep and find, of files without stat where no helper has one', async () => {
      for (const tool of ['stat', 'grep', 'find']) await run('dark', `mv "$(command -v ${tool})" /root/${tool}`);
      const nope = { on: 'dark', path: '/etc/nope', expect: { absent: true } };
      await believing({ verdict: 'inconclusive' }, fileCheck, nope);
      await passes(fileCheck, nope);
      await cannotKnow(/grep|find/, processCheck, { on: 'dark', name: 'nope', expect: { absent: true } });
    });
  });
});

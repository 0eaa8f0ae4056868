import { expect } from 'chai';
import { arpCheck } from '../../src/checks/arp.js';
import { dockerCheck } from '../../src/checks/docker.js';
import { fileCheck } from '../../src/checks/file.js';
import { httpCheck } from '../../src/checks/http.js';
import { linkCheck } from '../../src/checks/link.js';
import { pingCheck } from '../../src/checks/ping.js';
import { portCheck } from '../../src/checks/port.js';
import { sysctlCheck } from '../../src/checks/sysctl.js';
import { isAlive, signalProcess } from '../../src/lab/process.js';
import type { ProbeHost } from '../../src/places/context.js';
import { accessOf } from '../../src/providers/local/leftovers.js';
import { checkLab, lanHost, lanPlan } from './check-lab.js';

const image = process.env.NETRIG_TEST_IMAGE ?? 'debian-11';

const plan = lanPlan('beside', [
  lanHost('node1', 11, image, 'systemd', ['busybox']),
  lanHost('node2', 12, image, 'systemd', null),
  lanHost('light', 13, image, 'light', null),
]);

/** Says of any address that it answers. */
const pingThatLies = `for a; do :; done
echo "PING $a ($a) 56(84) bytes of data."
for n in 1 2; do echo "64 bytes from $a: icmp_seq=$n ttl=64 time=0.0$n ms"; done
printf '\\n--- %s ping statistics ---\\n2 packets transmitted, 2 received, 0%% packet loss, time 50ms\\n' "$a"
echo 'rtt min/avg/max/mdev = 0.010/0.015/0.020/0.005 ms'`;
const lies: Readonly<Record<string, string>> = {
  ping: pingThatLies,
  arping: 'echo "Sent 3 probes (3 broadcast(s))"; echo "Received 0 response(s)"',
  ip: 'echo "[]"',
  ss: 'echo "tcp LISTEN 0 5 0.0.0.0:7009 0.0.0.0:*"',
  perl: 'echo "0 open"',
  curl: "printf 'HTTP/1.0 200 OK\\r\\n\\r\\nlie'",
  fping: 'exit 0',
  docker: 'exit 0',
};

describe('probes from beside, of a host whose root replaced its programs', function () {
  this.timeout(60_000);
  const { session, believing, comesTo, run } = checkLab(plan, async () => {
    await run('node1', 'ip netns add blue && ip -n blue link set lo up');
    await run('node1', 'docker run -d --name one busybox sleep 86400');
    await run('node1', 'docker exec one sh -c "echo inside >/word; ln -s /word /link"');
    await run(
      'node2',
      'setsid socat TCP-LISTEN:7001,fork,reuseaddr EXEC:cat >/dev/null 2>&1 </dev/null & iptables -A INPUT -p icmp -s 10.10.10.11 --icmp-type echo-request -j DROP',
    );
  });

  const lie = async (on: string): Promise<void> => {
    for (const [name, script] of Object.entries(lies)) {
      const path = `/usr/local/sbin/${name}`;
      await (await session().connection(on)).writeFile(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
      await run(
        on,
        `for d in /usr/bin /usr/sbin /bin /sbin; do [ -e $d/${name} ] && cp -f ${path} $d/${name}; done; :`,
      );
    }
  };
  const beside = (name: string): ProbeHost => {
    const context = session().context({
      signal: new AbortController().signal,
      timeoutMs: 20_000,
      record: () => undefined,
    });
    return context.host(name).beside!;
  };

  it('enters containers and named namespaces as the host knows them', async () => {
    await comesTo({ verdict: 'pass' }, portCheck, { from: 'node1/one', to: 'node2', port: 7001 });
    await comesTo({ verdict: 'fail', cause: 'no-route' }, pingCheck, {
      from: 'node1/netns:blue',
      to: '10.10.10.12',
    });
    await comesTo({ verdict: 'pass' }, pingCheck, { from: 'light', to: 'node2' });
  });

  it('are judged by what the network does', async () => {
    await lie('node1');
    const silent = { from: 'node1', to: 'node2' };
    // Without a helper the host's own word is all there is; that nothing came in at the target gives the lie away.
    await believing({ verdict: 'fail', cause: 'wrong-answer' }, pingCheck, silent);
    await comesTo({ verdict: 'fail', cause: 'timeout' }, pingCheck, silent);
    await comesTo({ verdict: 'pass' }, pingCheck, { from: 'node1', to: 'light' });
    await comesTo({ verdict: 'pass' }, portCheck, { from: 'node1', to: 'node2', port: 7001 });
    await comesTo({ verdict: 'fail', cause: 'refused' }, portCheck, { from: 'node1', to: 'node2', port: 7009 });
    await comesTo({ verdict: 'fail', cause: 'refused' }, httpCheck, { from: 'node1', url: 'http://node2:7009/' });
    await comesTo({ verdict: 'pass' }, arpCheck, { from: 'node1', interface: 'eth0', address: '10.10.10.12' });
    await believing({ verdict: 'inconclusive' }, linkCheck, { on: 'node1', interface: 'eth0' });
    await comesTo({ verdict: 'pass' }, linkCheck, { on: 'node1', interface: 'eth0' });
  });

  it('are so for what the engine, files and parameters of the network are asked for, too', async () => {
    await run('node1', 'echo secret >/root/word; ln -s /root/word /root/link; ln -s /etc/hostname /root/name');
    await run('node1', 'sysctl -qw net.ipv4.ip_forward=1');
    // The lies of `lie`, and these: a reader of the host's would take them for its own words.
    for (const [name, line] of [
      ['stat', "printf '81a4 0 0 7'"],
      ['head', 'echo lie'],
      ['readlink', "printf '/lie'"],
      ['grep', "echo '/proc/sys/net/ipv4/ip_forward:0'"],
    ] as const) {
      const path = `/usr/local/sbin/${name}`;
      await (await session().connection('node1')).writeFile(path, `#!/bin/sh\n${line}\n`, { mode: 0o755 });
    }
    const word = (on: string, path: string, content: string) => ({ on, path, expect: { content } });
    await believing({ verdict: 'pass' }, fileCheck, word('node1', '/root/word', 'lie'));
    await comesTo({ verdict: 'fail', cause: 'wrong-value' }, fileCheck, word('node1', '/root/word', 'lie'));
    await comesTo({ verdict: 'pass' }, fileCheck, word('node1', '/root/link', 'secret'));
    // An absolute link leads where it does on the host, not into the files of the helper.
    await comesTo({ verdict: 'pass' }, fileCheck, word('node1', '/root/name', 'node1'));
    await comesTo({ verdict: 'fail', cause: 'absent' }, fileCheck, { on: 'node1', path: '/root/nothing' });
    await comesTo({ verdict: 'pass' }, fileCheck, word('node1/one', '/link', 'inside'));
    await comesTo({ verdict: 'pass' }, dockerCheck, {
      on: 'node1',
      container: 'one',
      expect: { 'State.Running': true },
    });
    await comesTo({ verdict: 'fail', cause: 'absent' }, dockerCheck, { on: 'node1', container: 'two' });
    await comesTo({ verdict: 'pass' }, portCheck, { from: 'node1/one', to: 'node2', port: 7001 });
    const forwards = { on: 'node1', expect: { 'net.ipv4.ip_forward': 1 } };
    await comesTo({ verdict: 'pass' }, sysctlCheck, forwards);
    await comesTo({ verdict: 'fail', cause: 'wrong-value' }, sysctlCheck, {
      on: 'node1',
      expect: { 'net.ipv4.ip_forward': 0 },
    });
    await run('node1', 'rm /usr/local/sbin/stat /usr/local/sbin/head /usr/local/sbin/readlink /usr/local/sbin/grep');
  });

  it('come from where root of the host reaches nothing', async () => {
    const own = await beside('node1').exec('readlink /proc/self/ns/net /proc/self/ns/pid /proc/self/ns/user');
    const theirs = await run('node1', 'readlink /proc/self/ns/net /proc/self/ns/pid /proc/self/ns/user');
    const [net, pid, user] = own.stdout.trim().split('\n');
    const [hostNet, hostPid, hostUser] = theirs.split('\n');
    expect([net, user]).to.deep.equal([hostNet, hostUser]);
    expect(pid).not.to.equal(hostPid);
    const sleeping = beside('node1').spawn('exec -a netrig-seen sleep 4711');
    await sleeping.pgid;
    const names = 'cat /proc/[0-9]*/cmdline | tr "\\0" "\\n"';
    // The control: it is there, and a process of the host would be seen like this.
    const there = await beside('node1').exec(`until ${names} | grep -q "^netrig-see[n]"; do sleep 0.05; done`);
    expect(there.exitCode).to.equal(0);
    expect(await run('node1', `${names} | grep -c "^netrig-see[n]" || :`)).to.equal('0');
    await sleeping.kill('KILL');
    const write = await beside('node1').exec('touch /usr/bin/anything');
    expect(write.exitCode).not.to.equal(0);
    expect(write.stderr).to.contain('Read-only');
  });

  it('keep the time limit and the signals of a command', async () => {
    const slow = await beside('node1').exec('sleep 100', { timeoutMs: 200 });
    expect([slow.timedOut, slow.exitCode]).to.deep.equal([true, null]);
    const asked = await Promise.all(['1', '2', '3'].map((word) => beside('node1').exec(['printf', word])));
    expect(asked.map(({ stdout }) => stdout)).to.deep.equal(['1', '2', '3']);
  });

  it('end with PID 1 of the host, whose network does not outlive it', async () => {
    const { pid1 } = accessOf(session().lab.record).hosts['light']!;
    const running = beside('light').spawn('sleep 100');
    await running.pgid;
    expect(isAlive(pid1)).to.equal(true);
    signalProcess(pid1, 'SIGKILL');
    const end = await running.done.then(
      () => 'done',
      (error: { code?: string }) => error.code,
    );
    expect(end).to.equal('NETRIG_SSH_LOST');
    const after = await beside('light')
      .exec('true')
      .then(
        () => 'done',
        (error: { code?: string }) => error.code,
      );
    expect(after).to.equal('NETRIG_SSH_CONNECT');
    // The kernel takes a network namespace down in its own time once nobody is in it: after others that wait for the same.
    const gone = 'for try in $(seq 30); do ping -n -c 1 -W 1 10.10.10.13 >/dev/null || exit 0; sleep 0.2; done; exit 1';
    expect(await run('node2', `(${gone}); echo $?`)).to.equal('0');
  });
});

import { dhcpCheck } from '../../src/checks/dhcp.js';
import { throughputCheck } from '../../src/checks/throughput.js';
import { tlsCheck } from '../../src/checks/tls.js';
import { checkLab, lanHost, lanPlan } from './check-lab.js';

const image = process.env.NETRIG_TEST_IMAGE ?? 'debian-12';
const plan = lanPlan('checks-services', [
  { ...lanHost('node1', 11, image, 'light', null), packages: ['iperf3'] },
  { ...lanHost('node2', 12, image, 'light', null), packages: ['dnsmasq-base', 'iperf3'] },
  lanHost('bare', 13, image, 'light', null),
]);

describe('checks of certificates, leases and throughput, on real hosts', function () {
  this.timeout(60_000);
  const { run, comesTo, passes, fails, cannotKnow } = checkLab(plan, async () => {
    await run(
      'node2',
      `mkdir /root/ca && cd /root/ca
       key="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
       openssl req -x509 $key -keyout ca.key -out ca.pem -days 30 -subj "/CN=Our CA"
       openssl req $key -keyout www.key -out www.csr -subj "/CN=www.lab.test"
       echo subjectAltName=DNS:www.lab.test > names
       openssl x509 -req -in www.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 10 -extfile names -out www.pem
       setsid openssl s_server -accept 443 -cert www.pem -key www.key -www </dev/null >/dev/null 2>&1 &
       setsid socat TCP-LISTEN:8080,fork,reuseaddr EXEC:/bin/date </dev/null >/dev/null 2>&1 &
       cat > smtp <<'EOF'
printf '220 mail\\r\\n'
while read -r word _; do
  case $word in
    EHLO*) printf '250-mail\\r\\n250 STARTTLS\\r\\n' ;;
    STARTTLS*) printf '220 go on\\r\\n'; exec socat - TCP:127.0.0.1:443 ;;
    *) exit ;;
  esac
done
EOF
       setsid socat TCP-LISTEN:25,fork,reuseaddr EXEC:"sh /root/ca/smtp" </dev/null >/dev/null 2>&1 &
       for i in $(seq 50); do ss -Hltn | grep -q :443 && ss -Hltn | grep -q :25 && ss -Hltn | grep -q :8080 && exit 0; sleep 0.1; done; exit 1`,
    );
    const authority = await run('node2', 'cat /root/ca/ca.pem');
    await run('node1', `cat > /root/ca.pem <<'EOF'\n${authority}\nEOF`);
    await run('node2', 'setsid dnsmasq -p 0 --dhcp-range=10.10.10.100,10.10.10.199,2h --no-ping --pid-file=/run/d.pid');
    await run('node2', 'tc qdisc add dev eth0 root tbf rate 20mbit burst 32k latency 50ms');
  });

  describe('tls', () => {
    const base = { from: 'node1', to: 'node2', name: 'www.lab.test', ca: '/root/ca.pem' };
    it('passes', async () => {
      await passes(tlsCheck, { ...base, expect: { 'valid-for': '24h', issuer: 'CN=Our CA', sent: 1 } });
      await passes(tlsCheck, {
        from: 'node1',
        to: 'node2',
        name: 'www.lab.test',
        expect: { chain: 'unknown-issuer' },
      });
      await comesTo({ verdict: 'pass', cause: 'tls' }, tlsCheck, { ...base, port: 8080, expect: { fails: 'tls' } });
      await passes(tlsCheck, { ...base, starttls: 'smtp', expect: { issuer: 'CN=Our CA' } });
    });
    it('fails', async () => {
      await fails('tls', tlsCheck, { ...base, name: 'mail.lab.test' }, /name is false/);
      await fails('tls', tlsCheck, { ...base, ca: undefined }, /chain is "unknown-issuer"/);
      await fails('tls', tlsCheck, { ...base, expect: { 'valid-for': '2000h' } }, /ms left/);
      await fails('tls', tlsCheck, { ...base, port: 8080 }, /no TLS session/);
      await fails('refused', tlsCheck, { ...base, port: 8443 });
      // One that does not begin in the clear, and one that is not spoken to so.
      await fails('tls', tlsCheck, { ...base, port: 25 }, /no TLS session/);
      await fails('timeout', tlsCheck, { ...base, port: 443, starttls: 'smtp', wait: '2s' }, /does not finish/);
      await fails('tls', tlsCheck, { ...base, starttls: 'smtp', name: 'mail.lab.test' }, /name is false/);
    });
    it('cannot know', async () => {
      await cannotKnow(/\/root\/none\.pem/, tlsCheck, { ...base, ca: '/root/none.pem' });
    });
  });

  describe('dhcp', () => {
    it('passes', async () => {
      await passes(dhcpCheck, {
        from: 'bare',
        expect: {
          count: 1,
          server: '10.10.10.12',
          address: { 'in-subnet': '10.10.10.0/24' },
          lease: 7200,
          mask: '255.255.255.0',
          relay: { absent: true },
        },
      });
    });
    it('fails', async () => {
      await fails('wrong-value', dhcpCheck, { from: 'bare', expect: { router: ['10.10.10.1'] } });
      await fails('present', dhcpCheck, { from: 'bare', expect: { absent: true } });
      await run('node2', 'kill $(cat /run/d.pid)');
      await fails('no-answer', dhcpCheck, { from: 'bare', wait: '500ms' });
      await passes(dhcpCheck, { from: 'bare', wait: '500ms', expect: { absent: true } });
    });
    it('cannot know', async () => {
      await cannotKnow(/no interface eth7/, dhcpCheck, { from: 'bare', interface: 'eth7' });
      await run('bare', 'ip link add v0 type veth peer name v1');
      await cannotKnow(/down, or has no carrier/, dhcpCheck, { from: 'bare', interface: 'v0' });
    });
  });

  describe('throughput', () => {
    const limited = { from: 'node2', to: 'node1', 'compared-to': { from: 'node1', to: 'node2' }, rounds: 1 };
    it('passes', async () => {
      await passes(throughputCheck, { ...limited, expect: { ratio: { 'at-most': 0.8 } } });
    });
    it('fails', async () => {
      await fails('wrong-value', throughputCheck, { ...limited, expect: { ratio: { 'at-least': 0.9 } } });
    });
    it('cannot know', async () => {
      await cannotKnow(/no usable iperf3/, throughputCheck, { ...limited, to: 'bare', expect: { ratio: 1 } });
    });
  });
});

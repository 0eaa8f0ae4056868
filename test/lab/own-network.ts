import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Ended, mainFile, start } from './netrig-command.js';

/** What stands for the outside: a web server and a name server at an address of the outside, and a web server on the loopback. */
const servers = `
const http = require('node:http');
const dgram = require('node:dgram');
const answer = (text) => (request, response) => {
  console.log(text, request.url);
  response.end(text + '\\n');
};
http.createServer(answer('outside')).listen(8080, '192.0.2.1');
http.createServer(answer('loopback')).listen(8081, '127.0.0.1');
http.createServer(answer('loopback')).listen(8082, '127.0.0.2');
const names = dgram.createSocket('udp4');
names.on('message', (question, from) => {
  const end = question.indexOf(0, 12) + 5;
  const header = Buffer.from(question.subarray(0, 12));
  header.writeUInt16BE(0x8180, 2);
  header.writeUInt16BE(question.readUInt16BE(end - 4) === 1 ? 1 : 0, 6);
  header.writeUInt32BE(0, 8);
  const address = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
  const parts = [header, question.subarray(12, end), ...(header.readUInt16BE(6) === 1 ? [address] : [])];
  names.send(Buffer.concat(parts), from.port, from.address);
});
names.bind(53, '192.0.2.1');
`;

/**
 * Runs netrig where the machine's own network is a namespace that ends with the run: an interface that leads nowhere is the way
 * out of it. Answers what netrig said, what the servers were asked, and how many packets the machine sent out.
 */
export async function inOwnNetwork(
  dir: string,
  args: readonly string[] = ['run', 'lab.yaml'],
): Promise<Ended & { asked: string; sent: number }> {
  writeFileSync(join(dir, 'servers.cjs'), servers);
  writeFileSync(join(dir, 'resolv.conf'), 'nameserver 192.0.2.1\n');
  writeFileSync(join(dir, 'hosts'), '127.0.0.1 localhost\n192.0.2.1 mirror.example # ours\n');
  const script = `set -eu
# Nothing is to be sent that nobody asked for.
echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
ip link set lo up
ip address add 192.0.2.1/32 dev lo
ip link add out0 type veth peer name out1
ip link set out1 up
ip address add 203.0.113.1/24 dev out0
ip link set out0 up
ip route add default via 203.0.113.254
ip neighbour add 203.0.113.254 dev out0 lladdr 0a:00:00:00:00:01 nud permanent
mount --bind resolv.conf /etc/resolv.conf
mount --bind hosts /etc/hosts
"$0" servers.cjs >asked 2>&1 &
servers=$!
ip -json -stats link show out0 >before
"$0" "$@" && status=0 || status=$?
ip -json -stats link show out0 >after
kill "$servers"
exit "$status"
`;
  const words = ['--net', '--mount', '--propagation', 'private', 'sh', '-c', script, process.execPath];
  const env = { NETRIG_DEBIAN_MIRROR: 'http://mirror.example:8080/debian/', http_proxy: '', https_proxy: '' };
  const ended = await start('unshare', [...words, mainFile, ...args], { cwd: dir, env }).ended;
  const text = (name: string): string =>
    existsSync(join(dir, name)) ? readFileSync(join(dir, name), 'utf8') : `none: ${ended.stderr}`;
  const count = (name: string): number =>
    (JSON.parse(text(name)) as [{ stats64: { tx: { packets: number } } }])[0].stats64.tx.packets;
  return { ...ended, asked: text('asked'), sent: count('after') - count('before') };
}

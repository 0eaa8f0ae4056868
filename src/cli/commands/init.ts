import { access, mkdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { NetrigError } from '../../errors.js';
import { exitStatus } from '../../model/verdict.js';

const first = `# A first lab: two hosts on one segment, a web server in a container on one of them.
# Run it:              netrig run scenarios/first.yaml
# Look around in it:   netrig up scenarios/first.yaml, then netrig ssh server
scenario: first
title: A container publishes a port, and another host reaches it
hosts:
  server:
    docker:
      containers:
        web: { image: web, ports: ["8080:80"] }
  visitor:
    engine: false
segments:
  lan:
    subnet: 192.168.77.0/24
    hosts: { server: 192.168.77.10, visitor: 192.168.77.20 }
steps:
  - check: The two hosts see each other
    ping: { from: visitor, to: server }
  - check: The published port answers, with the page of the container
    http: { from: visitor, url: "http://192.168.77.10:8080/", expect: { status: 200, body: { contains: web } } }
    within: 10s
  - check: A port that is not published is refused
    port: { from: visitor, to: server, port: 8081, expect: { fails: refused } }
`;

/** `netrig init`. */
export async function init(directory: string, flags: { force?: boolean }): Promise<number> {
  const file = join(directory, 'scenarios', 'first.yaml');
  const there = await access(file).then(
    () => true,
    () => false,
  );
  if (there && !flags.force) throw new NetrigError('NETRIG_USAGE', `${file} is there already.`, { hint: 'Say --force to write over it.' });
  await mkdir(join(directory, 'scenarios'), { recursive: true });
  await writeFile(file, first);
  process.stdout.write(`${file} written. Run it:  netrig run ${relative(process.cwd(), file) || file}\n`);
  return exitStatus.passed;
}

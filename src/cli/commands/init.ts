import { access, writeFile } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative } from 'node:path';
import { messageOf, NetrigError } from '../../errors.js';
import { makeDirectory } from '../../model/directory.js';
import { exitStatus } from '../../model/verdict.js';
import { print } from '../terminal.js';

const first = (
  file: string,
): string => `# A first lab: two hosts on one segment, a web server in a container on one of them.
# Run it:              netrig run ${file}
# Look around in it:   netrig up ${file}, then netrig ssh server
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

/**
 * `netrig init`.
 *
 * @param where A directory, which gets `scenarios/first.yaml`, or the file itself by a name that ends in .yaml or .yml.
 */
export async function init(where: string, flags: { force?: boolean }): Promise<number> {
  const file = /\.ya?ml$/i.test(where) ? where : join(where, 'scenarios', 'first.yaml');
  const there = await access(file).then(
    () => true,
    () => false,
  );
  if (there && !flags.force)
    throw new NetrigError('NETRIG_USAGE', `${file} is there already.`, { hint: 'Say --force to write over it.' });
  const named = isAbsolute(file) ? file : relative(process.cwd(), file);
  await makeDirectory(dirname(file)).catch((error: unknown) => {
    throw new NetrigError('NETRIG_USAGE', `${dirname(file)} cannot be made: ${messageOf(error)}`, {
      hint: 'Name another place.',
    });
  });
  await writeFile(file, first(named)).catch((error: unknown) => {
    throw new NetrigError('NETRIG_USAGE', `${file} cannot be written: ${messageOf(error)}`, {
      hint: 'Name another place.',
    });
  });
  print`${file} written. Run it:  netrig run ${named}`;
  return exitStatus.passed;
}

import { posix } from 'node:path';
import { z } from 'zod';
import { isNetrigError, messageOf } from '../errors.js';
import { zMode } from '../language/own-path.js';
import { defineStep } from './kind.js';
import { quoteArg } from '../ssh/quote.js';
import { onEachHost } from './on-hosts.js';

const schema = z.strictObject({
  write: z
    .string()
    .regex(/^\//, 'an absolute path on the host, such as /etc/docker/daemon.json')
    .describe('Absolute path of the file on the host. Parent directories are made.'),
  content: z.string().describe('The whole content of the file.'),
  mode: zMode.default('0644').describe('Octal permission bits, in quotes: `"0755"`.'),
});

type WriteSpec = z.infer<typeof schema>;

/** The file by `cat`, with its directory; a line of its own ends it that does not stand in it. */
function hereDocument(path: string, content: string): string {
  const lines = content.split('\n');
  let end = 'EOF';
  while (lines.includes(end)) end += '_';
  const body = content === '' || content.endsWith('\n') ? content : `${content}\n`;
  return `mkdir -p ${quoteArg(posix.dirname(path))} && cat > ${quoteArg(path)} <<'${end}'\n${body}${end}`;
}

export const writeStep = defineStep<WriteSpec>({
  name: 'write',
  summary: 'Writes a file on each host named by `on`, by SFTP, whole or not at all.',
  example: `- step: Docker keeps its networks in Consul
  on: [node1, node2]
  write: /etc/docker/daemon.json
  content: |
    { "cluster-store": "consul://10.10.10.11:8500" }`,
  schema,
  repeatable: true,
  typed: (spec) => hereDocument(spec.write, spec.content),
  describe: (spec) => `writes ${spec.write} (${Buffer.byteLength(spec.content)} bytes)`,
  run: (spec, context) =>
    onEachHost(context, async (host) => {
      try {
        await host.writeFile(spec.write, spec.content, { mode: Number.parseInt(spec.mode, 8) });
      } catch (error) {
        if (!isNetrigError(error, 'NETRIG_SFTP')) throw error;
        return { verdict: 'fail', cause: 'exit-status', reason: messageOf(error), expected: `${spec.write} written` };
      }
      return { verdict: 'pass', reason: `${spec.write} written, ${Buffer.byteLength(spec.content)} bytes.` };
    }),
});

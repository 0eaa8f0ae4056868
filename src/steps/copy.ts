import { z } from 'zod';
import { isNetrigError, messageOf } from '../errors.js';
import { locateOwn, zHostPath, zMode, zOwner, zOwnPath } from '../language/own-path.js';
import type { Outcome } from '../model/verdict.js';
import type { ProbeHost } from '../places/context.js';
import { ownerOn } from '../ssh/owner.js';
import { readTree, sizeOf, TreeProblem, type TreeEntry } from '../ssh/tree.js';
import { defineStep, type StepContext } from './kind.js';
import { onEachHost } from './on-hosts.js';

const schema = z.strictObject({
  copy: zOwnPath.describe(
    'A file or directory in the scenario’s folder or below. Modes are kept, and links stay links; of a directory, what is in it is copied.',
  ),
  to: zHostPath.describe(
    'Absolute path on the host: of the file, or with a slash at its end of the directory it goes into; for a directory, of the directory that gets what is in it. Parent directories are made, and what else is there stays.',
  ),
  owner: zOwner.optional().describe('Owner of what is copied: `frr`, `frr:adm`. Default: root.'),
  mode: zMode
    .optional()
    .describe('Octal permission bits of a file, in quotes: `"0640"`. Default: those that it has here.'),
});

type CopySpec = z.infer<typeof schema>;

const failed = (spec: CopySpec, reason: string): Outcome => ({
  verdict: 'fail',
  cause: 'exit-status',
  reason,
  expected: `${spec.to} copied`,
});

async function copyTo(host: ProbeHost, spec: CopySpec, entries: readonly TreeEntry[]): Promise<Outcome> {
  const owner = spec.owner === undefined ? null : await ownerOn(host, spec.owner);
  if (owner !== null && 'message' in owner) return failed(spec, `On ${host.name} ${owner.message}.`);
  try {
    await host.putTree(entries, owner);
  } catch (error) {
    if (!isNetrigError(error, 'NETRIG_SFTP')) throw error;
    return failed(spec, messageOf(error));
  }
  const { files, bytes } = sizeOf(entries);
  return { verdict: 'pass', reason: `${files} ${files === 1 ? 'file' : 'files'} copied, ${bytes} bytes.` };
}

/** What is to be copied, as it is now. */
async function readOwn(spec: CopySpec, context: StepContext): Promise<TreeEntry[] | { message: string }> {
  const found = locateOwn(spec.copy, context.folders);
  if ('message' in found) return found;
  if (found.directory && spec.mode !== undefined)
    return { message: `${spec.copy} is a directory: \`mode\` is for a file` };
  try {
    return await readTree(found.path, spec.to, spec.mode === undefined ? null : Number.parseInt(spec.mode, 8));
  } catch (error) {
    if (error instanceof TreeProblem || (error instanceof Error && 'code' in error))
      return { message: messageOf(error) };
    throw error;
  }
}

/** Copies files beside the scenario to one or several hosts, all of them or none. */
export const copyStep = defineStep<CopySpec>({
  name: 'copy',
  summary:
    'Copies a file or directory beside the scenario to each host named by `on`, by SFTP, whole or not at all. What a host has from its start belongs into its `files`.',
  example: `- step: nginx has two servers behind it
  on: lb
  copy: ./conf/nginx.conf
  to: /etc/nginx/nginx.conf`,
  schema,
  repeatable: true,
  describe: (spec) => `copies ${spec.copy} to ${spec.to}`,
  ownFiles: (spec) => [{ path: ['copy'], given: spec.copy, mode: spec.mode !== undefined }],
  async run(spec, context) {
    const entries = await readOwn(spec, context);
    if ('message' in entries) return failed(spec, `${entries.message}.`);
    return onEachHost(context, (host) => copyTo(host, spec, entries));
  },
});

import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '../src/providers/shared/command.js';
import { accessOf } from '../src/providers/local/leftovers.js';
import type { RunningLab } from '../src/providers/provider.js';
import { planLab } from '../src/plan/plan.js';
import { formatDiagnostics, loadScenarioFile } from '../src/scenario/load.js';
import { benchImage, projectDirectory } from './bare.js';
import { needPackages } from './debian-packages.js';
import { withLab } from './lab.js';
import { makeDirectory } from './leftovers.js';
import { type Bench, type BenchContext, comparison, takeTurns } from './measure.js';
import { runTimed } from './plain.js';

/** Put together from the same modules as netrig's own programs are, and in the same way (`scripts/build-program.mjs`). */
const twentyCommands = join(projectDirectory, 'dist', 'bench-program', 'bench', 'twenty-commands.js');

const hostNames = ['one', 'two'];
/** The first is not measured by itself: with it, Ansible opens its connections. */
const commands = Array.from({ length: 21 }, (_, index) => `echo command ${index + 1} on $(uname -n)`);

const scenarioText = `scenario: bench-commands
title: Commands on two hosts
hosts: { ${hostNames.map((name) => `${name}: { image: debian-11, engine: false }`).join(', ')} }
segments:
  lan: { subnet: 10.20.0.0/24, hosts: { one: 10.20.0.1, two: 10.20.0.2 } }
steps:
${commands.map((command) => `  - { on: [${hostNames.join(', ')}], run: "${command}" }`).join('\n')}
  - check: The hosts reach each other
    ping: { from: one, to: two }
`;

const playbookText = `- hosts: all
  gather_facts: false
  tasks:
${commands.map((command) => `    - raw: "${command}"`).join('\n')}
`;

/** Ansible's way in is netrig's: the host's unix socket. `ControlPath` must be short, since it is a unix socket's too. */
function inventory(lab: RunningLab, directory: string): string {
  const { hosts } = accessOf(lab.record);
  return `[all]\n${hostNames
    .map(
      (name) =>
        `${name} ansible_ssh_common_args='-o ProxyCommand="socat - UNIX-CONNECT:/proc/${hosts[name]?.pid1.pid}/root/run/netrig-ssh.sock"'`,
    )
    .join('\n')}
[all:vars]
ansible_user=root
ansible_ssh_private_key_file=${directory}/key
`;
}

const configuration = (directory: string): string => `[defaults]
inventory = ${directory}/hosts
local_tmp = ${directory}/ansible
host_key_checking = False
[ssh_connection]
pipelining = True
control_path = ${directory}/%%h
ssh_args = -o ControlMaster=auto -o ControlPersist=60s -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR
`;

interface Times {
  /** Of the second command up to the last, on both hosts. */
  commandsMs: number;
  /** Of the whole program. */
  wholeMs: number;
}

async function byNetrig(argv: [string, ...string[]], context: BenchContext): Promise<Times> {
  let said = '';
  const wholeMs = await runTimed(argv, { signal: context.signal, onOutput: (text) => (said += text) });
  return { wholeMs, commandsMs: Number(said) };
}

/** Ansible says each task's name before it, and flushes: the times are of what it says. */
async function byAnsible(
  argv: [string, ...string[]],
  env: Record<string, string>,
  context: BenchContext,
): Promise<Times> {
  let said = '';
  let from = Number.NaN;
  let to = Number.NaN;
  const wholeMs = await runTimed(argv, {
    signal: context.signal,
    env,
    onOutput: (text) => {
      said += text;
      if (Number.isNaN(from) && said.split('TASK [').length > 2) from = performance.now();
      if (Number.isNaN(to) && said.includes('PLAY RECAP')) to = performance.now();
    },
  });
  const done = said.match(/^(?:changed|ok): \[/gm)?.length ?? 0;
  if (done !== commands.length * hostNames.length)
    throw new Error(`Ansible ran ${done} commands:\n${said.trim().split('\n').slice(-10).join('\n')}`);
  return { wholeMs, commandsMs: to - from };
}

/** Twenty commands on two hosts, one after the other on each. */
export const commandsBench: Bench = {
  name: 'commands',
  what: 'twenty commands on two hosts as the steps of a scenario, against a playbook of `raw` tasks (pipelining, ControlPersist)',
  async run(context) {
    await needPackages(
      [
        { debianPackage: 'ansible-core', proof: 'ansible-playbook' },
        { debianPackage: 'openssh-client', proof: 'ssh' },
        { debianPackage: 'socat', proof: 'socat' },
      ],
      context,
    );
    await benchImage(context);
    const directory = await makeDirectory();
    const file = (name: string): string => join(directory, name);
    try {
      await writeFile(file('commands.yaml'), scenarioText);
      const { scenarios, diagnostics } = await loadScenarioFile(file('commands.yaml'));
      if (!scenarios[0]) throw new Error(formatDiagnostics(diagnostics));
      return await withLab(planLab(scenarios[0]), context, async (lab) => {
        await writeFile(file('key'), accessOf(lab.record).privateKey, { mode: 0o600 });
        await writeFile(file('hosts'), inventory(lab, directory));
        await writeFile(file('ansible.cfg'), configuration(directory));
        await writeFile(file('playbook.yaml'), playbookText);
        const env = { ANSIBLE_CONFIG: file('ansible.cfg'), ANSIBLE_HOME: file('ansible'), HOME: directory };
        const endConnections = async (): Promise<void> => {
          for (const name of hostNames)
            await runCommand(['ssh', '-o', `ControlPath=${directory}/${name}`, '-O', 'exit', name], {
              timeoutMs: 5000,
            });
        };
        try {
          const pairs = await takeTurns(context.quick ? 3 : 9, context, {
            netrig: () =>
              byNetrig([process.execPath, twentyCommands, file('commands.yaml'), lab.id, file('run')], context),
            other: async () => {
              await endConnections();
              return byAnsible(['ansible-playbook', file('playbook.yaml')], env, context);
            },
          });
          return [
            comparison(
              'twenty commands, in a run under way',
              'Ansible',
              's',
              pairs,
              (side) => side.commandsMs / 1000,
              1 / 3,
            ),
            comparison(
              'whole program: start, connect, 21 commands',
              'Ansible',
              's',
              pairs,
              (side) => side.wholeMs / 1000,
              1 / 3,
            ),
          ];
        } finally {
          await endConnections();
        }
      });
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  },
};

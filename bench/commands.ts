import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '../src/providers/local/command.js';
import { accessOf } from '../src/providers/local/leftovers.js';
import type { RunningLab } from '../src/providers/provider.js';
import { planLab } from '../src/plan/plan.js';
import { formatDiagnostics, loadScenarioFile } from '../src/scenario/load.js';
import { benchImage } from './bare.js';
import { needPackages } from './debian-packages.js';
import { withLab } from './lab.js';
import { type Bench, comparison, takeTurns } from './measure.js';
import { runTimed } from './plain.js';

const hostNames = ['one', 'two'];
const commands = Array.from({ length: 20 }, (_, index) => `echo command ${index + 1} on $(uname -n)`);

const scenarioText = `scenario: bench-commands
title: Twenty commands on two hosts
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
    .map((name) => `${name} ansible_ssh_common_args='-o ProxyCommand="socat - UNIX-CONNECT:/proc/${hosts[name]?.pid1.pid}/root/run/netrig-ssh.sock"'`)
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

/** Twenty commands on two hosts, one after the other on each. */
export const commandsBench: Bench = {
  name: 'commands',
  what: 'twenty commands on two hosts as the steps of a scenario, against a playbook of twenty `raw` tasks (pipelining, ControlPersist)',
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
    const directory = await mkdtemp('/tmp/netrig-bench-');
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
        const playbook = async (): Promise<number> => runTimed(['ansible-playbook', file('playbook.yaml')], { signal: context.signal, env });
        const endConnections = async (): Promise<void> => {
          for (const name of hostNames) await runCommand(['ssh', '-o', `ControlPath=${directory}/${name}`, '-O', 'exit', name], { timeoutMs: 5000 });
        };
        const steps = (): Promise<number> => runTimed([process.execPath, join(import.meta.dirname, 'twenty-commands.js'), file('commands.yaml'), lab.id, file('run')], { signal: context.signal });
        const rounds = context.quick ? 3 : 9;
        try {
          const each = await takeTurns(rounds, context, {
            netrig: steps,
            other: async () => {
              await endConnections();
              return playbook();
            },
          });
          // From here on Ansible's connections stay open; netrig opens its own anew each time.
          await playbook();
          const kept = await takeTurns(rounds, context, { netrig: steps, other: playbook });
          return [
            comparison('from start to end', 'Ansible', 's', each, (ms) => ms / 1000, 1 / 3),
            comparison('Ansible’s connections kept, netrig’s not', 'Ansible', 's', kept, (ms) => ms / 1000, null),
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

import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { localProvider } from '../../src/providers/local/provider.js';
import type { RunningLab } from '../../src/providers/provider.js';
import { generateKeyPair } from '../../src/ssh/keys.js';
import { hostPlan, labPlan, made, onHost, upOptions } from './local-labs.js';

/**
 * Machines for the provider ssh, which takes them as given: hosts of a local lab, with sshd on TCP, users and keys of their own.
 *
 *     controller ── net1 ── gate ── net2 ── one ── net3 ── two
 *                                     └─────────────────────┘
 *
 * `one` and `two` are reached only through `gate`; their interfaces are ens3 (net2) and ens4 (net3). netrig's ssh runs in the
 * network namespace of `controller`, by a program `ssh` that stands first in PATH.
 */
export interface GivenMachines {
  lab: RunningLab;
  /** Directory of the inventory, keys and known hosts. */
  dir: string;
  /** Writes an inventory and answers its path. */
  inventory(yaml: string): string;
  /** Lines for machines `gate`, `one` and `two`, with more of the latter two. */
  machines(more: { one?: string; two?: string }): string;
  on(host: string, command: string): Promise<string>;
  remove(): Promise<void>;
}

/** sudo's password of the user `careful` on `two`. */
export const sudoPassword = 'correct horse';

const sshd = `
Port 22
HostKey /etc/ssh/ssh_host_ed25519_key
UsePAM yes
PasswordAuthentication no
PidFile none
Subsystem sftp internal-sftp
`;

export async function giveMachines(image = 'debian-12'): Promise<GivenMachines> {
  const dir = mkdtempSync(join(tmpdir(), 'netrig-given-'));
  const plan = labPlan('machines', [
    hostPlan('controller', 1, ['net1'], { image }),
    hostPlan('gate', 2, ['net1', 'net2'], { image }),
    hostPlan('one', 11, ['net2', 'net3'], { image, init: 'systemd', engine: true }),
    hostPlan('two', 12, ['net2', 'net3'], { image, init: 'systemd', engine: true }),
  ]);
  const lab = await localProvider.up(plan, upOptions());
  const oldPath = process.env['PATH'];
  const on = async (host: string, command: string): Promise<string> => {
    const result = await onHost(lab, host, command);
    if (result.exitCode !== 0) throw new Error(`${host}: ${command}: ${result.stderr}`);
    return result.stdout;
  };
  try {
    const login = generateKeyPair('given machines');
    writeFileSync(join(dir, 'id'), login.privateKey, { mode: 0o600 });
    const users = { gate: 'porter', one: 'admin', two: 'careful' };
    for (const [host, user] of Object.entries(users)) {
      const sudo = host === 'two' ? `${user} ALL=(ALL) ALL` : `${user} ALL=(ALL) NOPASSWD: ALL`;
      await on(
        host,
        [
          `useradd -m -s /bin/sh ${user} && mkdir -m 700 /home/${user}/.ssh && printf '%s\\n' '${login.publicKeyLine}' >/home/${user}/.ssh/authorized_keys && chown -R ${user}: /home/${user}/.ssh`,
          `printf '%s:%s\\n' ${user} '${sudoPassword}' | chpasswd`,
          host === 'gate' ? 'true' : `printf '%s\\n' '${sudo}' >/etc/sudoers.d/${user}`,
          `printf '%s' '${sshd}' >/root/sshd_config && mkdir -p /run/sshd && /usr/sbin/sshd -f /root/sshd_config`,
          ...(host === 'gate'
            ? []
            : [
                'for pair in eth0:ens3 eth1:ens4; do ip link set ${pair%:*} down; ip link set ${pair%:*} name ${pair#*:}; ip link set ${pair#*:} up; done',
              ]),
        ].join(' && '),
      );
    }
    const known = Object.entries({ gate: '10.20.1.2', one: '10.20.2.11', two: '10.20.2.12' }).map(
      ([host, address]) => `${address} ssh-ed25519 ${lab.target(host).hostKey}`,
    );
    writeFileSync(join(dir, 'known_hosts'), `${known.join('\n')}\n`);
    const controller = made(lab.id).find((entry) => entry.kind === 'process' && entry.role === 'controller');
    if (controller?.kind !== 'process') throw new Error('the ledger has no process of the controller');
    mkdirSync(join(dir, 'bin'));
    writeFileSync(
      join(dir, 'bin', 'ssh'),
      `#!/bin/sh\nPATH='${oldPath}'\nexec nsenter --target ${controller.pid} --net ssh "$@"\n`,
    );
    chmodSync(join(dir, 'bin', 'ssh'), 0o755);
    process.env['PATH'] = `${join(dir, 'bin')}:${oldPath}`;
  } catch (error) {
    await lab.down();
    throw error;
  }
  const machine = (name: string, address: string, user: string, more: string): string =>
    `  ${name}: { address: ${address}, user: ${user}, key: id, known-hosts: known_hosts${more === '' ? '' : `, ${more}`} }`;
  let written = 0;
  return {
    lab,
    dir,
    inventory(yaml) {
      const file = join(dir, `inventory-${(written += 1)}.yaml`);
      writeFileSync(file, yaml);
      return file;
    },
    machines: (more) =>
      [
        'jumps:',
        machine('gate', '10.20.1.2', 'porter', ''),
        'machines:',
        machine(
          'one',
          '10.20.2.11',
          'admin',
          ['jump: gate', 'sudo: true', more.one ?? ''].filter((part) => part !== '').join(', '),
        ),
        machine(
          'two',
          '10.20.2.12',
          'careful',
          ['jump: gate', 'sudo: { password-variable: NETRIG_TEST_SUDO }', more.two ?? '']
            .filter((part) => part !== '')
            .join(', '),
        ),
        '',
      ].join('\n'),
    on,
    async remove() {
      if (oldPath === undefined) delete process.env['PATH'];
      else process.env['PATH'] = oldPath;
      await lab.down();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

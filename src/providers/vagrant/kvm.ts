import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { findProgram, machineEnvironment } from '../shared/command.js';

/** Whether this user's virtual machines get real processors, and what was seen. */
export interface KvmFinding {
  usable: boolean;
  seen: string;
}

/** For this long a machine without a disk must run, ms. One that KVM can't run stops within a few. */
const runMs = 1_200;
const askMs = 200;
const endMs = 5_000;
const emulator = 'qemu-system-x86_64';

/**
 * Runs a machine of 16 MiB with nothing but its firmware on KVM. A device that is there need not work: on hosts without nested
 * virtualisation QEMU ends at once, or its machine stops at the first instruction.
 */
export async function tryKvm(): Promise<KvmFinding> {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
  } catch {
    return { usable: false, seen: 'there is no /dev/kvm that this user can read and write' };
  }
  const program = findProgram(emulator);
  if (program === null)
    return { usable: true, seen: `/dev/kvm can be opened; without ${emulator} on the path nothing more was tried` };
  const child = spawn(
    program,
    ['-accel', 'kvm', '-cpu', 'host', '-machine', 'pc', '-m', '16', '-nodefaults', '-display', 'none', '-qmp', 'stdio'],
    {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: machineEnvironment,
      detached: true,
      timeout: endMs,
      killSignal: 'SIGKILL',
    },
  );
  let words = '';
  let status = '';
  let ended = false;
  const end = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      words += error.message;
      ended = true;
      resolve();
    });
    child.once('close', () => {
      ended = true;
      resolve();
    });
  });
  child.stdin.on('error', () => undefined);
  child.stderr.setEncoding('utf8').on('data', (text: string) => (words += text));
  createInterface({ input: child.stdout }).on('line', (line) => {
    // QEMU Machine Protocol: the answer to query-status is {"return": {"status": "running", …}}.
    const found = /"status": "([a-z-]+)"/.exec(line)?.[1];
    if (found !== undefined) status = found;
  });
  child.stdin.write('{"execute":"qmp_capabilities"}\n');
  const deadline = performance.now() + runMs;
  while (!ended && performance.now() < deadline) {
    await Promise.race([pause(askMs), end]);
    if (!ended) child.stdin.write('{"execute":"query-status"}\n');
    if (status !== '' && status !== 'running') break;
  }
  const early = ended;
  child.kill('SIGKILL');
  await end;
  if (!early && status === 'running') return { usable: true, seen: `a machine ran on KVM for ${runMs / 1000} s` };
  const why = early
    ? words
        .trim()
        .split('\n')[0]
        ?.replace(/^qemu-system-x86_64: (error: )?/, '') || 'it said nothing'
    : `the machine was "${status || 'silent'}"`;
  return { usable: false, seen: `/dev/kvm is there, but QEMU could not run a machine on it: ${why}` };
}

import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { findProgram, machineEnvironment } from '../shared/command.js';

/** Whether this user's virtual machines get real processors, and what was seen. */
export interface KvmFinding {
  usable: boolean;
  seen: string;
}

/** A processor that works is through with the boot sector in far less, ms. */
const runMs = 5_000;
const askMs = 200;
const emulator = 'qemu-system-x86_64';
/** What QEMU ends with when the boot sector wrote 0x31 to the port of isa-debug-exit. */
const passedStatus = 0x31 * 2 + 1;

/** The program of `try-processor.S` beside this file, as the assembler makes it; zeros and the mark of a boot sector follow. */
const tryProcessor = [
  '+jHAjtiOwI7QvAB8DwEWAH0PIMAMAQ8iwOoefAgAZrgQAI7YjsCO0LwAfAAAxwWAUQAAtXwIAMcFhFEAAACOAAAPAR0GfQAA',
  'zTAxwL8AEAAAuQAMAADzq8cFABAAAAMgAADHBQAgAAADMAAAvwAwAAC4gwAAALkAAgAAiQcFAAAgAIPHCOL0DyDgDCAPIuC4',
  'ABAAAA8i2LmAAADADzKAzAEPMA8gwA0AAACADyLA6rZ8AAAYAM+42XwYAL8AUwAAiQfHRwQAjgAAx0cIAAAAAM0wsDHm9PTr',
  '/UjPDx9EAAAAAAAAAAAAAP//AAAAms8A//8AAACSzwD//wAAAJqvAB8A4HwAAP8DAFA=',
].join('');

/** The 512 bytes of a disk that tries the processor: protected mode, pages, long mode, and interrupts in both. */
export function processorTest(): Buffer {
  const sector = Buffer.alloc(512);
  Buffer.from(tryProcessor, 'base64').copy(sector);
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}

/**
 * Runs a machine of 16 MiB on KVM that does what an operating system does on its way up. A device that is there need not
 * work: on hosts without nested virtualisation QEMU ends at once, or its machine stops at the first instruction, or it runs
 * the firmware and stops in the boot loader.
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
  const directory = await mkdtemp(join(tmpdir(), 'netrig-processor-'));
  try {
    const disk = join(directory, 'disk.img');
    await writeFile(disk, processorTest());
    return await runProcessorTest(program, 'kvm', disk);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Boots the disk on an accelerator of QEMU; `tcg`, the emulation, is the one that always can. */
export async function runProcessorTest(
  program: string,
  accelerator: 'kvm' | 'tcg',
  disk: string,
  deadlineMs = runMs,
): Promise<KvmFinding> {
  const processor = accelerator === 'kvm' ? 'host' : 'qemu64';
  const machine = ['-accel', accelerator, '-cpu', processor, '-machine', 'pc', '-m', '16', '-nodefaults'];
  const devices = ['-device', 'isa-debug-exit,iobase=0xf4,iosize=0x04', '-drive', `file=${disk},format=raw,if=ide`];
  const child = spawn(program, [...machine, ...devices, '-display', 'none', '-qmp', 'stdio'], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: machineEnvironment,
    detached: true,
    timeout: deadlineMs + 5_000,
    killSignal: 'SIGKILL',
  });
  let words = '';
  let status = '';
  let ended = false;
  let exitStatus: number | null = null;
  const end = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      words += error.message;
      ended = true;
      resolve();
    });
    child.once('close', (code) => {
      exitStatus = code;
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
  const deadline = performance.now() + deadlineMs;
  while (!ended && performance.now() < deadline) {
    await Promise.race([pause(askMs), end]);
    if (!ended) child.stdin.write('{"execute":"query-status"}\n');
    if (status !== '' && status !== 'running') break;
  }
  const early = ended;
  child.kill('SIGKILL');
  await end;
  if (exitStatus === passedStatus) return { usable: true, seen: 'a machine on it came as far as long mode' };
  const why = early
    ? words
        .trim()
        .split('\n')[0]
        ?.replace(/^qemu-system-x86_64: (error: )?/, '') || 'it said nothing'
    : status === 'running'
      ? `the machine had not come to long mode after ${deadlineMs / 1000} s`
      : `the machine was "${status || 'silent'}"`;
  return { usable: false, seen: `/dev/kvm is there, but QEMU could not run a machine on it: ${why}` };
}

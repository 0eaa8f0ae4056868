import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { cgroupsOf, machineState, missing } from './local-labs.js';
import { type Ended, mainFile, start } from './netrig-command.js';

const scenario = `
scenario: full
title: One host
hosts: { server: { image: debian-12 } }
segments: { lan: { subnet: 10.83.0.0/24, hosts: { server: 10.83.0.1 } } }
steps:
  - check: The server answers itself
    ping: { from: server, to: 10.83.0.1 }
`;

(missing ? describe.skip : describe)(`netrig on a full disk${missing ? ` (needs ${missing})` : ''}`, function () {
  this.timeout(120_000);
  let directory: string;
  const untouched = missing ? null : machineState();

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'netrig-full-'));
    writeFileSync(join(directory, 'lab.yaml'), scenario);
  });
  after(() => {
    rmSync(directory, { recursive: true });
    expect(machineState()).to.deep.equal(untouched);
  });

  /** Runs netrig with a file system of 256 KiB at DIRECTORY/disk, of which so much is free; its mount ends with it. */
  function withFree(kib: number, command: string, args: readonly string[], variable: string): Promise<Ended> {
    const fill = `set -eu
mkdir -p disk
mount -t tmpfs -o size=256k none disk
dd if=/dev/zero of=disk/ballast bs=1k count=${256 - kib} 2>/dev/null
export ${variable}="$PWD/disk"
exec "$@"`;
    const words = ['--mount', '--propagation', 'private', 'sh', '-c', fill, 'sh', process.execPath, mainFile, command];
    return start('unshare', [...words, 'lab.yaml', ...args], {
      cwd: directory,
      env: { XDG_STATE_HOME: join(directory, 'state') },
    }).ended;
  }

  // Every few KiB something else is the first that finds no room: the record, the ledger, a console log, the record that it is up.
  for (const kib of [0, 4, 8, 12, 16]) {
    it(`names the file of its state that found no room (${kib} KiB free), and leaves no lab`, async () => {
      const end = await withFree(kib, 'run', ['--no-allure-report'], 'XDG_STATE_HOME');
      const said = end.stdout + end.stderr;
      if (end.status !== 0) {
        expect(end.status, said).to.equal(3);
        expect(said).to.match(/disk\/netrig\/labs\/\S+ could not be written: no space is left there\./);
        expect(said).to.contain('NETRIG_WRITE');
        expect(said).to.contain('XDG_STATE_HOME');
      }
      expect(said).not.to.match(/NETRIG_INTERNAL|itself is broken|NETRIG_HOST_BOOT/);
      if (kib === 0) expect(end.status).to.equal(3);
      expect(cgroupsOf('-full-')).to.deep.equal([]);
    });
  }

  it('says so of a lab that is to stay, too', async () => {
    const end = await withFree(0, 'up', [], 'XDG_STATE_HOME');
    expect(end.status).to.equal(3);
    expect(end.stderr).to.match(/could not be written: no space is left there\. \(NETRIG_WRITE\)/);
  });

  it('is not broken itself where its record has no room', async () => {
    const end = await withFree(0, 'run', ['--no-allure-report', '--reports', 'disk/reports'], 'NOTHING');
    expect(end.status).to.equal(3);
    expect(end.stderr).to.match(
      /run\.jsonl cannot be written: ENOSPC\S* no space left on device, write \(NETRIG_REPORT_WRITE\)/,
    );
    expect(end.stdout + end.stderr).not.to.contain('NETRIG_INTERNAL');
  });
});

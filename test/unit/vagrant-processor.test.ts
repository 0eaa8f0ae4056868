import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { findProgram } from '../../src/providers/shared/command.js';
import { processorTest, runProcessorTest } from '../../src/providers/vagrant/kvm.js';

const source = fileURLToPath(new URL('../../../src/providers/vagrant/try-processor.S', import.meta.url));
const emulator = findProgram('qemu-system-x86_64');

describe('whether KVM runs a machine', () => {
  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'netrig-test-processor-'));
  });
  after(() => rm(directory, { recursive: true, force: true }));

  it('is tried with the boot sector whose source is shown', async function () {
    if (findProgram('as') === null || findProgram('ld') === null) this.skip();
    const [object, binary] = [join(directory, 'try.o'), join(directory, 'try.bin')];
    execFileSync('as', ['--64', '-o', object, source]);
    execFileSync('ld', ['-Ttext', '0x7c00', '--oformat', 'binary', '-o', binary, object], { stdio: 'ignore' });
    expect(processorTest().equals(await readFile(binary))).to.equal(true);
  });

  it('is true of a processor that does it all', async function () {
    if (emulator === null) this.skip();
    const disk = join(directory, 'whole.img');
    await writeFile(disk, processorTest());
    expect(await runProcessorTest(emulator, 'tcg', disk)).to.deep.equal({
      usable: true,
      seen: 'a machine on it came as far as long mode',
    });
  });

  it('is not true of a machine that stops on its way', async function () {
    if (emulator === null) this.skip();
    const disk = join(directory, 'halted.img');
    const sector = processorTest();
    // Its first instruction after `cli` is a `hlt`: the machine runs on and comes nowhere.
    sector[1] = 0xf4;
    await writeFile(disk, sector);
    expect(await runProcessorTest(emulator, 'tcg', disk, 500)).to.deep.include({ usable: false });
  });
});

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { execa } from 'execa';
import { readEvents } from '../../src/run/event-log.js';

describe('report: the record of a run on a full disk', () => {
  it('loses events, not lines: what is there stays readable, and what is missing is said (needs root)', async function () {
    this.timeout(20_000);
    if (process.getuid?.() !== 0) this.skip();
    const dir = mkdtempSync(join(tmpdir(), 'netrig-full-'));
    try {
      const writer = join(dir, 'writer.mjs');
      const copy = join(dir, 'copy.jsonl');
      const module = new URL('../../src/run/event-log.js', import.meta.url).href;
      // 64 KiB are full after some events; then room is made and the writer goes on.
      writeFileSync(
        writer,
        `import { copyFileSync, rmSync, writeFileSync } from 'node:fs';
         import { openEventLog } from ${JSON.stringify(module)};
         const dir = process.argv[2];
         writeFileSync(dir + '/ballast', Buffer.alloc(24_000));
         const warnings = [];
         const log = openEventLog(dir, { warn: (text) => warnings.push(text) });
         const emit = (n) => log.emit({ type: 'log', scenario: null, level: 'info', text: n + ' ' + 'x'.repeat(3000) });
         for (let n = 0; n < 20; n += 1) emit(n);
         rmSync(dir + '/ballast');
         emit(20);
         const failure = log.close();
         copyFileSync(dir + '/run.jsonl', process.argv[3]);
         console.log(JSON.stringify({ warnings: warnings.length, code: failure?.code, lost: log.lost }));`,
      );
      // The mount lives and dies with a mount namespace of its own.
      const { stdout } = await execa('unshare', [
        '--mount',
        '--propagation',
        'private',
        'sh',
        '-c',
        'mkdir "$1/disk" && mount -t tmpfs -o size=64k none "$1/disk" && exec "$2" "$3" "$1/disk" "$4"',
        'sh',
        dir,
        process.execPath,
        writer,
        copy,
      ]);
      const result = JSON.parse(stdout) as { warnings: number; code: string; lost: number };
      expect(result).to.include({ warnings: 1, code: 'NETRIG_REPORT_WRITE' });
      expect(result.lost).to.be.greaterThan(0);
      const texts: string[] = [];
      let torn = 0;
      let lost = 0;
      for await (const event of readEvents(copy, () => void (torn += 1)))
        if (event.type === 'log') texts.push(event.text);
        else if (event.type === 'lost') lost += event.events;
      const numbers = texts.filter((text) => /^\d+ x/.test(text)).map((text) => parseInt(text, 10));
      expect(numbers).to.have.length(21 - result.lost);
      expect(numbers.at(-1)).to.equal(20);
      expect(lost).to.equal(result.lost);
      expect(torn).to.be.at.most(1);
      expect(readFileSync(copy).at(-1)).to.equal(0x0a);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});

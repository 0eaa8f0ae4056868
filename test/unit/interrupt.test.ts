import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Lab } from '../../src/api/lab.js';
import { isNetrigError } from '../../src/errors.js';
import { onInterrupt } from '../../src/run/interrupt.js';

describe('Interrupting', () => {
  for (const name of ['SIGHUP', 'SIGUSR2'] as const) {
    it(`${name} ends gracefully, as Ctrl-C does`, () => {
      const heard: string[] = [];
      const interrupt = onInterrupt((signal) => heard.push(signal));
      try {
        process.emit(name, name);
        expect(interrupt.signal.aborted).to.equal(true);
        expect(heard).to.deep.equal([name]);
      } finally {
        interrupt.dispose();
      }
      expect(process.listeners(name)).to.deep.equal([]);
    });
  }
});

describe('Lab.up', () => {
  it('does not choose among the scenarios of a matrix by itself: it names them', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'netrig-matrix-'));
    const file = join(dir, 'many.yaml');
    writeFileSync(
      file,
      'scenario: many\ntitle: t\nmatrix: { image: [debian-11, debian-12] }\nhosts: { a: { image: "${image}" } }\nsteps: [{ check: x, command: { on: a, run: "true" } }]\n',
    );
    const error = await Lab.up(file).then(
      () => null,
      (reason: unknown) => reason,
    );
    rmSync(dir, { recursive: true });
    expect(isNetrigError(error, 'NETRIG_USAGE')).to.equal(true);
    expect(String((error as { hint: string }).hint)).to.contain('many[image=debian-11], many[image=debian-12]');
  });
});

import { PassThrough } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { holdShell, type Shell } from '../../src/classroom/shell.js';
import type { RemoteTerminal } from '../../src/ssh/ssh.js';

/** A program on a terminal that writes what the test says. */
function remote(): RemoteTerminal & { output: PassThrough; exit: (status: number | null) => void; sizes: unknown[] } {
  const output = new PassThrough();
  const sizes: unknown[] = [];
  let exit!: (status: number | null) => void;
  const done = new Promise<number | null>((resolve) => (exit = resolve));
  return {
    output,
    sizes,
    exit,
    done,
    write: () => true,
    resize: (size) => void sizes.push(size),
    close: () => exit(0),
  };
}

interface Page {
  text: string;
  next: number | null;
  gaps: number;
  screens: number;
  ended: (number | null)[];
  ack: (at: number) => void;
  stop: () => void;
}

function look(shell: Shell, from: number | null, acks = true): Page {
  const page: Page = {
    text: '',
    next: from,
    gaps: 0,
    screens: 0,
    ended: [],
    ack: () => undefined,
    stop: () => undefined,
  };
  const watching = shell.watch(
    {
      output(at, bytes) {
        if (page.next !== null && at !== page.next) page.gaps += 1;
        page.text += bytes.toString('latin1');
        page.next = at + bytes.length;
        if (acks) setImmediate(() => page.ack(page.next!));
      },
      screen(at, _size, data) {
        page.screens += 1;
        page.text = data;
        page.next = at;
      },
      size: () => undefined,
      ended: (status) => void page.ended.push(status),
    },
    from,
  );
  page.ack = (at) => watching.ack(at);
  page.stop = () => watching.stop();
  return page;
}

const size = { cols: 80, rows: 24 };

describe('A shell that is held for pages', () => {
  it('loses no byte and gives none twice to a page that comes and goes', async () => {
    const program = remote();
    const shell = holdShell(program, size, null, () => undefined);
    let page = look(shell, null);
    await delay(20);
    let seen = page.text;
    let written = '';
    for (let round = 0; round < 100; round += 1) {
      const line = `line ${round} ${'x'.repeat(round * 7)}\r\n`;
      written += line;
      program.output.write(line);
      if (round % 3 === 0) await delay(1);
      const next = page.next!;
      page.stop();
      seen += page.text;
      page = look(shell, next);
      expect(page.screens).to.equal(0);
    }
    await delay(50);
    seen += page.text;
    expect(page.gaps).to.equal(0);
    expect(seen).to.equal(written);
    program.exit(0);
    await delay(20);
    expect(page.ended).to.deep.equal([0]);
  });

  it('draws the screen for a page that was away for longer than is kept', async () => {
    const program = remote();
    const shell = holdShell(program, size, null, () => undefined);
    const page = look(shell, null);
    for (let part = 0; part < 40; part += 1) {
      program.output.write(`${'y'.repeat(78)}\r\n`.repeat(800));
      await delay(5);
    }
    program.output.write('the end');
    for (let tries = 0; tries < 200 && !page.text.endsWith('the end'); tries += 1) await delay(20);
    expect(page.gaps).to.equal(0);
    expect(page.text).to.match(/the end$/);
    expect(shell.held).to.be.at.most(1024 * 1024 + 65_536);
    const late = look(shell, 10);
    for (let tries = 0; tries < 100 && late.screens === 0; tries += 1) await delay(20);
    expect(late.screens).to.equal(1);
    expect(late.next).to.equal(page.next);
    expect(late.text).to.match(/the end/);
    program.exit(null);
  });

  it('stops reading a program that writes for ever while a page takes nothing', async () => {
    const program = remote();
    const shell = holdShell(program, size, null, () => undefined);
    const page = look(shell, 0, false);
    let refused = false;
    for (let part = 0; part < 400 && !refused; part += 1) {
      refused = !program.output.write('y\n'.repeat(8192));
      await delay(1);
    }
    expect(refused).to.equal(true);
    expect(page.text.length).to.equal(256 * 1024);
    const before = page.text.length;
    page.ack(before);
    await delay(50);
    expect(page.text.length).to.be.greaterThan(before);
    program.exit(0);
  });
});

import { PassThrough } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { createPaces } from '../../src/classroom/pace.js';
import { holdShell, windowBytes, type Shell } from '../../src/classroom/shell.js';
import { createTyping } from '../../src/classroom/typing.js';
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
    write: (_bytes, taken) => taken(),
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

describe('A shell that is held for pages', function () {
  this.timeout(60_000);

  it('loses no byte and gives none twice to a page that comes and goes', async () => {
    const program = remote();
    const shell = holdShell(program, size, null, () => undefined);
    let page = look(shell, null);
    while (page.next === null) await delay(5);
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
    expect(page.text.length).to.equal(windowBytes);
    const before = page.text.length;
    page.ack(before);
    await delay(50);
    expect(page.text.length).to.be.greaterThan(before);
    program.exit(0);
  });

  it('goes as fast as the quickest of its pages, and gives one that takes nothing the screen once', async () => {
    const program = remote();
    const shell = holdShell(program, size, null, () => undefined);
    const silent = look(shell, null, false);
    const reader = look(shell, null);
    await delay(20);
    let taken = 0;
    for (let part = 0; part < 40; part += 1) {
      program.output.write('z\n'.repeat(16_384));
      taken += 32_768;
      await delay(1);
    }
    for (let tries = 0; tries < 400 && reader.next! < taken; tries += 1) await delay(20);
    expect(reader.next).to.equal(taken);
    expect(reader.screens).to.equal(1);
    expect(silent.text.length).to.be.at.most(windowBytes);
    expect(silent.screens).to.equal(1);
    // Once it says what it has, it is shown what holds now.
    silent.ack(silent.next!);
    for (let tries = 0; tries < 200 && silent.screens === 1; tries += 1) await delay(20);
    expect(silent.screens).to.equal(2);
    expect(silent.next).to.equal(taken);
    program.exit(0);
  });

  it('shows what follows Ctrl-C without what was on its way before it', async () => {
    const output = new PassThrough({ readableHighWaterMark: 2 * 1024 * 1024, writableHighWaterMark: 16_384 });
    const typed: string[] = [];
    const program = {
      ...remote(),
      output,
      write: (bytes: Buffer, taken: () => void) => {
        typed.push(bytes.toString());
        taken();
      },
    };
    const shell = holdShell(program, size, null, () => undefined);
    const page = look(shell, 0, false);
    let written = 0;
    while (output.write('y\n'.repeat(16_384)) && written < 8 * 1024 * 1024) {
      written += 32_768;
      await delay(1);
    }
    expect(page.next).to.equal(windowBytes);
    shell.input(Buffer.from('\u0003'));
    expect(typed).to.deep.equal(['\u0003']);
    output.write('^C\r\n$ ');
    for (let tries = 0; tries < 400 && page.screens === 0; tries += 1) await delay(20);
    expect(page.text).to.match(/\^C\r\n\$ $/);
    // The page that had taken nothing yet has the end, and nothing between.
    expect(page.next).to.be.greaterThan(written);
    expect(shell.held).to.be.at.most(1024 * 1024 + 65_536);
    expect(page.gaps).to.equal(0);
    output.write('calm');
    await delay(20);
    page.ack(page.next!);
    await delay(20);
    expect(page.text).to.match(/\$ calm$/);
    program.exit(0);
  });

  it('is not taken for one that keeps up where what it wrote has not been read yet', async () => {
    const output = new PassThrough({ readableHighWaterMark: 4 * 1024 * 1024, writableHighWaterMark: 4 * 1024 * 1024 });
    const shell = holdShell({ ...remote(), output }, size, null, () => undefined);
    const page = look(shell, 0);
    await delay(5);
    output.write('y\n'.repeat(1024 * 1024));
    shell.input(Buffer.from('\u0003'));
    output.write('^C\r\n$ ');
    for (let tries = 0; tries < 400 && page.screens === 0; tries += 1) await delay(20);
    expect(page.screens).to.equal(1);
    expect(page.text).to.match(/\^C\r\n\$ $/);
  });

  it('is shown again where the program goes on after Ctrl-C and leaves no pause', async () => {
    const program = remote();
    const shell = holdShell(program, size, null, () => undefined);
    const page = look(shell, 0, false);
    for (let part = 0; part < 20; part += 1) program.output.write('y\n'.repeat(16_384));
    await delay(50);
    shell.input(Buffer.from('\u0003'));
    let ticks = 0;
    const ticking = setInterval(() => program.output.write(`tick ${(ticks += 1)}\r\n`), 2);
    for (let tries = 0; tries < 1000 && page.screens === 0; tries += 1) await delay(20);
    clearInterval(ticking);
    expect(page.text).to.match(/tick/);
    program.exit(0);
  });

  it('takes no more of what is typed than a bounded size, and Ctrl-C before all of it', () => {
    const given: Buffer[] = [];
    let taken = 0;
    const typing = createTyping((bytes) => void given.push(bytes));
    for (let frame = 0; frame < 64; frame += 1) typing.add(Buffer.alloc(16_384, 'x'), () => (taken += 1));
    expect(typing.waiting).to.equal(256 * 1024);
    // What there is no room for is gone, and said to be.
    expect(taken).to.equal(48);
    typing.add(Buffer.from('\u0003'), () => (taken += 1));
    expect(given.map(({ length }) => length)).to.deep.equal([16_384, 1]);
    expect(typing.waiting).to.equal(16_384);
    expect(taken).to.equal(63);
  });

  it('goes on with what was typed in its order, and takes Ctrl-C in a text for a sign of it', () => {
    const given: string[] = [];
    let room = (): void => undefined;
    const typing = createTyping((bytes, took) => {
      given.push(bytes.toString());
      room = took;
    });
    for (const text of ['one', 'two \u0003 two', 'three']) typing.add(Buffer.from(text), () => undefined);
    expect(given).to.deep.equal(['one']);
    room();
    room();
    expect(given).to.deep.equal(['one', 'two \u0003 two', 'three']);
    room();
    expect(typing.waiting).to.equal(0);
  });

  it('lets a flood through at a pace that is shared by all who flood', () => {
    let time = 0;
    const newPace = createPaces(() => time);
    const [one, ...others] = Array.from({ length: 12 }, () => newPace());
    one!.took(1024 * 1024);
    expect(one!.waitMs(true)).to.equal(20);
    time += 1000;
    expect(one!.waitMs(true)).to.equal(0);
    for (const other of [one!, ...others]) other.took(3 * 1024 * 1024);
    for (const other of others) other.waitMs(true);
    // Two MiB too much, and half a MiB a second: six among twelve.
    expect(one!.waitMs(true)).to.equal(4000);
    for (const other of others) other.end();
    expect(one!.waitMs(true)).to.equal(1000);
    // Who looks at nothing waits longer; and who never floods never waits.
    expect(one!.waitMs(false)).to.equal(8000);
    const quiet = newPace();
    quiet.took(80);
    expect(quiet.waitMs(true)).to.equal(0);
  });
});

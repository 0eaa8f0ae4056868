import serializeAddon from '@xterm/addon-serialize';
import xterm from '@xterm/headless';
import { expect } from 'chai';
import fc from 'fast-check';
import { createDrawing } from '../../src/classroom/drawing.js';
import { endOf, piecesOf, whatCounts } from '../../src/classroom/flood.js';
import { boundRepeats } from '../../src/classroom/repeats.js';

type Screen = InstanceType<typeof xterm.Terminal>;

function screenOf(cols: number, rows: number, scrollback: number): Screen {
  const screen = new xterm.Terminal({ cols, rows, scrollback, allowProposedApi: true, logLevel: 'off' });
  boundRepeats(screen);
  return screen;
}

const through = (screen: Screen): Promise<void> => new Promise((resolve) => screen.write('', resolve));

/** What it shows, with styles and modes, and what the next sign looks like. */
async function shown(screen: Screen): Promise<string> {
  const serializer = new serializeAddon.SerializeAddon();
  screen.loadAddon(serializer as unknown as Parameters<typeof screen.loadAddon>[0]);
  await through(screen);
  const { cursorX, cursorY } = screen.buffer.active;
  screen.write('Z');
  await through(screen);
  return `${serializer.serialize()} at ${cursorX},${cursorY}`;
}

async function drawn(parts: readonly Buffer[]): Promise<string> {
  const screen = screenOf(12, 4, 6);
  for (const part of parts) screen.write(part);
  const text = await shown(screen);
  screen.dispose();
  return text;
}

/** `\r\n` ends a line on a terminal. */
const lines = (line: string, bytes: number): string => `${line}\r\n`.repeat(Math.ceil(bytes / (line.length + 2)));
const megabyte = 1024 * 1024;
const prompt = '^C\r\n\u001b[?2004h$ ';
const joined = (pieces: readonly { bytes: Buffer }[]): Buffer => Buffer.concat(pieces.map(({ bytes }) => bytes));

describe('What is drawn of a flood', function () {
  this.timeout(60_000);

  it('is what counts, and a terminal is afterwards as if all had been', async () => {
    const plain = ['a', 'long line that wraps', '本', '\t', '\b', '\n', '\r', '3', 'H'];
    const styled = [
      '\u001b[31m',
      '\u001b[m',
      '\u001b[0;1m',
      '\u001b[4m',
      '\u001b[K',
      '\u001b[1K',
      '\u001b[2C',
      '\u001b[5G',
    ];
    const others = [
      '\u000e',
      '\u009b2J',
      '\u0007',
      'é',
      '\u001b[?2004h',
      '\u001b[2J',
      '\u001b[A',
      '\u001b[2;3r',
      '\u001b7',
    ];
    const sign = fc.oneof(
      { weight: 500, arbitrary: fc.constantFrom(...plain) },
      { weight: 60, arbitrary: fc.constantFrom(...styled) },
      { weight: 1, arbitrary: fc.constantFrom(...others) },
    );
    const line = fc.array(sign, { maxLength: 3 }).map((signs) => `${signs.join('')}\r\n`);
    const text = fc.array(fc.oneof(line, line, sign), { minLength: 60, maxLength: 200 }).map((all) => all.join(''));
    let less = 0;
    await fc.assert(
      fc.asyncProperty(fc.constantFrom('', '\u001b[3', '\u001b[2;3r', '\u001b]0;x'), text, async (before, flood) => {
        const [first, bytes] = [Buffer.from(before), Buffer.from(flood)];
        const counts = whatCounts(bytes, 10);
        if (counts.length < bytes.length) less += 1;
        expect(await drawn([first, counts])).to.equal(await drawn([first, bytes]));
      }),
      { numRuns: 400 },
    );
    expect(less).to.be.greaterThan(0);
    const flood = Buffer.from('y\r\n'.repeat(700_000));
    expect(whatCounts(flood, 2024).length).to.equal(3 * (2024 + Math.ceil(258 / 3)));
  });

  it('is little where a prompt with its sequences stands behind it, and where its lines have colours', () => {
    for (const line of ['y', '\u001b[0m\u001b[01;34mdirectory\u001b[0m  \u001b[01;31m\u001b[Kfound\u001b[m'])
      expect(whatCounts(Buffer.from(lines(line, 3 * megabyte) + prompt), 2024).length, line).to.be.below(
        (line.length + 2) * 2200,
      );
  });

  it('ends a string that its middle had ended', async () => {
    const before = `\u001b]0;${lines('title', 300)}`;
    const flood = Buffer.from(`${before}\u001b[K${lines('after', 4000)}`);
    const counts = whatCounts(flood, 10);
    expect(counts.length).to.be.below(1000);
    expect(await drawn([counts])).to.equal(await drawn([flood]));
  });

  it('is all of it, in pieces of which each is soon drawn, however large the screen', () => {
    const bytes = Buffer.from(
      `${'a'.repeat(50_000)}${'\u001b[500S'.repeat(50)}${lines('x', 50_000)}\u001b[1;31mé\u001b[`,
    );
    for (const cells of [80 * 24, 500 * 200]) {
      const pieces = piecesOf(bytes, cells);
      expect(joined(pieces).equals(bytes)).to.equal(true);
      for (const piece of pieces)
        if (piece.cost > 8000) expect(piece.bytes.toString('latin1').match(/\u001b/g)).to.have.length(1);
    }
    expect(piecesOf(bytes, 500 * 200).filter(({ bytes: one }) => one.includes('[500S')).length).to.equal(50);
  });

  it('of a program that was interrupted, is the end of it, in the modes and the style that the rest had set', async () => {
    const set = '\u001b[?1049h\u001b[?1h\u001b[2;20r\u001b[4m\u001b(0\u001b[?7l';
    const body = `${set}${'\u001b[24S\u001b[3;4Hx'.repeat(100_000)}\u001b[?1h\u001b(B\u001b[?7h\u001b[31m`;
    const pieces = piecesOf(Buffer.from(`${body}${lines('the end', 9000)}${prompt}`), 80 * 24);
    const end = endOf(pieces, 30_000);
    expect(joined(end).length).to.be.below(40_000);
    const [all, short] = [screenOf(80, 24, 100), screenOf(80, 24, 100)];
    all.write(joined(pieces.slice(0, 1)));
    // Of the scrolling that is left out nothing is seen any more.
    all.write(`${body.slice(-30)}${lines('the end', 9000)}${prompt}`);
    for (const { bytes } of end) short.write(bytes);
    expect(await shown(short)).to.equal(await shown(all));
    expect(short.buffer.active.type).to.equal('alternate');
    expect(short.modes.applicationCursorKeysMode).to.equal(true);
    all.dispose();
    short.dispose();
  });

  it('is little of a costly one that was interrupted, and who waited for an earlier moment is shown the last', async () => {
    const screen = screenOf(500, 200, 2000);
    let given = 0;
    const write = screen.write.bind(screen);
    screen.write = (data, then) => {
      given += data.length;
      write(data, then);
    };
    const drawing = createDrawing(screen, 2000, () => undefined);
    const asked: number[] = [];
    drawing.add(Buffer.from('\u001b[500S'.repeat(30_000)));
    drawing.after(({ at }) => asked.push(at));
    drawing.resize({ cols: 100, rows: 30 });
    drawing.hold();
    drawing.add(Buffer.from('\u001b[500S'.repeat(400_000) + prompt));
    drawing.release();
    const last = await new Promise<number>((resolve) => drawing.after(({ at }) => resolve(at)));
    expect(asked).to.deep.equal([last]);
    expect(last).to.equal(430_000 * 6 + prompt.length);
    expect(given).to.be.below(2000);
    expect(drawing.undrawn).to.equal(0);
    expect(screen.cols).to.equal(100);
    const { active } = screen.buffer;
    expect(active.getLine(active.baseY + active.cursorY)!.translateToString(true)).to.equal('$ ');
    drawing.end();
    screen.dispose();
  });
});

import { PassThrough } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import xterm from '@xterm/headless';
import type { IBufferLine } from '@xterm/headless';
import { expect } from 'chai';
import fc from 'fast-check';
import { holdShell, type Shell, type Watching } from '../../src/classroom/shell.js';
import { Unfinished } from '../../src/classroom/unfinished-sequence.js';
import type { RemoteTerminal, TerminalSize } from '../../src/ssh/ssh.js';

const size: TerminalSize = { cols: 20, rows: 6 };

/** A program on a terminal that writes what the test says. */
function remote(): RemoteTerminal & { output: PassThrough; exit: (status: number | null) => void } {
  let exit!: (status: number | null) => void;
  const done = new Promise<number | null>((resolve) => (exit = resolve));
  return {
    output: new PassThrough(),
    exit,
    done,
    write: (_bytes, taken) => taken(),
    resize: () => undefined,
    close: () => exit(0),
  };
}

type Screen = InstanceType<typeof xterm.Terminal>;

function blank({ cols, rows }: TerminalSize = size): Screen {
  return new xterm.Terminal({ cols, rows, scrollback: 2000, allowProposedApi: true, logLevel: 'off' });
}

const written = (screen: Screen, data: string | Uint8Array): Promise<void> =>
  new Promise((resolve) => screen.write(data, resolve));

/** Colours and styles of a line's first cells, as far as they are none. */
function looksOf(line: IBufferLine, cells: number): string {
  const looks = Array.from({ length: cells }, (_, column) => {
    const cell = line.getCell(column);
    // Of a blank nobody sees more than its ground.
    if (!cell || cell.getChars().trim() === '') return cell ? `-1,${cell.getBgColor()},0,0,0,0` : '';
    const styles = [
      cell.getFgColor(),
      cell.getBgColor(),
      cell.isBold(),
      cell.isInverse(),
      cell.isItalic(),
      cell.isDim(),
    ];
    return styles.join();
  });
  return looks
    .map((look) => (look === '-1,-1,0,0,0,0' ? '' : look))
    .join(' ')
    .trimEnd();
}

/** All that a person can see of a terminal. */
async function seen(screen: Screen): Promise<string> {
  await written(screen, '');
  const { active } = screen.buffer;
  const lines = Array.from({ length: active.length }, (_, row) => active.getLine(row)!.translateToString(true));
  const text = lines.join('\n').trimEnd();
  const looks = lines.flatMap((line, row) => {
    const own = looksOf(active.getLine(row)!, line.length);
    return own === '' ? [] : [`${row}: ${own}`];
  });
  return [text, ...looks, `${active.type} at ${active.cursorX},${active.cursorY}`].join('\n');
}

/** What a page makes of it: as the one in the browser does. */
class Page {
  readonly screen = blank();
  next: number | null = null;
  screens = 0;
  private watching: Watching | null = null;

  join(shell: Shell, from: number | null): void {
    this.watching?.stop();
    this.next = from;
    let here = true;
    const watching = shell.watch(
      {
        output: (at, bytes) => {
          if (!here) return;
          expect(at).to.equal(this.next);
          this.next = at + bytes.length;
          const shown = this.next;
          this.screen.write(Buffer.from(bytes), () => watching.ack(shown));
        },
        screen: (at, { cols, rows }, data) => {
          if (!here) return;
          this.screens += 1;
          this.next = at;
          this.screen.write('\u001bc', () => this.screen.resize(cols, rows));
          this.screen.write(data, () => watching.ack(at));
        },
        size: ({ cols, rows }) => this.screen.write('', () => this.screen.resize(cols, rows)),
        ended: () => undefined,
      },
      from,
    );
    this.watching = {
      ack: (at) => watching.ack(at),
      stop: () => {
        here = false;
        watching.stop();
      },
    };
  }

  async drawn(): Promise<void> {
    for (let tries = 0; tries < 400 && this.screens === 0; tries += 1) await delay(5);
  }

  async has(at: number): Promise<void> {
    for (let tries = 0; tries < 400 && this.next !== at; tries += 1) await delay(5);
    expect(this.next).to.equal(at);
  }
}

const words = ['a', 'word ', 'Ελλάς', '本語', '😀', '\t', '\r\n', '\r\n', '\b', '\u0007'];
const sequences = [
  '\u001b[31mred\u001b[0m',
  '\u001b[1;4H',
  '\u001b[2J',
  '\u001b[K',
  '\u001b[3A',
  '\u001b[2;4r',
  '\u001b[r',
  '\u001b[?25l',
  '\u001b[?6h',
  '\u001b[?6l',
  '\u001b[?1006h',
  '\u001bM',
  '\u001b(B',
  '\u001b]0;a title\u0007',
  '\u001b]8;;http://x\u001b\\link\u001b]8;;\u001b\\',
  '\u001bP1$r0m\u001b\\',
  '\u001bXhidden\u001b\\',
  '\u009b1mC1\u009b0m',
];
/** What programs do that fill the screen: they save the cursor, scroll a part of it, draw lines, and go back. */
const fullScreen = [
  '\u001b[?1049h\u001b[H',
  '\u001b[?1049h\u001b[2J\u001b[2;4r',
  '\u001b[?1049l',
  '\u001b[?47h',
  '\u001b[?47l',
  '\u001b7',
  '\u001b7',
  '\u001b8',
  '\u001b[3;7;44m',
  '\u001b[38;2;1;2;3;4m',
  '\u001b[38;5;99;2m',
  '\u001b[m',
  '\u001b(0',
  '\u001b)0',
  '\u000e',
  '\u000f',
  '\u001b[4h',
  '\u001b[4l',
  '\u001b[?7l',
  '\u001b[?7h',
  '\u001b[3g',
  '\u001bH',
  '\u001b[3S',
  '\u001b[2L',
  '\u001b[1;20H',
  'qqxx',
];
const outputOf = (parts: readonly string[]): fc.Arbitrary<Buffer> =>
  fc
    .array(
      fc.oneof(
        { weight: 3, arbitrary: fc.constantFrom(...words) },
        { weight: 2, arbitrary: fc.constantFrom(...parts) },
      ),
      { minLength: 1, maxLength: 60 },
    )
    .map((all) => Buffer.from(all.join('')));
const output = fc.oneof(outputOf(sequences), outputOf([...sequences, ...fullScreen]));
const comeBack = '\tt\u001b8here q\r\n\u001b[?47l\u001b8there q\u001b[?47h\u001b8q\u001b[?47l\r\nan\r\nend';
/** Where a piece ends, and what becomes of the page then. */
const pieces = fc.array(
  fc.record({
    length: fc.integer({ min: 1, max: 12 }),
    page: fc.constantFrom('stays', 'stays', 'is loaded anew', 'comes back', 'waits'),
  }),
  { minLength: 1, maxLength: 60 },
);

describe('The screen of a terminal, for a page that comes at any moment', function () {
  this.timeout(120_000);

  it('is in the end as for one that was there from the start, wherever the output is cut', async () => {
    let [loaded, returned] = [0, 0];
    await fc.assert(
      fc.asyncProperty(output, pieces, async (bytes, plan) => {
        const program = remote();
        const shell = holdShell(program, size, null, () => undefined);
        const page = new Page();
        page.join(shell, null);
        let at = 0;
        for (const { length, page: fate } of plan) {
          program.output.write(bytes.subarray(at, at + length));
          at = Math.min(bytes.length, at + length);
          if (fate === 'waits') await delay(1);
          else if (fate === 'is loaded anew') {
            loaded += 1;
            page.join(shell, null);
          } else if (fate === 'comes back' && page.next !== null) {
            returned += 1;
            page.join(shell, page.next);
          }
        }
        // What follows shows margins, modes, colours, sets and saved cursors that are not as they should be.
        const rest = Buffer.concat([bytes.subarray(at), Buffer.from(`\u0018\r\nmore\r\nlines\r\nand${comeBack}`)]);
        program.output.write(rest);
        await page.has(at + rest.length);
        const reference = blank();
        await written(reference, Buffer.concat([bytes.subarray(0, at), rest]));
        expect(await seen(page.screen)).to.equal(await seen(reference));
        program.exit(0);
      }),
      { numRuns: 120, seed: 1128 },
    );
    expect(loaded).to.be.greaterThan(0);
    expect(returned).to.be.greaterThan(0);
  });

  for (const [what, before, after] of [
    ['a sign of several bytes', Buffer.from([0xe6, 0x9c]), Buffer.from([0xac])],
    ['a colour', '\u001b[3', '1mred'],
    ['a title', '\u001b]0;a ti', 'tle\u0007text'],
    ['a string that is longer than what is kept back', `\u001b]52;c;${'A'.repeat(40_000)}`, 'AAAA\u0007text'],
    ['a picture that is longer', `\u001bPq${'~'.repeat(40_000)}`, '~~~~\u001b\\text'],
    ['the end of a string', `\u001b]52;c;${'A'.repeat(40_000)}\u001b`, '\\text'],
  ] as const) {
    it(`is whole where a page comes in the midst of ${what}`, async () => {
      const program = remote();
      const shell = holdShell(program, size, null, () => undefined);
      program.output.write('before ');
      program.output.write(before);
      await delay(10);
      const page = new Page();
      page.join(shell, null);
      await page.drawn();
      expect(page.screens).to.equal(1);
      program.output.write(after);
      await page.has(7 + Buffer.byteLength(before) + Buffer.byteLength(after));
      const reference = blank();
      await written(reference, 'before ');
      await written(reference, before);
      await written(reference, after);
      expect(await seen(page.screen)).to.equal(await seen(reference));
      program.exit(0);
    });
  }

  it('has the lines that came before a change of size in the size before it', async () => {
    const program = remote();
    const shell = holdShell(program, size, null, () => undefined);
    program.output.write('\u001b[1;18Hxyz');
    await delay(2);
    shell.resize({ cols: 40, rows: 6 });
    const page = new Page();
    page.join(shell, null);
    await page.has(10);
    const reference = blank();
    await written(reference, '\u001b[1;18Hxyz');
    reference.resize(40, 6);
    expect(await seen(page.screen)).to.equal(await seen(reference));
    expect(page.screen.cols).to.equal(40);
    program.exit(0);
  });

  it('has the size that was asked for last, and lays its lines out for few of thousands', async () => {
    const asked: TerminalSize[] = [];
    const program = { ...remote(), resize: (wanted: TerminalSize) => void asked.push(wanted) };
    const shell = holdShell(program, size, null, () => undefined);
    for (let time = 0; time < 5000; time += 1) shell.resize({ cols: 20 + (time % 400), rows: 6 });
    shell.resize({ cols: 77, rows: 7 });
    expect(asked).to.deep.equal([{ cols: 21, rows: 6 }]);
    for (let tries = 0; tries < 1000 && asked.length < 2; tries += 1) await delay(5);
    expect(asked).to.deep.equal([
      { cols: 21, rows: 6 },
      { cols: 77, rows: 7 },
    ]);
    expect(shell.size).to.deep.equal({ cols: 77, rows: 7 });
    program.exit(0);
  });

  it('keeps what is written a byte at a time in a few blocks, each byte once', async () => {
    const program = remote();
    const shell = holdShell(program, size, null, () => undefined);
    const text = Array.from({ length: 20_000 }, (_, at) => String.fromCharCode(33 + (at % 90))).join('');
    for (const sign of text) program.output.write(sign);
    for (let tries = 0; tries < 400 && shell.held < text.length; tries += 1) await delay(5);
    let [got, calls] = ['', 0];
    shell.watch(
      {
        output: (_at, bytes) => {
          calls += 1;
          got += bytes.toString('latin1');
        },
        screen: () => expect.fail('all of it is kept'),
        size: () => undefined,
        ended: () => undefined,
      },
      0,
    );
    expect(got).to.equal(text);
    expect(calls).to.be.at.most(4);
    program.exit(0);
  });
});

describe('A page behind a flood that is interrupted', () => {
  it('gets the prompt at once, with the last lines of the flood, and goes on without a gap', async () => {
    const program = { ...remote(), output: new PassThrough({ readableHighWaterMark: 4 * 1024 * 1024 }) };
    const shell = holdShell(program, size, null, () => undefined);
    const page = new Page();
    page.join(shell, 0);
    for (let line = 0; line < 3000; line += 1) program.output.write(`${'x'.repeat(990)}${line}\r\n`);
    for (let tries = 0; tries < 400 && !program.output.isPaused(); tries += 1) await delay(5);
    expect(program.output.readableLength, 'what waits to be read').to.be.greaterThan(1024 * 1024);
    shell.input(Buffer.from('\u0003'));
    expect(program.output.readableLength).to.equal(0);
    program.output.write('^C\r\nPROMPT');
    for (let tries = 0; tries < 400 && page.screens === 0; tries += 1) await delay(5);
    expect(await seen(page.screen)).to.match(/x2999\n\^C\nPROMPT\nnormal at 6,/);
    program.output.write('> on');
    for (let tries = 0; tries < 400 && !(await seen(page.screen)).includes('PROMPT> on'); tries += 1) await delay(5);
    expect(await seen(page.screen)).to.contain('PROMPT> on');
    expect(page.screens).to.equal(1);
    program.exit(0);
  });
});

describe('What is unfinished at the end of an output', function () {
  this.timeout(60_000);

  it('is nothing where a terminal stands at the beginning of a sign, and from there on nothing was obeyed', async () => {
    await fc.assert(
      fc.asyncProperty(output, fc.nat(400), async (bytes, where) => {
        const cut = where % (bytes.length + 1);
        const end = new Unfinished();
        end.take(bytes.subarray(0, cut));
        expect(end.bytes).to.be.at.most(cut);
        // A terminal that never read the unfinished part is in the same state, but for it.
        const [one, other] = [blank(), blank()];
        await written(one, bytes.subarray(0, cut));
        await written(other, bytes.subarray(0, cut - end.bytes));
        expect(await seen(one)).to.equal(await seen(other));
        await written(one, bytes.subarray(cut));
        await written(other, bytes.subarray(cut - end.bytes));
        expect(await seen(one)).to.equal(await seen(other));
      }),
      { numRuns: 120, seed: 1128 },
    );
  });
});

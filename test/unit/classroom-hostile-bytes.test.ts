import xterm from '@xterm/headless';
import { expect } from 'chai';
import { createDrawing } from '../../src/classroom/drawing.js';
import { boundRepeats } from '../../src/classroom/repeats.js';
import { messageIn } from '../../src/classroom/terminal-socket.js';

const size = { cols: 80, rows: 24 };

function bounded(): InstanceType<typeof xterm.Terminal> {
  const terminal = new xterm.Terminal({ ...size, scrollback: 2000, allowProposedApi: true, logLevel: 'off' });
  boundRepeats(terminal);
  return terminal;
}

const written = (terminal: InstanceType<typeof xterm.Terminal>, text: string): Promise<void> =>
  new Promise((resolve) => terminal.write(text, resolve));

const lineOf = (terminal: InstanceType<typeof xterm.Terminal>, line: number): string =>
  terminal.buffer.active.getLine(line)?.translateToString(true) ?? '';

describe('What a hostile program or page sends to a terminal of a class', function () {
  // Without a bound the first of these takes minutes.
  this.timeout(20_000);

  it('a sequence that asks for more repeats than a screen holds is passed over, also in pieces and with line feeds in it', async () => {
    const terminal = bounded();
    for (const final of '@LMPSTXZIb') {
      await written(terminal, `\u001b[2J\u001b[Hhere\r\u001b[2147483647${final}`);
      expect(lineOf(terminal, terminal.buffer.active.baseY), final).to.equal('here');
      await written(terminal, '\u001b[21474');
      await written(terminal, `\r83647${final}\r`);
      expect(lineOf(terminal, terminal.buffer.active.baseY), `${final} in pieces`).to.equal('here');
    }
    terminal.dispose();
  });

  it('one that asks for what a screen holds is carried out', async () => {
    const terminal = bounded();
    await written(terminal, 'a\u001b[79b');
    expect(lineOf(terminal, 0)).to.equal('a'.repeat(80));
    await written(terminal, '\u001b[24S');
    expect(lineOf(terminal, 0)).to.equal('');
    terminal.dispose();
  });

  it('a flood of costly sequences leaves others their turn', async () => {
    const terminal = bounded();
    const drawing = createDrawing(terminal, 2000, () => undefined);
    let turns = 0;
    const others = setInterval(() => (turns += 1), 1);
    drawing.add(Buffer.from('\u001b[24S'.repeat(20_000)));
    await new Promise<void>((resolve) => drawing.after(() => resolve()));
    clearInterval(others);
    drawing.end();
    terminal.dispose();
    expect(turns).to.be.above(10);
  });

  it('a message that is no object says nothing, and what is no JSON is told apart from it', () => {
    for (const text of ['null', '[]', '5', '"x"', 'true', '{}'])
      expect(messageIn(Buffer.from(text)), text).to.not.have.property('type');
    expect(messageIn(Buffer.from('{"type":"ack","at":5}'))).to.deep.equal({ type: 'ack', at: 5 });
    expect(messageIn(Buffer.from('{bad'))).to.equal(null);
  });
});

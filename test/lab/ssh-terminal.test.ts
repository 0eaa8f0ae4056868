import { PassThrough } from 'node:stream';
import { expect } from 'chai';
import { isNetrigError } from '../../src/errors.js';
import { openLink, type Link } from '../../src/ssh/link.js';
import { joinTerminal } from '../../src/ssh/terminal.js';
import { findSshdRoot, startTestServer, type TestServer } from './ssh-server.js';

const found = await findSshdRoot();

/** Stands for this process's terminal; what netrig does to it is on record. */
function terminal(isTTY: boolean, size = { columns: 100, rows: 30 }) {
  const modes: boolean[] = [];
  const stdin = Object.assign(new PassThrough(), {
    isTTY,
    isRaw: false,
    setRawMode(raw: boolean) {
      modes.push(raw);
      stdin.isRaw = raw;
    },
  });
  const stdout = Object.assign(new PassThrough(), size);
  const stderr = new PassThrough();
  const seen = { stdout: '', stderr: '' };
  stdout.on('data', (chunk: Buffer) => {
    seen.stdout += chunk.toString();
  });
  stderr.on('data', (chunk: Buffer) => {
    seen.stderr += chunk.toString();
  });
  const shows = async (text: string) => {
    while (!seen.stdout.includes(text)) await new Promise((resolve) => stdout.once('data', resolve));
  };
  return { stdin, stdout, stderr, seen, modes, shows };
}

describe('ssh/terminal, over a real sshd', function () {
  this.timeout(15_000);
  let server: TestServer;
  let link: Link;

  before(async function () {
    if ('missing' in found) {
      console.log(`    skipped: ${found.missing}`);
      this.skip();
    }
    server = startTestServer({ root: found.root });
    link = await openLink(server.target, { readyTimeoutMs: 10_000 });
  });

  after(async () => {
    await link?.end();
    await server?.close();
  });

  it('gives a terminal a pseudo-terminal of its size, and follows it', async () => {
    const own = terminal(true);
    const status = joinTerminal(link, 'tty; stty size; read go; stty size; exit 7', own);
    await own.shows('30 100');
    expect(own.modes).to.deep.equal([true]);
    Object.assign(own.stdout, { columns: 90, rows: 20 });
    own.stdout.emit('resize');
    own.stdin.write('go\r');
    expect(await status).to.equal(7);
    expect(own.seen.stdout).to.match(/^\/dev\/pts\/\d+\r\n30 100\r\ngo\r\n20 90\r\n$/);
    expect(own.modes).to.deep.equal([true, false]);
    expect(own.stdout.listenerCount('resize')).to.equal(0);
    expect(own.stdin.isPaused()).to.equal(true);
  });

  it('is a shell when no command is given', async () => {
    const own = terminal(true);
    const status = joinTerminal(link, undefined, own);
    own.stdin.write('echo $((40+2)); exit 5\r');
    expect(await status).to.equal(5);
    expect(own.seen.stdout).to.include('42\r\n');
  });

  it('passes Ctrl-C on, and says a signal as a shell does', async () => {
    const own = terminal(true);
    const status = joinTerminal(link, 'echo ready; exec sleep 1000', own);
    await own.shows('ready');
    own.stdin.write('\x03');
    expect(await status).to.equal(130);
  });

  it('takes no pseudo-terminal without a terminal, and passes end of input on', async () => {
    const own = terminal(false);
    own.stdin.end('some input');
    expect(await joinTerminal(link, 'test -t 0; echo $?; cat; echo err >&2', own)).to.equal(0);
    expect(own.seen).to.deep.equal({ stdout: '1\nsome input', stderr: 'err\n' });
    expect(own.modes).to.deep.equal([]);
  });

  it('puts the terminal back when the connection is lost', async () => {
    if ('missing' in found) throw new Error(found.missing);
    const mortal = startTestServer({ root: found.root });
    const own = terminal(true);
    own.stdin.isRaw = true;
    try {
      const status = joinTerminal(
        await openLink(mortal.target, { readyTimeoutMs: 10_000 }),
        'echo ready; exec cat',
        own,
      ).then(
        (code) => `exit ${code}`,
        (error: unknown) => (isNetrigError(error) ? error.code : String(error)),
      );
      await own.shows('ready');
      mortal.kill();
      expect(await status).to.equal('NETRIG_SSH_LOST');
      expect(own.modes).to.deep.equal([true, true]);
    } finally {
      await mortal.close();
    }
  });
});

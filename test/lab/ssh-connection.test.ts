import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { Duplex } from 'node:stream';
import { expect } from 'chai';
import { isNetrigError, type ErrorCode } from '../../src/errors.js';
import { connect } from '../../src/ssh/connection.js';
import { generateKeyPair } from '../../src/ssh/keys.js';
import { quoteArg } from '../../src/ssh/quote.js';
import type { HostConnection } from '../../src/ssh/ssh.js';
import { findSshdRoot, isRoot, startTestServer, type TestServer, type TestServerOptions } from './ssh-server.js';

const found = await findSshdRoot();

async function rejection(work: Promise<unknown>): Promise<Error> {
  try {
    await work;
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error('it should have been rejected');
}

async function rejectsWith(code: ErrorCode, work: Promise<unknown>): Promise<Error> {
  const error = await rejection(work);
  expect(isNetrigError(error, code), `${error.name}: ${error.message}`).to.equal(true);
  return error;
}

/** Waits for a condition; the deadline is long because the machine may be busy, the answer as a rule comes at once. */
async function eventually(what: string, holds: () => boolean | Promise<boolean>, withinMs = 5_000): Promise<void> {
  const until = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > until) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** The sshd of these tests shares our process table. A zombie is dead: only its parent has not asked. */
function alive(pid: number): boolean {
  if (!existsSync(`/proc/${pid}/stat`)) return false;
  try {
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

function groupMembers(pgid: number): number[] {
  const table = execFileSync('ps', ['-A', '-o', 'pid=,pgid=,stat=']).toString();
  return table
    .trim()
    .split('\n')
    .map((row) => row.trim().split(/\s+/))
    .filter(([, group, state]) => Number(group) === pgid && !state?.startsWith('Z'))
    .map(([pid]) => Number(pid));
}

describe('ssh/connection, over a real sshd', function () {
  this.timeout(30_000);
  let server: TestServer;
  let host: HostConnection;
  const others: { server: TestServer; connections: HostConnection[] }[] = [];

  before(async function () {
    if ('missing' in found) {
      console.log(`    skipped: ${found.missing}`);
      this.skip();
    }
    server = startTestServer({ root: found.root });
    host = await connect(server.target);
  });

  after(async () => {
    await host?.end();
    await server?.close();
  });

  afterEach(async () => {
    for (const other of others.splice(0)) {
      await Promise.all(other.connections.map((connection) => connection.end()));
      await other.server.close();
    }
  });

  /** A server and connection of a test's own, taken away after it. */
  async function another(
    options: Omit<TestServerOptions, 'root'> = {},
    connectOptions: Parameters<typeof connect>[1] = {},
  ) {
    if ('missing' in found) throw new Error(found.missing);
    const made = startTestServer({ root: found.root, ...options });
    const entry: (typeof others)[number] = { server: made, connections: [] };
    others.push(entry);
    const connection = await connect(made.target, connectOptions);
    entry.connections.push(connection);
    return { server: made, connection };
  }

  describe('exec', () => {
    it('answers with output, exit code and time, as one shape', async () => {
      const result = await host.exec('echo out; echo err >&2; exit 3');
      expect({ ...result, durationMs: 0 }).to.deep.equal({
        host: 'node1',
        command: 'echo out; echo err >&2; exit 3',
        exitCode: 3,
        timedOut: false,
        aborted: false,
        durationMs: 0,
        stdout: 'out\n',
        stderr: 'err\n',
        stdoutRaw: Buffer.from('out\n'),
        stdoutBytes: 4,
        stderrBytes: 4,
      });
      expect(result.durationMs).to.be.greaterThan(0);
    });

    it('leaves a command line what it is', async () => {
      const cases: [command: string, exitCode: number, stdout: string, stderr?: RegExp][] = [
        ['', 0, ''],
        ['exit 0', 0, ''],
        ['false', 1, ''],
        ['if fi', 2, '', /syntax error/i],
        ['echo "', 2, '', /unexpected EOF|unterminated/i],
        ['echo a # a comment', 0, 'a\n'],
        ['echo a\necho b # a comment\n', 0, 'a\nb\n'],
        ['cat <<E\n$((1+1))\nE', 0, '2\n'],
        ['cat <<E\nno end', 0, 'no end\n'],
        ['nosuchprogram', 127, '', /not found/],
        ['/etc/passwd', 126, '', /permission denied/i],
        ['cat; echo end', 0, 'end\n'],
        ['printf "no newline"', 0, 'no newline'],
        ['printf "\\000\\n"', 0, '\0\n'],
      ];
      for (const [command, exitCode, stdout, stderr] of cases) {
        const result = await host.exec(command);
        expect({ exitCode: result.exitCode, stdout: result.stdout }, JSON.stringify(command)).to.deep.equal({
          exitCode,
          stdout,
        });
        if (stderr) expect(result.stderr).to.match(stderr);
        else expect(result.stderr.replace(/.*here-document.*\n/, ''), JSON.stringify(command)).to.equal('');
      }
    });

    it('quotes an argv so that nothing in it is interpreted', async () => {
      const words = ['$(id)', '`id`', "it's", '"', '\\', 'a\nb', '', '*', '~', '; exit 9', '#', '-n', 'ünï ✓'];
      const result = await host.exec(['printf', '<%s>', ...words]);
      expect(result.stdout).to.equal(words.map((word) => `<${word}>`).join(''));
      expect(result.exitCode).to.equal(0);
    });

    it('rejects a NUL before anything is sent', async () => {
      await rejectsWith('NETRIG_USAGE', host.exec(['echo', 'a\0b']));
      await rejectsWith('NETRIG_USAGE', host.exec('echo a\0b'));
    });

    it('says which signal ended a command', async () => {
      const result = await host.exec('kill -SEGV $$');
      expect(result.exitCode).to.equal(null);
      expect(result.signal).to.equal('SEGV');
      expect([result.timedOut, result.aborted]).to.deep.equal([false, false]);
    });

    it('hands over stdin, text, bytes or much of it', async () => {
      expect((await host.exec('cat', { stdin: 'ünï\n' })).stdout).to.equal('ünï\n');
      const bytes = Buffer.from([0, 255, 10, 13, 254]);
      expect((await host.exec('cat', { stdin: bytes })).stdoutRaw).to.deep.equal(bytes);
      const large = Buffer.alloc(8_000_000, 'x');
      expect((await host.exec('wc -c', { stdin: large })).stdout.trim()).to.equal('8000000');
      // A command that does not read it is no error.
      expect((await host.exec('exit 4', { stdin: large })).exitCode).to.equal(4);
    });

    it('runs commands in parallel, bounded, the rest in order', async () => {
      const order: number[] = [];
      const both = await Promise.all(
        Array.from({ length: 24 }, (_, index) =>
          host
            .exec(`echo ${index} >>/tmp/netrig-order; s=$(date +%s%N); sleep 0.1; echo $s $(date +%s%N)`)
            .then((result) => {
              order.push(index);
              return result.stdout.trim().split(' ').map(Number) as [number, number];
            }),
        ),
      );
      await host.exec('rm -f /tmp/netrig-order');
      const most = Math.max(...both.map(([from]) => both.filter(([start, end]) => start <= from && from < end).length));
      expect(most).to.be.within(2, 8);
      expect(
        order.slice(0, 8).every((index) => index < 16),
        `first to end: ${order.slice(0, 8).join(' ')}`,
      ).to.equal(true);
    });

    it('survives hundreds of short commands at sshd’s default MaxSessions', async () => {
      const results = await Promise.all(Array.from({ length: 300 }, (_, index) => host.exec(`echo ${index}`)));
      expect(results.map((result) => result.stdout)).to.deep.equal(results.map((_, index) => `${index}\n`));
    });

    it('keeps head and tail of long output, counts all of it, and does not grow', async () => {
      const before = process.memoryUsage.rss();
      const result = await host.exec('head -c 50000000 /dev/zero | tr "\\0" x; echo; echo the end', {
        keepBytes: 1000,
      });
      expect(result.exitCode).to.equal(0);
      expect(result.stdoutBytes).to.equal(50_000_009);
      expect(result.stdout).to.match(
        /^x{500}\n\[\.\.\. 49999009 of 50000009 bytes left out here \.\.\.\]\nx{491}\nthe end\n$/,
      );
      expect(result.stdoutRaw.length).to.equal(1000);
      expect((process.memoryUsage.rss() - before) / 1e6).to.be.below(60);
    });

    it('gives every chunk as it arrives, on both streams', async () => {
      let stdout = 0;
      let stderr = '';
      const result = await host.exec('head -c 3000000 /dev/zero; echo e1 >&2; head -c 3000000 /dev/zero >&2', {
        keepBytes: 10,
        onOutput: (stream, chunk) => {
          if (stream === 'stdout') stdout += chunk.length;
          else if (stderr.length < 3) stderr += chunk.toString();
        },
      });
      expect([stdout, result.stdoutBytes, result.stderrBytes]).to.deep.equal([3_000_000, 3_000_000, 3_000_003]);
      expect(stderr.slice(0, 3)).to.equal('e1\n');
    });

    it('lets a command wait for a reader that is slow, and loses nothing', async () => {
      let seen = 0;
      let waiting = 0;
      let most = 0;
      const result = await host.exec('head -c 4000000 /dev/zero; echo end', {
        onOutput: async (_, chunk) => {
          seen += chunk.length;
          waiting += 1;
          most = Math.max(most, waiting);
          await new Promise((resolve) => setTimeout(resolve, 3));
          waiting -= 1;
        },
      });
      expect(result.exitCode).to.equal(0);
      expect(seen).to.equal(4_000_004);
      expect(most).to.equal(1);
    });

    it('rejects with what the caller’s onOutput throws, and does not leave the command running', async () => {
      let pid = 0;
      const error = await rejection(
        host.exec('echo $$; sleep 1000', {
          onOutput: (_, chunk) => {
            pid = Number(chunk.toString());
            throw new RangeError('mine');
          },
        }),
      );
      expect(error).to.be.instanceOf(RangeError);
      await eventually('the command is gone', () => !alive(pid));
    });

    it('shows invalid UTF-8 as U+FFFD and keeps the bytes', async () => {
      const result = await host.exec('printf "a\\377\\376b\\303\\251"');
      expect(result.stdout).to.equal('a\ufffd\ufffdbé');
      expect(result.stdoutRaw).to.deep.equal(Buffer.from([0x61, 0xff, 0xfe, 0x62, 0xc3, 0xa9]));
    });

    it('does not wait for a background child that holds the output, nor kill it by closing', async () => {
      const result = await host.exec('echo started; (sleep 2; echo late; echo late; exec sleep 1000) & echo $!');
      expect(result.exitCode).to.equal(0);
      expect(result.stdout).not.to.contain('late');
      const child = Number(result.stdout.split('\n')[1]);
      // It writes twice to the stdout that nobody reads any more: SIGPIPE would end it.
      await eventually(
        'the child went on after writing',
        () =>
          execFileSync('ps', ['-o', 'args=', '-p', String(child)])
            .toString()
            .trim() === 'sleep 1000',
      );
      await host.exec(`kill ${child}`);
    });

    it('does not wait for one that keeps writing either', async () => {
      const result = await host.exec('(while :; do echo more; sleep 0.05; done) & echo $!; exit 6');
      expect(result.exitCode).to.equal(6);
      await host.exec(`kill ${result.stdout.split('\n').find((line) => /^\d+$/.test(line))}`);
    });

    it('gets the whole output of a command that ends while much of it is under way', async () => {
      for (let round = 0; round < 5; round += 1) {
        const result = await host.exec('(head -c 1500000 /dev/zero) & wait; exit 2');
        expect([result.exitCode, result.stdoutBytes]).to.deep.equal([2, 1_500_000]);
      }
    });

    it('drops what start-up files print', async function () {
      if (!isRoot()) this.skip();
      const { connection } = await another({
        prepare:
          'cp /bin/sh /run/noisy; printf "#!/bin/sh\\necho Welcome, \\$USER\\necho noise >&2\\nexec /bin/sh \\"\\$@\\"\\n" >/run/shell; chmod 755 /run/shell; sed "s,^root:.*,root:x:0:0::/root:/run/shell," /etc/passwd >/run/passwd; mount --bind /run/passwd /etc/passwd',
      });
      const result = await connection.exec('echo mine');
      expect(result.stdout).to.equal('mine\n');
      expect(result.stderr).to.equal('noise\n');
    });
  });

  describe('time limit and abort', () => {
    const stubborn =
      'trap "" TERM INT; sleep 1000 & sleep 1000 & sh -c "trap \\"\\" TERM; sleep 1000; sleep 1000" & wait; sleep 1000; sleep 1000';

    it('kills the whole process group at the limit', async () => {
      let pid = 0;
      const result = await host.exec(`echo $$; ${stubborn}`, {
        timeoutMs: 300,
        onOutput: (_, chunk) => {
          pid ||= Number(chunk.toString());
        },
      });
      expect(result.timedOut).to.equal(true);
      expect(result.aborted).to.equal(false);
      expect(result.exitCode).to.equal(null);
      expect(result.stdout).to.equal(`${pid}\n`);
      expect(pid).to.be.greaterThan(1);
      await eventually('the group is gone', () => groupMembers(pid).length === 0);
    });

    it('lets a command that minds TERM end by itself, and keeps what it says then', async () => {
      const result = await host.exec('trap "echo bye; exit 0" TERM; echo hi; while :; do sleep 0.02; done', {
        timeoutMs: 200,
      });
      expect(result.timedOut).to.equal(true);
      expect(result.exitCode).to.equal(null);
      expect(result.stdout).to.equal('hi\nbye\n');
    });

    it('kills at abort, at once when aborted before, and while waiting for a slot', async () => {
      const abort = new AbortController();
      const started = host.spawn(stubborn, { signal: abort.signal });
      const pgid = await started.pgid;
      expect(groupMembers(pgid).length).to.be.greaterThan(0);
      abort.abort();
      const result = await started.done;
      expect([result.aborted, result.timedOut, result.exitCode]).to.deep.equal([true, false, null]);
      await eventually('the group is gone', () => groupMembers(pgid).length === 0);

      const before = await host.exec('touch /tmp/netrig-never', { signal: abort.signal });
      expect([before.aborted, before.exitCode, before.durationMs]).to.deep.equal([true, null, 0]);
      const busy = Array.from({ length: 8 }, () => host.exec('sleep 0.3'));
      const late = new AbortController();
      const queued = host.exec('touch /tmp/netrig-never', { signal: late.signal });
      late.abort();
      expect((await queued).aborted).to.equal(true);
      await Promise.all(busy);
      expect((await host.exec('test -e /tmp/netrig-never')).exitCode).to.equal(1);
    });

    it('kills although every slot is taken, all of them at once', async () => {
      const results = await Promise.all(
        Array.from({ length: 8 }, () => host.exec('exec sleep 1000', { timeoutMs: 250 })),
      );
      expect(results.every((result) => result.timedOut)).to.equal(true);
    });

    it('counts time from the start of the command, not from its place in the queue', async () => {
      const { connection } = await another({}, { maxChannels: 1 });
      const results = await Promise.all([
        connection.exec('sleep 0.4'),
        connection.exec('sleep 0.4'),
        connection.exec('sleep 0.2', { timeoutMs: 390 }),
      ]);
      expect(results.map((result) => result.timedOut)).to.deep.equal([false, false, false]);
    });
  });

  describe('spawn', () => {
    it('tells the group, streams, and is ended by a signal', async () => {
      let seen = '';
      const process = host.spawn('echo ready; exec sleep 1000', {
        onOutput: (_, chunk) => {
          seen += chunk.toString();
        },
      });
      const pgid = await process.pgid;
      await eventually('its output came', () => seen === 'ready\n');
      expect(groupMembers(pgid)).to.deep.equal([pgid]);
      await process.kill();
      const result = await process.done;
      expect([result.exitCode, result.signal, result.aborted, result.timedOut]).to.deep.equal([
        null,
        'TERM',
        false,
        false,
      ]);
      await process.kill('KILL');
    });

    it('goes beyond the sessions that sshd grants: signals arrive, what waits for room can be called off', async () => {
      const { server: own, connection } = await another({ config: 'MaxSessions 3' });
      const spawned = Array.from({ length: 3 }, () => connection.spawn('exec sleep 1000'));
      const groups = await Promise.all(spawned.map((process) => process.pgid));
      const abort = new AbortController();
      const calledOff = connection.exec('touch /tmp/netrig-never', { signal: abort.signal, timeoutMs: 1 });
      const waiting = connection.exec('echo got room');
      await new Promise((resolve) => setTimeout(resolve, 100));
      abort.abort();
      const off = await calledOff;
      expect([off.aborted, off.timedOut, off.stdout]).to.deep.equal([true, false, '']);
      await spawned[0]?.kill();
      expect((await spawned[0]?.done)?.signal).to.equal('TERM');
      expect((await waiting).stdout).to.equal('got room\n');
      // The signal came in over a second connection, which did not stay.
      await eventually(
        'only one sshd is left',
        () => own.servers.filter((one) => one.exitCode === null && one.signalCode === null).length === 1,
      );
      await connection.end();
      await eventually('all groups are gone', () => groups.every((group) => groupMembers(group).length === 0));
    });

    it('makes room when a long process ends', async () => {
      const { connection } = await another({ config: 'MaxSessions 2' });
      const long = [connection.spawn('exec sleep 0.3'), connection.spawn('exec sleep 0.3')];
      await Promise.all(long.map((process) => process.pgid));
      expect((await connection.exec('echo room')).stdout).to.equal('room\n');
    });
  });

  describe('the connection', () => {
    it('is pinned to the host key', async () => {
      const wrong = { ...server.target, hostKey: generateKeyPair('other').publicKey };
      const error = await rejectsWith('NETRIG_SSH_HOST_KEY', connect(wrong));
      expect(error.message).to.match(/^node1 showed the host key SHA256:\S+, but SHA256:\S+ is pinned/);
    });

    it('fails to open with its cause: wrong login key, no server, silence, abort', async () => {
      const wrongKey = await rejectsWith(
        'NETRIG_SSH_CONNECT',
        connect({ ...server.target, privateKey: generateKeyPair('other').privateKey }),
      );
      expect(wrongKey.message).to.match(/node1 as \S+: .*authentication/i);
      const refused = new Error('ECONNREFUSED, say');
      const gone = await rejectsWith(
        'NETRIG_SSH_CONNECT',
        connect({ ...server.target, open: () => Promise.reject(refused) }),
      );
      expect(gone.cause).to.equal(refused);
      const dead = () =>
        new Duplex({
          read() {},
          write(_chunk, _encoding, done) {
            done();
          },
        });
      const silent = await rejectsWith(
        'NETRIG_SSH_SILENT',
        connect({ ...server.target, open: async () => dead() }, { readyTimeoutMs: 150 }),
      );
      expect(silent.message).to.include('150 ms');
      const stuck = await rejectsWith(
        'NETRIG_SSH_SILENT',
        connect({ ...server.target, open: () => new Promise(() => undefined) }, { readyTimeoutMs: 150 }),
      );
      expect(stuck.message).to.include('150 ms');
      const closes = await rejectsWith(
        'NETRIG_SSH_CONNECT',
        connect({
          ...server.target,
          open: async () => {
            const stream = dead();
            setImmediate(() => stream.push(null));
            return stream;
          },
        }),
      );
      expect(closes.message).to.match(/closed|lost/i);
      const abort = new AbortController();
      const aborted = connect({ ...server.target, open: async () => dead() }, { signal: abort.signal });
      abort.abort(new Error('Ctrl-C'));
      expect((await rejectsWith('NETRIG_SSH_CONNECT', aborted)).message).to.include('Ctrl-C');
      const notSsh = await rejectsWith(
        'NETRIG_SSH_CONNECT',
        connect(
          {
            ...server.target,
            open: async () => {
              const stream = dead();
              stream.push('HTTP/1.1 400 Bad Request\r\n\r\n'.repeat(2000));
              return stream;
            },
          },
          { readyTimeoutMs: 500 },
        ),
      );
      expect(notSsh.message).to.be.a('string');
    });

    it('tells every caller when sshd dies under them, and what was running', async () => {
      const { server: own, connection } = await another();
      const pids: number[] = [];
      const onOutput = (_: string, chunk: Buffer) => void pids.push(Number(chunk.toString()));
      const process = connection.spawn('echo $$; exec sleep 1000', { onOutput });
      const commands = Array.from({ length: 12 }, (_, index) =>
        connection.exec(`echo $$; exec sleep 10.${index}`, { onOutput }),
      );
      // Eight of the twelve have a slot.
      await eventually('nine commands run', () => pids.length === 9);
      own.kill();
      const errors = await Promise.all(
        [process.done, ...commands].map((pending) => rejectsWith('NETRIG_SSH_LOST', pending)),
      );
      expect(errors[0]?.message).to.match(/^node1: the SSH connection ended during `echo \$\$; exec sleep 1000`: /);
      expect(errors[12]?.message).to.include('sleep 10.11`');
      expect(connection.closed).to.equal(true);
      const after = await rejectsWith('NETRIG_SSH_LOST', connection.exec('true'));
      expect(after.message).to.include('node1');
      await rejectsWith('NETRIG_SSH_LOST', connection.writeFile('/tmp/netrig-x', 'x'));
      await process.kill();
      await connection.end();
      // Nobody can reach them any more over SSH; a lab would take them down with the host.
      for (const pid of pids) if (alive(pid)) globalThis.process.kill(pid, 'SIGKILL');
    });

    it('ends: kills what runs, once, and takes nothing afterwards', async () => {
      const { server: own, connection } = await another();
      const process = connection.spawn('sleep 1000; sleep 1000');
      const pgid = await process.pgid;
      const running = connection.exec('sleep 1000');
      const [first, second] = [connection.end(), connection.end()];
      expect(first).to.equal(second);
      await first;
      expect((await process.done).aborted).to.equal(true);
      expect((await running).aborted).to.equal(true);
      expect(connection.closed).to.equal(true);
      await eventually('the group is gone', () => groupMembers(pgid).length === 0);
      await eventually('its sshd is gone', () =>
        own.servers.every((one) => one.exitCode !== null || one.signalCode !== null),
      );
      await rejectsWith('NETRIG_SSH_LOST', connection.exec('true'));
      await rejectsWith('NETRIG_SSH_LOST', connection.shell());
      expect(() => connection.spawn('true')).to.throw(/ended/);
    });

    it('is one log-in, however many commands', async () => {
      const { server: own, connection } = await another();
      await Promise.all(Array.from({ length: 20 }, () => connection.exec('true')));
      await connection.writeFile('/tmp/netrig-once', 'x');
      await connection.exec('rm /tmp/netrig-once');
      await eventually('sshd said so', () => /Accepted publickey/.test(own.log()));
      expect(own.log().match(/Accepted publickey/g)).to.have.length(1);
      expect(own.servers).to.have.length(1);
    });
  });

  describe('files', () => {
    const directory = '/tmp/netrig-files';
    beforeEach(() => host.exec(['rm', '-rf', directory]));
    after(() => host?.exec(['rm', '-rf', directory]));

    it('writes and reads back text, bytes, nothing and much', async () => {
      const large = Buffer.alloc(3_000_000);
      for (let index = 0; index < large.length; index += 1) large[index] = (index * 31 + (index >> 8)) & 255;
      for (const content of ['ünï ✓\n', Buffer.from([0, 255, 13, 10]), '', large]) {
        await host.writeFile(`${directory}/file`, content);
        expect((await host.readFile(`${directory}/file`)).equals(Buffer.from(content))).to.equal(true);
      }
      expect((await host.exec(['ls', '-A', directory])).stdout).to.equal('file\n');
    });

    it('makes parents, takes any name literally, sets the mode whatever the umask, keeps it on rewriting', async () => {
      const path = `${directory}/a/b c/$(id)'"\n✓/file`;
      await host.writeFile(path, 'x', { mode: 0o4751 });
      expect((await host.exec(['stat', '-c', '%a', path])).stdout).to.equal('4751\n');
      await host.writeFile(path, 'y');
      expect((await host.exec(['stat', '-c', '%a', path])).stdout).to.equal('4751\n');
      await host.writeFile(`${directory}/plain`, 'y');
      expect((await host.exec(['stat', '-c', '%a', `${directory}/plain`])).stdout).to.equal('644\n');
      expect((await host.exec(`cat ${quoteArg(path)}`)).stdout).to.equal('y');
    });

    it('never shows half a file', async () => {
      await host.writeFile(`${directory}/file`, 'a'.repeat(300_000));
      const reader = host.exec(
        `for i in $(seq 300); do wc -c <${directory}/file; done | sort | uniq -c | wc -l; tr -d ab <${directory}/file | wc -c`,
      );
      for (let round = 0; round < 20; round += 1)
        await host.writeFile(`${directory}/file`, (round % 2 ? 'a' : 'b').repeat(300_000));
      expect((await reader).stdout.trim().split(/\s+/)).to.deep.equal(['1', '0']);
    });

    it('writes many at once', async () => {
      await Promise.all(
        Array.from({ length: 40 }, (_, index) => host.writeFile(`${directory}/d${index % 4}/e/${index}`, `${index}`)),
      );
      expect(
        (await host.exec(`cat ${directory}/d*/e/* | wc -c; find ${directory} -type f | wc -l`)).stdout
          .trim()
          .split(/\s+/),
      ).to.deep.equal(['70', '40']);
    });

    it('says which path failed and why, and leaves no temporary file', async () => {
      await host.exec(['mkdir', '-p', `${directory}/dir`]);
      const cases: [work: () => Promise<unknown>, message: RegExp][] = [
        [() => host.readFile(`${directory}/missing`), /node1: reading \S+\/missing failed: No such file/],
        [() => host.readFile(directory), /failed/],
        [() => host.writeFile(`${directory}/dir`, 'x'), /writing \S+\/dir failed/],
        [() => host.writeFile('/proc/netrig/x', 'x'), /writing \/proc\/netrig\/x failed/],
        [() => host.writeFile('', 'x'), /not a path/],
        [() => host.readFile('a\0b'), /not a path/],
      ];
      for (const [work, message] of cases) expect((await rejectsWith('NETRIG_SFTP', work())).message).to.match(message);
      expect((await host.exec(['ls', '-A', directory])).stdout).to.equal('dir\n');
    });

    it('says so when it is not permitted', async function () {
      if (!isRoot()) this.skip();
      const { connection } = await another({
        prepare: 'mkdir -m 755 /run/closed; mount -t tmpfs -o ro tmpfs /run/closed',
      });
      const readOnly = await rejectsWith('NETRIG_SFTP', connection.writeFile('/run/closed/file', 'x'));
      expect(readOnly.message).to.match(/writing \/run\/closed\/file failed: /);
      expect((await connection.exec('echo still here')).stdout).to.equal('still here\n');
    });

    it('reads what has no size, and no more than was asked for', async () => {
      expect((await host.readFile('/proc/self/status')).toString()).to.match(/^Name:/);
      await host.writeFile(`${directory}/file`, 'x'.repeat(1000));
      expect((await host.readFile(`${directory}/file`, { maxBytes: 1000 })).length).to.equal(1000);
      expect(
        (await rejectsWith('NETRIG_SFTP', host.readFile(`${directory}/file`, { maxBytes: 999 }))).message,
      ).to.include('larger than the 999 bytes');
      await rejectsWith('NETRIG_SFTP', host.readFile('/dev/zero', { maxBytes: 1_000_000 }));
    });

    it('is refused, with a code, by a server without SFTP', async () => {
      const { connection } = await another({ sftp: false });
      await rejectsWith('NETRIG_SFTP', connection.writeFile('/tmp/netrig-x', 'x'));
      expect((await connection.exec('echo ok')).stdout).to.equal('ok\n');
    });
  });
});

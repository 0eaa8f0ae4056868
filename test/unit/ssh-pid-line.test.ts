import { spawnSync } from 'node:child_process';
import { expect } from 'chai';
import { pidLine, sayPid } from '../../src/ssh/pid-line.js';
import { shells } from './ssh-shells.js';

const token = 'netrig-0123-1:';

function read(...chunks: (string | Buffer)[]): { pid: number | undefined; output: string } {
  let pid: number | undefined;
  const line = pidLine(token, (value) => (pid = value));
  const parts = chunks.map((chunk) => line.feed(Buffer.from(chunk)));
  return { pid, output: Buffer.concat([...parts, line.flush()]).toString() };
}

describe('ssh/pid-line', () => {
  it('takes the line out, however it is cut into chunks', () => {
    const stream = `${token} 4711\nfirst\nsecond`;
    for (let cut = 0; cut <= stream.length; cut += 1) {
      expect(read(stream.slice(0, cut), stream.slice(cut))).to.deep.equal({ pid: 4711, output: 'first\nsecond' });
    }
    expect(read(...stream)).to.deep.equal({ pid: 4711, output: 'first\nsecond' });
  });

  it("drops what the shell's start-up files printed before it, with or without a line's end", () => {
    expect(read(`Welcome!\n${token} 5\nout`)).to.deep.equal({ pid: 5, output: 'out' });
    expect(read('Welco', `me${token}`, ' 5', '\n')).to.deep.equal({ pid: 5, output: '' });
  });

  it('takes everything for output when the line never comes', () => {
    expect(read('no', 'thing\n')).to.deep.equal({ pid: undefined, output: 'nothing\n' });
    const long = 'x'.repeat(70_000);
    expect(read(long, 'more')).to.deep.equal({ pid: undefined, output: `${long}more` });
  });

  it('believes the line only once', () => {
    expect(read(`${token} 5\n${token} 6\n`)).to.deep.equal({ pid: 5, output: `${token} 6\n` });
  });

  const commands = [
    'exit 3',
    'true',
    'false',
    'echo hi # a comment',
    '# only a comment',
    '',
    '\n',
    'echo a\n\n',
    'if fi',
    ')',
    '"',
    'echo a\nif fi',
    'cat <<E\nfoo\nE',
    'cat <<E\nfoo',
    'nosuchprogram',
    'cat',
    'read x; echo "[$x]"; cat',
    'kill -9 $$',
    "sh -c 'kill -9 $$'; echo $?",
    'echo a; exec echo b',
    'trap "echo bye" EXIT; exit 4',
    'set -e; false; echo no',
    'echo $?',
    'echo "$0 $#"',
    'printf "no newline"',
    'echo err >&2',
    'exec >/dev/null; echo x',
    '(exit 5)',
    'echo \\',
    'echo a \\\n b',
    'set -- x y; echo $2',
    ': $((1/0))',
    'false || echo or',
    'a=1\necho $a',
    '\t echo tab',
    'return 7',
    '! true',
  ];
  for (const {
    name,
    argv: [program, ...args],
  } of shells) {
    it(`lets commands of ${name} be what they are`, () => {
      for (const command of commands) {
        const options = { encoding: 'utf8' as const, input: 'in1\nin2\n' };
        const plain = spawnSync(program, [...args, '-c', command], options);
        const said = spawnSync(program, [...args, '-c', sayPid(token, command)], options);
        const seen = read(said.stdout);
        expect(
          { status: said.status, signal: said.signal, output: seen.output },
          JSON.stringify(command),
        ).to.deep.equal({ status: plain.status, signal: plain.signal, output: plain.stdout });
        // busybox through its own name is the process started here, as any shell is.
        expect(seen.pid, JSON.stringify(command)).to.equal(said.pid);
        // But for line numbers, one higher, the shell's own words are the same.
        expect(said.stderr.replace(/\d+/g, 'N'), JSON.stringify(command)).to.equal(plain.stderr.replace(/\d+/g, 'N'));
      }
    });
  }
});

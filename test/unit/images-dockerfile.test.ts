import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { dockerfileMistakes } from '../../src/images/containers/dockerfile-mistakes.js';
import {
  buildFailure,
  missedBy,
  dockerfileInstructions,
  readDockerfile,
} from '../../src/images/containers/dockerfile.js';

const imagesOf = (text: string, args: Record<string, string> = {}): unknown => {
  const read = readDockerfile(text, args);
  return 'problem' in read
    ? [read.line, read.problem]
    : read.images.map(({ reference, line }) => `${line} ${reference}`);
};

describe('Dockerfiles', () => {
  it('are split into instructions with their lines', () => {
    const text = '# syntax=docker/dockerfile:1\n\nFROM a\nRUN one && \\\n  # between\n\n  two\ncopy x /x\n';
    expect(dockerfileInstructions(text)).to.deep.equal([
      { line: 3, keyword: 'FROM', text: 'FROM a' },
      { line: 4, keyword: 'RUN', text: 'RUN one &&   two' },
      { line: 8, keyword: 'COPY', text: 'copy x /x' },
    ]);
    expect(dockerfileInstructions('# escape=`\nRUN a `\n b')).to.deep.equal([
      { line: 2, keyword: 'RUN', text: 'RUN a  b' },
    ]);
  });

  it('may hold here-documents, whose lines are no instructions', () => {
    const keywords = (text: string): string[] =>
      dockerfileInstructions(text).map(({ line, keyword }) => `${line} ${keyword}`);
    expect(keywords('FROM a\nRUN <<EOF\nFROM b\nEOF\nCOPY <<-"x" <<y /d/\n1\n\tx\n2\ny\nUSER c')).to.deep.equal([
      '1 FROM',
      '2 RUN',
      '5 COPY',
      '10 USER',
    ]);
    // Without an end it is none, nor where a shell shifts.
    expect(keywords('FROM a\nRUN <<EOF\nUSER b')).to.deep.equal(['1 FROM', '2 RUN', '3 USER']);
    expect(keywords('FROM a\nRUN echo $((1<<x))\nUSER b\nx')).to.deep.equal(['1 FROM', '2 RUN', '3 USER', '4 X']);
    // Tabs stand before the end only where a dash says so.
    expect(keywords('FROM a\nRUN <<E\n\tE\nx y\nE\nUSER b')).to.deep.equal(['1 FROM', '2 RUN', '6 USER']);
    expect(keywords('FROM a\r\nRUN <<E-1\r\nx\r\nE-1\r\nUSER b\r\n')).to.deep.equal(['1 FROM', '2 RUN', '5 USER']);
  });

  it('go on where a line ends in the sign for it, as BuildKit reads that', () => {
    const texts = (text: string): string[] => dockerfileInstructions(text).map((one) => one.text);
    expect(texts('RUN a \\ \t\n  b\nUSER c')).to.deep.equal(['RUN a   b', 'USER c']);
    // Two of them are one that is meant.
    expect(texts('RUN a \\\\\nUSER c')).to.deep.equal(['RUN a \\\\', 'USER c']);
    expect(texts('RUN a \\\n\\\n  b\nUSER c')).to.deep.equal(['RUN a   b', 'USER c']);
    expect(texts('RUN a \\\n# b\n')).to.deep.equal(['RUN a']);
    // A directive is none behind another comment.
    expect(texts('# syntax=x\n# escape=`\nRUN a `\n b')).to.deep.equal(['RUN a  b']);
    expect(texts('# Title\n# escape=`\nRUN a `\nRUN b')).to.deep.equal(['RUN a `', 'RUN b']);
    expect(texts('\ufeffFROM a\r\nRUN b')).to.deep.equal(['FROM a', 'RUN b']);
  });

  describe('with mistakes', () => {
    let context = '';
    before(() => {
      context = mkdtempSync(join(tmpdir(), 'netrig-dockerfile-'));
      mkdirSync(join(context, 'sub'));
      writeFileSync(join(context, 'hour.sh'), '');
      writeFileSync(join(context, 'sub/minute.sh'), '');
      symlinkSync('/sub', join(context, 'link'));
    });
    after(() => rmSync(context, { recursive: true, force: true }));
    const told = (text: string, target: string | null = null): string[] =>
      dockerfileMistakes(text, { context, target, buildArguments: {} }).map(
        ({ line, message }) => `${line} ${message}`,
      );
    const missing = (line: number, keyword: string, name: string): string =>
      `${line} ${keyword} takes "${name}", which is not in the directory of the build`;

    it('are told with the line of an unknown instruction', () => {
      expect(told('FROM a\n# b\nRUN c \\\n  d\nCOPI hour.sh /\n')).to.deep.equal([
        '5 unknown instruction "COPI"; did you mean "COPY"?',
      ]);
      expect(told('FORM a')).to.deep.equal(['1 unknown instruction "FORM"; did you mean "FROM"?']);
      expect(told('RUN a')).to.deep.equal(['1 there is no FROM in it']);
      expect(told('# escape=`\nfrom a\nrun b `\n COPI c\ncmd ["x"]\nONBUILD COPY x /\nMaintainer d')).to.deep.equal([]);
    });

    it('are told with the line of a source that is not there', () => {
      expect(told('FROM a\nCOPY hour.sh sub/minute.sh ./sub . /x/\nCOPY minute.sh /x')).to.deep.equal([
        missing(3, 'COPY', 'minute.sh'),
      ]);
      expect(told('FROM a\nADD --chown=1:1 \\\n  /hour.sh ../none /x/')).to.deep.equal([missing(2, 'ADD', '../none')]);
      expect(told('FROM a\nCOPY ["no such", "hour.sh", "/x/"]\nCOPY hour.sh/x /')).to.deep.equal([
        missing(2, 'COPY', 'no such'),
        missing(3, 'COPY', 'hour.sh/x'),
      ]);
    });

    it('are not told where it is not certain', () => {
      for (const line of [
        'COPY *.none /x/',
        'COPY $NONE ${NONE} /x/',
        'COPY --from=b none /x',
        'COPY link/none /x',
        'ADD https://example.org/none /x',
        'ADD git@example.org:none.git /x',
        'ADD github.com/moby/none /x',
        'COPY none\\ 1 /x',
        'COPY "no ne" /x',
        'RUN COPY none /x',
        'COPY',
      ])
        expect(told(`FROM a\n${line}`), line).to.deep.equal([]);
    });

    it('are told of what is newer than the engine that builds, whichever stage it is in', () => {
      expect(told('FROM a\nRUN <<EOF\nnone\nEOF\nFROM b\nCOPY <<EOF /x\nnone\nEOF')).to.deep.equal([
        '2 here-documents (`<<`) are newer than Docker 20.10, which builds it: join the commands by `&& \\`',
        '6 here-documents (`<<`) are newer than Docker 20.10, which builds it: put the text into a file beside the Dockerfile',
      ]);
      expect(told('FROM a\nCOPY --link --form=b c /d\nADD --keep-git-dir=true e /f\nFROM b')).to.deep.equal([
        '2 Docker 20.10, which builds it, knows no flag `--link` of COPY',
        '2 Docker 20.10, which builds it, knows no flag `--form` of COPY; did you mean "from"?',
        '3 Docker 20.10, which builds it, knows no flag `--keep-git-dir` of ADD',
      ]);
      expect(told('FROM --platform=$X a\nRUN --mount=type=cache,target=/x --network=none b --link')).to.deep.equal([]);
      expect(told('FROM a\nCOPY --chmod=1 --chown=2 hour.sh /x\nHEALTHCHECK --interval=1s CMD x')).to.deep.equal([]);
    });

    it('are told of the stages that are built', () => {
      const text = 'FROM a AS one\nCOPY none1 /\nFROM a AS two\nCOPY none2 /\nFROM a\nCOPY --from=TWO /b /b\n';
      expect(told(text)).to.deep.equal([missing(4, 'COPY', 'none2')]);
      expect(told(text, 'One')).to.deep.equal([missing(2, 'COPY', 'none1')]);
      expect(told(`${text}FROM one\n`)).to.deep.equal([missing(2, 'COPY', 'none1')]);
      expect(told(`${text}COPY --from=0 /b /b\n`)).to.have.length(2);
      expect(told('FROM a AS one\nCOPY none /\nFROM a\nRUN b --from=one\nRUN c --mount=from=one\n')).to.deep.equal([]);
      expect(told('FROM a AS one\nCOPY none /\nFROM a\nRUN --mount=type=bind,from=one,target=/x b\n')).to.have.length(
        1,
      );
    });
  });

  it('have a stage for the target', () => {
    const told = (target: string): string[] =>
      dockerfileMistakes('FROM a AS base\nFROM b AS test', { context: '/', target, buildArguments: {} }).map(
        ({ line, message }) => `${line} ${message}`,
      );
    expect(told('Test').concat(told('0'))).to.deep.equal([]);
    expect(told('tset')).to.deep.equal(['1 it has no stage "tset"; did you mean "test"?']);
    expect(told('none')).to.deep.equal(['1 it has no stage "none"; its stages are base, test']);
  });

  it('name the images that they stand on and copy from, not their own stages', () => {
    const text = `FROM --platform=linux/amd64 golang:1.22 AS build
FROM Build AS test
FROM scratch
COPY --from=build /a /a
COPY --from=0 /a /b
COPY --from=alpine:3 /a /c
RUN --mount=type=bind,from=redis,target=/x true
`;
    expect(imagesOf(text)).to.deep.equal(['1 golang:1.22', '6 alpine:3', '7 redis']);
  });

  it('name them by arguments, too', () => {
    const text = 'ARG VERSION=16\nARG NAME="postgres"\nFROM ${NAME}:$VERSION\nARG VERSION=1\nFROM a:${OTHER:-2}';
    expect(imagesOf(text)).to.deep.equal(['3 postgres:16', '5 a:2']);
    expect(imagesOf(text, { VERSION: '17' })).to.deep.equal(['3 postgres:17', '5 a:2']);
    expect(imagesOf('ARG A=1\nARG B=debian:${A}\nFROM $B\nFROM ${C}x\nFROM y${A:+z}${D-:2}')).to.deep.equal([
      '3 debian:1',
      '4 x',
      '5 yz:2',
    ]);
    expect(imagesOf('FROM --platform=$BUILDPLATFORM a/$TARGETARCH')).to.deep.equal([
      `1 a/${process.arch === 'x64' ? 'amd64' : process.arch}`,
    ]);
    expect(imagesOf('FROM Debian')).to.deep.equal([1, '"Debian" is no reference of a container image']);
    expect(imagesOf('FROM a\nRUN tool --from=2020-01-01 --to=b')).to.deep.equal(['1 a']);
    expect(imagesOf('FROM a:$B')).to.deep.equal([1, 'FROM names its image by a variable without a value: a:$B']);
    expect(imagesOf('RUN a')).to.deep.equal([1, 'there is no FROM in it']);
    expect(imagesOf('\nFROM')).to.deep.equal([2, 'FROM names no image']);
  });

  it('lose what would be fetched, and keep their lines', () => {
    const reference = `a@sha256:${'0'.repeat(64)}`;
    const read = readDockerfile(`# syntax=docker/dockerfile:1\nFROM ${reference}\nRUN c`, {}, () => 'a:b');
    expect(read).to.deep.equal({ images: [{ line: 2, reference }], text: '#\nFROM a:b\nRUN c' });
  });

  it('that fail are told with the line, the exit status and the last words of the step', () => {
    // As engine 20.10.24 wrote it.
    const output = `#5 [1/2] FROM docker.io/library/busybox
#5 CACHED

#4 [2/2] RUN echo to-out &&     echo err >&2 &&     exit 7
#4 sha256:6cea7784758b44b08671b0b294b1fa2cd14647d2957dd64db11c8c5dfca1eec6
#4 0.166 to-out
#4 0.166 err
#4 ERROR: executor failed running [/bin/sh -c echo to-out &&     echo err >&2 &&     exit 7]: exit code: 7
------
 > [2/2] RUN echo to-out &&     echo err >&2 &&     exit 7:
------
executor failed running [/bin/sh -c echo to-out &&     echo err >&2 &&     exit 7]: exit code: 7
`;
    const text = 'FROM busybox\n# nothing\nRUN echo to-out && \\\n    echo err >&2 && \\\n    exit 7\n';
    expect(buildFailure(output, dockerfileInstructions(text))).to.deep.equal({
      line: 3,
      what: 'RUN echo to-out &&     echo err >&2 &&     exit 7: exited with 7',
      output: ['to-out', 'err'],
    });
  });

  it('want the outside where their words say so, and files of the context where these are missing', () => {
    const run = (said: string): string =>
      `#5 [2/2] RUN apt-get update || connection refused\n#5 0.4 ${said}\n#5 ERROR: exit code: 1\n`;
    expect(missedBy(run("Temporary failure resolving 'mirror.example'"))).to.equal('network');
    expect(missedBy(run('wget: bad address example.org'))).to.equal('network');
    expect(missedBy(run('make: *** no rule to make target'))).to.equal(null);
    expect(missedBy('#6 [2/2] COPY none /\n#6 ERROR: "/none" not found: not found\n')).to.equal('context');
    expect(
      missedBy('#6 [2/2] COPY none /\n#6 ERROR: failed to compute cache key: "/none" not found: not found\n'),
    ).to.equal('context');
    expect(
      missedBy('#4 [internal] x\n#4 ERROR: Get "http://a.example/x": dial tcp: lookup a.example: no such host\n'),
    ).to.equal('network');
  });

  it('with a mistake are told with its line', () => {
    const output =
      'failed to solve with frontend dockerfile.v0: failed to create LLB definition: dockerfile parse error line 2: unknown instruction: RUUN\n';
    expect(buildFailure(output, [])).to.deep.equal({ line: 2, what: 'unknown instruction: RUUN', output: [] });
    expect(buildFailure('something else\n', [])).to.deep.equal({ line: null, what: 'something else', output: [] });
  });
});

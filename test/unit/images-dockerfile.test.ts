import { expect } from 'chai';
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
    expect(imagesOf('FROM a:$B')).to.deep.equal([1, 'FROM names its image by a variable without a value: a:$B']);
    expect(imagesOf('RUN a')).to.deep.equal([1, 'there is no FROM in it']);
    expect(imagesOf('\nFROM')).to.deep.equal([2, 'FROM names no image']);
  });

  it('lose what would be fetched, and keep their lines', () => {
    const read = readDockerfile('# syntax=docker/dockerfile:1\nFROM a@b\nRUN c', {}, () => 'a:b');
    expect(read).to.deep.equal({ images: [{ line: 2, reference: 'a@b' }], text: '#\nFROM a:b\nRUN c' });
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

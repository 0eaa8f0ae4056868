import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { manyPathParts, readPaths } from '../../src/facts/path.js';

const neighbours =
  '[{"dst":"10.0.0.2","dev":"eth0","lladdr":"02:AA:00:00:00:02","state":["REACHABLE"]},{"dst":"10.0.0.9","dev":"eth0","state":["FAILED"]}]';
const links = '[{"ifname":"lo","flags":["UP"]},{"ifname":"eth0","flags":["UP","NO-CARRIER"]}]';
const route = (dst: string, gateway = ''): string =>
  `[{"dst":"${dst}",${gateway}"dev":"eth0","prefsrc":"10.0.0.1","flags":[],"uid":0,"cache":[]}]`;

describe('the ways to many addresses, asked at once', () => {
  it('are told apart from neighbours and links, in whatever order they come', () => {
    const lines = [route('10.0.0.2'), neighbours, route('192.0.2.1', '"gateway":"10.0.0.9",'), links];
    const read = readPaths(
      new Map([
        ['0-path', { output: `${lines.join('\n')}\nRTNETLINK answers: Network is unreachable\n`, exitCode: 0 }],
      ]),
      ['10.0.0.2', '192.0.2.1', '198.51.100.7'],
      '0-',
    );
    expect(read.get('10.0.0.2')).to.deep.include({ neighbour: ['REACHABLE'], neighbourMac: '02:aa:00:00:00:02' });
    expect(read.get('192.0.2.1')).to.deep.include({
      nextHop: '10.0.0.9',
      neighbour: ['FAILED'],
      link: { name: 'eth0', up: true, carrier: false },
    });
    expect(read.get('198.51.100.7')?.route).to.deep.equal({ refused: 'Network is unreachable' });
  });

  it('are not known where nothing was answered', () => {
    expect([...readPaths(new Map(), ['10.0.0.2'], '0-').values()]).to.deep.equal([null]);
    const missing = new Map([['0-path', { output: '\nsh: 1: ip: not found\n', exitCode: 0 }]]);
    expect([...readPaths(missing, ['10.0.0.2'], '0-').values()]).to.deep.equal([null]);
  });

  it('are asked for so that no refusal stands within an answer', () => {
    const directory = mkdtempSync(join(tmpdir(), 'netrig-path-'));
    try {
      // What a program does whose answers are longer than its buffer.
      const ip = `#!/bin/sh\ncat >${directory}/asked\nprintf '[{"dst":"10.0.0.2",'\necho 'RTNETLINK answers: Network is unreachable' >&2\nprintf '"dev":"eth0"}]\\n'\nexit 1\n`;
      writeFileSync(join(directory, 'ip'), ip);
      chmodSync(join(directory, 'ip'), 0o755);
      const [part] = manyPathParts(['10.0.0.2', '10.9.9.9'], '0-');
      const { stdout, stderr, status } = spawnSync('sh', ['-c', `{ ${part!.shell}\n} 2>&1; cat ${directory}/asked`], {
        env: { PATH: `${directory}:/usr/bin:/bin` },
        encoding: 'utf8',
      });
      expect([status, stderr]).to.deep.equal([0, '']);
      expect(stdout.trimEnd().split('\n')).to.deep.equal([
        '[{"dst":"10.0.0.2","dev":"eth0"}]',
        '',
        'RTNETLINK answers: Network is unreachable',
        ...['route get 10.0.0.2', 'route get 10.9.9.9', 'neigh show', 'link show'],
      ]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

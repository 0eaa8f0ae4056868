import { expect } from 'chai';
import type { CheckKind } from '../../src/checks/kind.js';
import { throughputCheck } from '../../src/checks/throughput.js';
import type { ExecResult, RemoteProcess } from '../../src/ssh/ssh.js';
import { kindTable } from '../fakes/kind-table.js';
import type { Case } from '../fakes/kind-table.js';
import type { Row, Said } from '../fakes/lab.js';
import { areWellMade } from './well-made-kinds.js';

/** iperf3 --server: goes on until it is ended, or ends at once. */
const server =
  (exitCode?: number): NonNullable<Case['spawns']> =>
  (host, argv): RemoteProcess => {
    let end!: (code: number) => void;
    const done = new Promise<ExecResult>((resolve) => {
      end = (code) =>
        resolve({
          host,
          command: argv.join(' '),
          exitCode: code,
          timedOut: false,
          aborted: false,
          durationMs: 1,
          stdout: '',
          stderr: code === 127 ? 'sh: iperf3: not found' : '',
          stdoutRaw: Buffer.alloc(0),
          stdoutBytes: 0,
          stderrBytes: 0,
        });
    });
    if (exitCode !== undefined) end(exitCode);
    return { pgid: Promise.resolve(1), done, kill: async () => end(0) };
  };

const listening: Row = { tool: 'ss', says: 'LISTEN 0 4096 *:5201 *:*\n' };
const received = (bits: number): Said => JSON.stringify({ end: { sum_received: { bits_per_second: bits } } });
const to = (address: string, said: Said): Row => ({ at: 'a', tool: 'iperf3', about: address, says: said });

const spec = { from: 'a', to: 'b', 'compared-to': { from: 'a', to: 'c' }, rounds: 1 };

kindTable(throughputCheck, {
  hosts: { a: { on: { lan: '10.0.0.1' } }, b: { on: { lan: '10.0.0.2' } }, c: { on: { lan: '10.0.0.3' } } },
  said: [listening, to('10.0.0.2', received(2e8)), to('10.0.0.3', received(1e9))],
  spawns: server(),
  cases: [
    {
      title: 'a path that is slower',
      spec: { ...spec, expect: { ratio: { 'at-most': 0.5 } } },
      is: 'pass',
      reason: /200 Mbit\/s to b.*0\.2 times/,
    },
    {
      title: 'a path that is not as fast',
      spec: { ...spec, expect: { ratio: { 'at-least': 0.8 } } },
      is: 'fail wrong-value',
    },
    {
      title: 'the median of several rounds',
      spec: { ...spec, rounds: 3, expect: { ratio: 0.2 } },
      is: 'pass',
    },
    {
      title: 'a transfer that was refused',
      spec: { ...spec, expect: { ratio: { 'at-most': 0.5 } } },
      said: [to('10.0.0.2', { exitCode: 1, stdout: '{ "error": "unable to connect to server: Connection refused" }' })],
      is: 'inconclusive',
      reason: /Connection refused/,
    },
    {
      title: 'nothing came in',
      spec: { ...spec, expect: { ratio: { 'at-most': 0.5 } } },
      said: [to('10.0.0.2', received(0))],
      is: 'inconclusive',
    },
    {
      title: 'no iperf3 at the target',
      spec: { ...spec, expect: { ratio: { 'at-most': 0.5 } } },
      said: [{ tool: 'ss', says: '' }],
      spawns: server(127),
      is: 'inconclusive',
      reason: /no usable iperf3|ended at once/,
    },
    {
      title: 'words in place of a report',
      spec: { ...spec, expect: { ratio: { 'at-most': 0.5 } } },
      said: [to('10.0.0.2', 'fast\n')],
      is: 'inconclusive',
    },
  ],
});

describe('the kind throughput', () => {
  areWellMade([throughputCheck] as CheckKind<never>[]);
  it('wants to know how the paths must compare', () => {
    expect(throughputCheck.schema.safeParse(spec).success).to.equal(false);
    expect(throughputCheck.schema.safeParse({ ...spec, expect: { mbits: 100 } }).success).to.equal(false);
  });
});

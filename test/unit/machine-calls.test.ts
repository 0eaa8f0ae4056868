import { spawnSync } from 'node:child_process';
import { existsSync, lstatSync, mkdtempSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { enterAction, machineCalls, mountAction, unshareActions } from '../../src/providers/local/machine-calls.js';

const [perl, ...words] = machineCalls;

function run(actions: readonly string[], env: Record<string, string> = {}) {
  return spawnSync(perl, [...words, ...actions], { encoding: 'utf8', env: { PATH: '/usr/bin:/bin', ...env } });
}

describe('the program of system calls that make a host', () => {
  let directory: string;
  beforeEach(() => void (directory = mkdtempSync(join(tmpdir(), 'netrig-calls-'))));
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('is one that perl finds nothing wrong with, however strictly it looks', () => {
    const { stderr, status } = spawnSync(perl, ['-Mstrict', '-wc', ...words.slice(0, 2)], { encoding: 'utf8' });
    expect([status, stderr]).to.deep.equal([0, '-e syntax OK\n']);
  });

  it('makes files, with the modes that are asked for, and keeps secrets out of arguments and of what follows', () => {
    const actions = [
      ...['cd', directory, 'mkdir', '710', 'inner', 'touch', 'inner/empty', 'link', 'empty', 'inner/link'],
      ...['secret', '600', 'NETRIG_KEY', 'inner/key', 'forget'],
      ...['--', 'sh', '-c', 'echo "${NETRIG_KEY-forgotten} $(umask)"'],
    ];
    const { stdout, stderr } = run(actions, { NETRIG_KEY: 'secret\n' });
    expect([stdout, stderr]).to.deep.equal(['forgotten 0022\n', '']);
    const mode = (path: string): number => statSync(join(directory, path)).mode & 0o777;
    expect([mode('inner'), mode('inner/key'), mode('inner/empty')]).to.deep.equal([0o710, 0o600, 0o644]);
    expect(readFileSync(join(directory, 'inner/key'), 'utf8')).to.equal('secret\n');
    expect(readlinkSync(join(directory, 'inner/link'))).to.equal('empty');
  });

  it('stops at the first that fails, and says what it was', () => {
    const { stderr, status } = run(['cd', directory, 'mkdir', '755', 'none/inner', 'touch', 'after', '--', 'true']);
    expect([status, stderr]).to.deep.equal([70, 'none/inner: No such file or directory\n']);
    expect(existsSync(join(directory, 'after'))).to.equal(false);
    expect(run(['jump', '--', 'true']).stderr).to.equal('no such action: jump\n');
    expect(() => lstatSync(join(directory, 'after'))).to.throw();
  });

  it('ends as its child does, be it by a signal', () => {
    expect(run(['fork', '--', 'sh', '-c', 'exit 7']).status).to.equal(7);
    expect(run(['fork', '--', 'sh', '-c', 'kill -9 $$']).signal).to.equal('SIGKILL');
  });

  it('begins what serves a stream, with nothing of its own environment', () => {
    const served = ['serve', '3', 'sh', '-c', 'echo "served ${NETRIG_KEY-nothing}"'];
    const { output, status } = spawnSync(perl, [...words, ...served, 'streams', 'output', '--', 'sh', '-c', 'wait'], {
      encoding: 'utf8',
      env: { PATH: '/usr/bin:/bin', NETRIG_KEY: 'secret' },
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
    });
    expect(status).to.equal(0);
    expect(output.slice(1)).to.deep.equal(['', '', '', 'served nothing\n']);
  });

  it('goes by what the program says that gets the addresses, be it one that reads nothing', () => {
    const addressed = (program: string) =>
      spawnSync(perl, [...words, 'addresses', program, '/bin/tar', '--', '/bin/echo', 'on'], {
        encoding: 'utf8',
        // More than fits into a pipe that nobody reads.
        input: `${'link set dev lo up\n'.repeat(10_000)}go\n`,
        stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
      });
    expect(addressed('/bin/true').output.slice(1)).to.deep.equal(['on\n', '', 'ready\n']);
    expect(addressed('/bin/false')).to.deep.include({ status: 1, stdout: '' });
  });

  it('is given the flags of the kernel', () => {
    expect(mountAction('tmpfs', 'a', 'b', 'mode=755,nosuid,noexec,size=1m')).to.deep.equal([
      'mount',
      'tmpfs',
      'a',
      'b',
      '10',
      'mode=755,size=1m',
    ]);
    expect(mountAction('', 'a', 'b', 'remount,bind,ro')[4]).to.equal(String(32 | 4096 | 1));
    expect(unshareActions('pid', 'net')).to.deep.equal(['unshare', String(0x60000000)]);
    expect(unshareActions('mount').slice(2)).to.deep.equal(['mount', '', '', '/', String(0x44000), '']);
    expect(enterAction('user', '/proc/1/ns/user')).to.deep.equal(['enter', String(0x10000000), '/proc/1/ns/user']);
  });
});

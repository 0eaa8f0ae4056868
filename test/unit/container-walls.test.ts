import { expect } from 'chai';
import { deviceRules, droppedCapabilities, securityOptions } from '../../src/providers/container/walls.js';

describe('the walls of a host that is a container', () => {
  const profile = (options: readonly string[]) =>
    JSON.parse(options.find((one) => one.startsWith('seccomp='))!.slice('seccomp='.length)) as {
      defaultAction: string;
      syscalls: { names: string[]; action: string; errnoRet: number; args?: object[] }[];
    };

  it('leave what systemd, engines and networks need', () => {
    for (const name of ['SYS_ADMIN', 'NET_ADMIN', 'NET_RAW', 'MKNOD', 'SYS_CHROOT', 'SETFCAP', 'SYS_RESOURCE'])
      expect(droppedCapabilities).not.to.include(name);
    expect(profile(securityOptions(true)).defaultAction).to.equal('SCMP_ACT_ALLOW');
    const calls = profile(securityOptions(true)).syscalls.flatMap((one) => one.names);
    expect(calls).not.to.include.any.members(['mount', 'unshare', 'setns', 'bpf', 'keyctl', 'reboot', 'pivot_root']);
  });

  it('let no block device be opened, and no device that is not named', () => {
    expect(deviceRules.every((rule) => /^c \d+:\d+ rwm$/.test(rule))).to.equal(true);
  });

  it('refuse sockets of AF_VSOCK alone, not all sockets', () => {
    const sockets = profile(securityOptions(true)).syscalls.filter((one) => one.names.includes('socket'));
    expect(sockets).to.have.length(1);
    expect(sockets[0]!.args).to.deep.equal([{ index: 0, value: 40, op: 'SCMP_CMP_EQ' }]);
  });

  it('are without a filter where the engine has none', () => {
    expect(securityOptions(false)[0]).to.equal('seccomp=unconfined');
  });
});

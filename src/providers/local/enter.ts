import { outerIds } from '../../lab/outer-users.js';
import type { ProcessIdentity } from '../../lab/process.js';
import { findProgram } from '../shared/command.js';
import type { Isolation } from './boot-actions.js';
import { filterAction, machineCalls } from './machine-calls.js';

/**
 * The actions of `machine-calls.ts` with which what enters a host joins its cgroups. A user may move processes only below the
 * group that is delegated: from another terminal, what enters stays in the group of that.
 */
export function joinActions(entered: readonly string[]): string[] {
  const action = outerIds() === null ? 'join' : 'try-join';
  return entered.flatMap((path) => [action, path]);
}

/**
 * The argv that runs a program of a host in that host: in its namespaces, and in its cgroups and under its system call filter,
 * so that what netrig sends in is bound by what binds the host.
 */
export function enterCommand(
  host: { pid1: ProcessIdentity; isolation: Isolation; entered: readonly string[] },
  argv: readonly string[],
): [string, ...string[]] {
  const [perl, ...words] = machineCalls;
  const isolated = host.isolation === 'users';
  const actions = [...joinActions(host.entered), ...(isolated ? filterAction() : [])];
  // The root by itself, too: where netrig runs in a chroot, the root of the mount namespace is not the host's.
  const flags = ['--mount', '--root', '--uts', '--ipc', '--net', '--pid', ...(isolated ? ['--user'] : [])];
  return [
    findProgram(perl) ?? perl,
    ...words,
    ...actions,
    ...['--', findProgram('nsenter') ?? 'nsenter', '--target', String(host.pid1.pid), ...flags],
    ...argv,
  ];
}

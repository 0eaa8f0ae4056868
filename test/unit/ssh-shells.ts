import { spawnSync } from 'node:child_process';

/** The shells of this machine that a host may have as its login shell, as argv prefixes that take `-c`. */
export const shells: readonly { name: string; argv: readonly [string, ...string[]] }[] = [
  { name: 'sh', argv: ['sh'] as const },
  { name: 'dash', argv: ['dash'] as const },
  { name: 'bash', argv: ['bash'] as const },
  { name: 'busybox sh', argv: ['busybox', 'sh'] as const },
].filter(({ argv: [program, ...args] }) => spawnSync(program, [...args, '-c', 'exit 0']).status === 0);

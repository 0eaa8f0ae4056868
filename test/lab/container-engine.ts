import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import Docker from 'dockerode';
import { labLabel } from '../../src/providers/container/labels.js';
import { ensureOrderedImage } from '../../src/images/made-to-order.js';
import { createLocalProvider } from '../../src/providers/local/provider.js';
import type { RunningLab } from '../../src/providers/provider.js';
import type { HostPlan, LabPlan } from '../../src/plan/lab-plan.js';
import { hostPlan, type HolderProcess, labPlan, upOptions } from './local-labs.js';

/** Debian's dockerd in a host of the local provider: its bridges, rules and addresses are in namespaces of that host's own. */
export interface TestEngine {
  /** The host that it runs in, for what is to be done to the engine. */
  lab: RunningLab;
  uri: string;
  docker: Docker;
  /** Names of all that carries a lab's label. */
  left(lab?: string): Promise<string[]>;
  end(): Promise<void>;
}

/** The environment that a test changed, put back by `end`. */
const before = process.env['DOCKER_HOST'];

/** `cgroup`: what its machine has; Docker Desktop's has version 2 alone. `more`: of the host that stands for that machine. */
export async function startEngine(cgroup: 'hybrid' | 'v2', more: Partial<HostPlan> = {}): Promise<TestEngine> {
  const provider = createLocalProvider({
    image: async (order, options) => ({ ...(await ensureOrderedImage(order, options)), cgroup }),
  });
  const lab = await provider.up(
    labPlan('engine', [
      hostPlan('engine', 11, ['net9'], { image: 'debian-12', init: 'systemd', engine: true, ...more }),
    ]),
    // The host stands for a machine with an engine of its own. Its root has what such a machine's has: containers that boot a
    // system mount proc and sysfs with parts of them hidden, which the root of a user namespace may not.
    { ...upOptions(), isolation: 'none' },
  );
  const { pid1 } = (lab.record.access as { hosts: Record<string, { pid1: { pid: number } }> }).hosts['engine']!;
  const socketPath = `/proc/${pid1.pid}/root/run/docker.sock`;
  const docker = new Docker({ socketPath });
  // The first request starts it.
  await docker.ping();
  const uri = `unix://${socketPath}`;
  process.env['DOCKER_HOST'] = uri;
  return {
    lab,
    uri,
    docker,
    left: async (id) => {
      const label = [id === undefined ? labLabel : `${labLabel}=${id}`];
      const [containers, networks, volumes] = await Promise.all([
        docker.listContainers({ all: true, filters: { label } }),
        docker.listNetworks({ filters: { label } }),
        docker.listVolumes({ filters: { label } }),
      ]);
      return [
        ...containers.flatMap((one) => one.Names),
        ...networks.map((one) => one.Name),
        ...(volumes.Volumes ?? []).map((one) => one.Name),
      ];
    },
    end: async () => {
      if (before === undefined) delete process.env['DOCKER_HOST'];
      else process.env['DOCKER_HOST'] = before;
      await lab.down();
    },
  };
}

const holderCode = `
const [provider, plan] = process.argv.slice(1);
const { containerProvider } = await import(provider);
const lab = await containerProvider.up(JSON.parse(plan), { signal: new AbortController().signal, emit: () => undefined, scenario: 'held' });
process.on('SIGTERM', () => void lab.down().then(() => process.exit(0)));
setInterval(() => undefined, 2 ** 30);
console.log(lab.id);
`;

/** A process that holds a lab of the container provider: it takes it down at SIGTERM, and knows nothing of SIGKILL. */
export async function startContainerHolder(plan: LabPlan): Promise<HolderProcess> {
  const provider = new URL('../../src/providers/container/provider.js', import.meta.url).href;
  const child = spawn(process.execPath, ['--input-type=module', '-e', holderCode, provider, JSON.stringify(plan)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout });
  const [id] = (await Promise.race([once(lines, 'line'), once(child, 'exit').then(() => [''])])) as [string];
  if (id === '') throw new Error('the holder ended before its lab was up');
  return { child, id };
}

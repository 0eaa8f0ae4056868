import type { Case } from './follow.js';
import { finding } from './finding.js';
import type { Finding } from './finding.js';
import type { SeenPacket } from './frames.js';
import { numberOf } from './explain-route.js';
import type { EngineContainer, Listener, Space } from './world.js';

function listensFor(listener: Listener, address: string): boolean {
  const { address: own } = listener;
  if (own === '*') return true;
  // ss(8) writes * for a socket that takes both families, and [::] for one that takes IPv6 only.
  if (own === '::') return address.includes(':');
  if (own === '0.0.0.0') return !address.includes(':');
  return own === address || own === `::ffff:${address}`;
}

const ago = (time: string | null): string => {
  const ms = time === null ? NaN : Date.now() - Date.parse(time);
  return ms > 0 && ms < 3_600_000 ? `, ${Math.round(ms / 1000)} s ago` : '';
};

function stoppedWords({ name, status, exitCode, error, finishedAt }: EngineContainer, host: string): string {
  const why = error === null ? '' : `: the engine could not start it: ${error}`;
  return status === 'exited'
    ? `${name} on ${host} is not running (exited with status ${exitCode ?? '?'}${ago(finishedAt)})${why}`
    : `${name} on ${host} is not running (${status})${why}`;
}

const startAgain = ({ name, error }: EngineContainer, host: string): string =>
  `${error === null ? '' : 'mend what the engine says, then '}docker start ${name}, on ${host}`;

/** So soon after its last start nobody can say that a container runs, ms: the engine waits up to a minute between starts. */
const justStartedMs = 10_000;

/** The engine starts it again and again, since it ends each time: whether it runs at this instant is chance. */
function keepsEnding({ status, restarts, startedAt }: EngineContainer): boolean {
  if (restarts < 2) return false;
  return status === 'restarting' || (startedAt !== null && Date.now() - Date.parse(startedAt) < justStartedMs);
}

function endsAgain(space: Space, { name, restarts, exitCode }: EngineContainer): Finding {
  return finding(
    space,
    'container-not-running',
    `${name} on ${space.host} is not running (restarting): it ends each time, and was started again ${restarts} times`,
    {
      evidence: [`The engine of ${space.host} says that ${name} ended last with status ${exitCode ?? '?'}.`],
      mend: `docker logs ${name}, on ${space.host}: why it ends`,
    },
  );
}

/** The packet came to a host, or to a container of it, that is to answer at the port, and is started over and over. */
export function endsOverAndOver(c: Case): Finding | null {
  const end = c.forward.findLast(({ way }) => way === 'in')?.space;
  if (!end) return null;
  const one = c.world.engines
    .get(end.host)
    ?.containers.find(
      (own) =>
        keepsEnding(own) &&
        (end.label === `${end.host}/${own.name}` ||
          own.published.some(({ hostPort, proto }) => hostPort === c.port && proto === c.proto)),
    );
  return one ? endsAgain(end, one) : null;
}

/** A container that should have the port, and does not run. */
function stoppedPublisher(c: Case, space: Space, port: number, proto: string): Finding | null {
  const containers = c.world.engines.get(space.host)?.containers ?? [];
  const one = containers.find(
    (container) =>
      container.status !== 'running' &&
      (space.kind === 'host' ? container.published.some((own) => own.hostPort === port && own.proto === proto) : false),
  );
  if (!one) return null;
  if (one.status === 'restarting') return endsAgain(space, one);
  if (c.world.engines.get(space.host)?.running === false)
    return finding(
      space,
      'container-not-running',
      `the engine of ${space.host} is not running, so ${one.name}, which publishes ${port}, does not run either`,
      { mend: `systemctl start docker, on ${space.host}` },
    );
  if (one.status === 'paused')
    return finding(space, 'container-not-running', `${one.name} on ${space.host}, which publishes ${port}, is paused`, {
      mend: `docker unpause ${one.name}, on ${space.host}`,
    });
  return finding(
    space,
    'container-not-running',
    `${stoppedWords(one, space.host)}; it publishes ${port}, so nobody listens there`,
    { mend: startAgain(one, space.host) },
  );
}

/** The container that is to have the address does not run, as its engine says. */
export function stoppedOwner(c: Case, address: string): Finding | null {
  for (const [host, { containers }] of c.world.engines) {
    const own = containers.find(
      (one) =>
        one.status !== 'running' &&
        one.status !== 'paused' &&
        one.networks.some((network) => network.address === address || network.address6 === address),
    );
    const space = c.world.spaces.find((one) => one.host === host && one.kind === 'host') ?? null;
    if (own)
      return finding(
        space,
        'container-not-running',
        `${stoppedWords(own, host)}; it is to have the address ${address}`,
        { mend: startAgain(own, host) },
      );
  }
  return null;
}

/** The container of a namespace is paused: its kernel answers, its processes do not. */
export function pausedThere(c: Case, space: Space): Finding | null {
  const name = space.label.split('/')[1];
  const own = c.world.engines
    .get(space.host)
    ?.containers.find((one) => one.name === name && space.kind === 'container');
  if (own?.status !== 'paused') return null;
  return finding(
    space,
    'container-not-running',
    `${own.name} on ${space.host} is paused: its processes do not answer`,
    {
      evidence: [`The engine of ${space.host} says that ${own.name} is paused.`],
      mend: `docker unpause ${own.name}, on ${space.host}`,
    },
  );
}

/** The port is bound to the address that was asked, and the interface by which the packet came is another one. */
function boundElsewhere(listeners: readonly Listener[], iif: string | null): Listener | null {
  if (iif === null || listeners.length === 0) return null;
  return listeners.every(({ dev }) => dev !== null && dev !== iif) ? listeners[0]! : null;
}

const programOf = ({ program }: Listener): string => (program === '' ? 'the service' : program);

/** The service takes no more connections: those that wait to be accepted fill its queue (listen(2)). */
function queueFull(space: Space, listener: Listener): Finding | null {
  if (listener.proto !== 'tcp' || listener.waiting <= listener.room) return null;
  return finding(
    space,
    'queue-full',
    `${programOf(listener)} of ${space.label} listens on port ${listener.port} and does not accept: ${listener.waiting} connections wait for it, and its queue is full`,
    {
      evidence: [`The queue of the socket: ${listener.waiting} wait, ${listener.room} may.`],
      mend: `see why ${programOf(listener)} on ${space.label} hangs`,
    },
  );
}

/** All processes that could answer are stopped by a signal. */
export function stoppedProcess(c: Case, space: Space, packet: SeenPacket): Finding | null {
  const port = packet.dport ?? c.port;
  const own = space.listeners.find((one) => one.proto === c.proto && one.port === port && listensFor(one, packet.dst));
  if (!own || own.processes.length === 0 || !own.processes.every(({ state }) => state === 'T' || state === 't'))
    return null;
  const pids = own.processes.map(({ pid }) => pid);
  return finding(
    space,
    'process-stopped',
    `${programOf(own)} of ${space.label}, which listens on ${own.proto} port ${port}, is stopped (SIGSTOP) and answers nothing`,
    {
      evidence: [`The process ${pids.join(', ')} of ${space.label} is in the state T.`],
      mend: `kill -CONT ${pids.join(' ')}, on ${space.label}`,
    },
  );
}

function noListener(c: Case, space: Space, packet: SeenPacket, translated: boolean): Finding {
  const port = packet.dport ?? c.port;
  const proto = c.proto === 'udp' ? 'udp' : 'tcp';
  const same = space.listeners.filter((one) => one.port === port && one.proto === proto);
  const other = same[0];
  if (other)
    return finding(
      space,
      'listens-elsewhere',
      `${other.program === '' ? 'the service' : other.program} of ${space.label} listens on ${other.address} port ${port} only, not on ${packet.dst}`,
      {
        evidence: [`${space.label}: ${proto} ${other.address}:${port} ${other.program}.`],
        mend: `let it listen on ${packet.dst}, or on all addresses`,
      },
    );
  const swapped = space.listeners.find((one) => one.port === port && one.proto !== proto);
  const near = [
    ...new Set(
      space.listeners.filter((one) => one.proto === proto && listensFor(one, packet.dst)).map((one) => one.port),
    ),
  ].slice(0, 5);
  const evidence = [
    near.length === 0
      ? `No process of ${space.label} listens on any ${proto} port there.`
      : `${space.label} listens on ${proto} ${near.join(', ')}.`,
  ];
  const to = translated ? `${space.label} gets it at port ${port} after a translation, where` : `on ${space.label},`;
  return finding(
    space,
    swapped ? 'listens-elsewhere' : 'nobody-listens',
    swapped
      ? `${space.label} listens on ${swapped.proto} port ${port}, not on ${proto}`
      : `${to} nobody listens on ${proto} port ${port}${near.length > 0 && near.length < 4 ? ` (but on ${near.join(', ')})` : ''}`,
    { evidence, mend: `start the service on ${proto} port ${port} of ${space.label}, or ask the port that it has` },
  );
}

/** Why a namespace that has the destination address does not answer. `null` where nothing there stands against an answer. */
export function cannotDeliver(
  c: Case,
  space: Space,
  packet: SeenPacket,
  translated: boolean,
  iif: string | null = null,
): Finding | null {
  if (c.proto === 'icmp') {
    const six = packet.dst.includes(':');
    const knob = six ? 'ipv6/icmp/echo_ignore_all' : 'ipv4/icmp_echo_ignore_all';
    if (numberOf(space, knob) === 0) return null;
    const name = `net.${knob.replaceAll('/', '.')}`;
    return finding(space, 'sysctl-refuses', `${space.label} got it and does not answer pings: ${name} is 1`, {
      mend: `sysctl -w ${name}=0 on ${space.label}`,
    });
  }
  const port = packet.dport ?? c.port;
  const fitting = space.listeners.filter(
    (one) => one.proto === c.proto && one.port === port && listensFor(one, packet.dst),
  );
  const bound = boundElsewhere(fitting, iif);
  if (bound)
    return finding(
      space,
      'listens-elsewhere',
      `${programOf(bound)} of ${space.label} listens on port ${port} of interface ${bound.dev} only, and it came by ${iif}`,
      { mend: `let it listen without an interface (SO_BINDTODEVICE)` },
    );
  if (fitting[0]) return pausedThere(c, space) ?? queueFull(space, fitting[0]);
  return stoppedPublisher(c, space, port, c.proto) ?? noListener(c, space, packet, translated);
}

/** UDP: the service got the datagram, and nothing came back. What it made of it is not for the network to know. */
export function quietService(c: Case, space: Space, packet: SeenPacket): Finding | null {
  if (c.proto !== 'udp') return null;
  const port = packet.dport ?? c.port;
  const own = space.listeners.find((one) => one.proto === 'udp' && one.port === port && listensFor(one, packet.dst));
  if (!own) return null;
  const stopped = stoppedProcess(c, space, packet);
  if (stopped) return stopped;
  const who = own.program === '' ? 'a service' : own.program;
  return finding(
    space,
    null,
    `it came to ${space.label}, where ${who} listens on udp port ${port}, and ${who} sent no answer`,
  );
}

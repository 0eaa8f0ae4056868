import type { Case } from './follow.js';
import { finding } from './finding.js';
import type { Finding } from './finding.js';
import type { SeenPacket } from './frames.js';
import { numberOf } from './explain-route.js';
import type { EngineContainer, Listener, Space } from './world.js';

function listensFor(listener: Listener, address: string): boolean {
  const { address: own } = listener;
  if (own === '*' || own === '::') return true;
  if (own === '0.0.0.0') return !address.includes(':');
  return own === address || own === `::ffff:${address}`;
}

const ago = (time: string | null): string => {
  const ms = time === null ? NaN : Date.now() - Date.parse(time);
  return ms > 0 && ms < 3_600_000 ? `, ${Math.round(ms / 1000)} s ago` : '';
};

function stoppedWords({ name, status, exitCode, finishedAt }: EngineContainer, host: string): string {
  return status === 'exited'
    ? `${name} on ${host} is not running (exited with status ${exitCode ?? '?'}${ago(finishedAt)})`
    : `${name} on ${host} is not running (${status})`;
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
  if (one.status === 'paused')
    return finding(space, 'container-not-running', `${one.name} on ${space.host}, which publishes ${port}, is paused`, {
      mend: `docker unpause ${one.name}, on ${space.host}`,
    });
  return finding(
    space,
    'container-not-running',
    `${stoppedWords(one, space.host)}; it publishes ${port}, so nobody listens there`,
    { mend: `docker start ${one.name}, on ${space.host}` },
  );
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
export function cannotDeliver(c: Case, space: Space, packet: SeenPacket, translated: boolean): Finding | null {
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
  const listener = space.listeners.find(
    (one) => one.proto === c.proto && one.port === port && listensFor(one, packet.dst),
  );
  if (listener) return pausedThere(c, space);
  return stoppedPublisher(c, space, port, c.proto) ?? noListener(c, space, packet, translated);
}

/** UDP: the service got the datagram, and nothing came back. What it made of it is not for the network to know. */
export function quietService(c: Case, space: Space, packet: SeenPacket): Finding | null {
  if (c.proto !== 'udp') return null;
  const port = packet.dport ?? c.port;
  const own = space.listeners.find((one) => one.proto === 'udp' && one.port === port && listensFor(one, packet.dst));
  if (!own) return null;
  const who = own.program === '' ? 'a service' : own.program;
  return finding(
    space,
    null,
    `it came to ${space.label}, where ${who} listens on udp port ${port}, and ${who} sent no answer`,
  );
}

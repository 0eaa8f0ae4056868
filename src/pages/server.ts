import {
  routes,
  socketProtocol,
  ticketPrefix,
  type ApiProblem,
  type LiveMessage,
  type TicketRequest,
  type TicketView,
} from '../classroom/api.js';

/** What the server answers when it does not do what it was asked. `message` is complete, for people. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly problem: ApiProblem,
  ) {
    super(problem.message);
  }
}

const unreachable = 'The server does not answer. Your work is kept; this page tries again by itself.';

async function answered<Answer>(response: Response): Promise<Answer> {
  const body: unknown = await response.json().catch(() => null);
  if (response.ok) return body as Answer;
  const problem = body as ApiProblem | null;
  throw new Refusal(
    response.status,
    typeof problem?.message === 'string'
      ? problem
      : { code: 'failed', message: `The server answered ${response.status} ${response.statusText}.` },
  );
}

async function call(path: string, init?: RequestInit): Promise<Response> {
  try {
    return await fetch(path, init);
  } catch {
    throw new Refusal(0, { code: 'failed', message: unreachable });
  }
}

/** The path of a route of `api.ts`, with its parameters in it. */
export function pathOf(route: keyof typeof routes, parameters: Readonly<Record<string, string>> = {}): string {
  return routes[route].replace(/:([a-z]+)/g, (_, name: string) => encodeURIComponent(parameters[name] ?? ''));
}

/** @throws Refusal */
export async function ask<Answer>(path: string): Promise<Answer> {
  return answered(await call(path));
}

/** @throws Refusal */
export async function send<Answer>(path: string, body: object = {}): Promise<Answer> {
  return answered(
    await call(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-netrig': '1' },
      body: JSON.stringify(body),
    }),
  );
}

/** A socket that is this page's alone: its ticket holds once. @throws Refusal */
export async function openSocket(path: string, request: TicketRequest): Promise<WebSocket> {
  const { ticket } = await send<TicketView>(pathOf('ticket'), request);
  const url = new URL(path, location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  const socket = new WebSocket(url, [socketProtocol, ticketPrefix + ticket]);
  socket.binaryType = 'arraybuffer';
  return socket;
}

const firstPauseMs = 500;
const longestPauseMs = 8_000;

/** How long to wait before the nth try in a row, ms: longer each time, and not the same for a whole class. */
export function pauseBefore(attempt: number, random: () => number = Math.random): number {
  return Math.min(longestPauseMs, firstPauseMs * 2 ** attempt) * (0.5 + random() / 2);
}

export interface LiveEvents {
  message(message: LiveMessage): void;
  /** `false`: cut off, and trying again. */
  connected(connected: boolean): void;
  /** This person is not in any more. */
  out(): void;
  /** The class has ended: nothing is tried again. */
  over(): void;
}

/** Keeps the live socket open, whatever becomes of the network or the server. The answer ends that. */
export function followLive(events: LiveEvents): () => void {
  let ended = false;
  let socket: WebSocket | null = null;
  let attempt = 0;
  let timer = 0;
  const again = (): void => {
    if (ended) return;
    events.connected(false);
    timer = window.setTimeout(() => void open(), pauseBefore(attempt));
    attempt += 1;
  };
  const open = async (): Promise<void> => {
    try {
      socket = await openSocket(pathOf('live'), { for: 'live' });
    } catch (error) {
      if (error instanceof Refusal && error.problem.code === 'not-in') events.out();
      else again();
      return;
    }
    if (ended) return socket.close();
    socket.addEventListener('open', () => {
      attempt = 0;
      events.connected(true);
    });
    socket.addEventListener('message', ({ data }) => {
      const message = JSON.parse(String(data)) as LiveMessage;
      if (message.type !== 'bye') return events.message(message);
      if (!message.over) return;
      ended = true;
      events.over();
    });
    socket.addEventListener('close', again, { once: true });
  };
  void open();
  return () => {
    ended = true;
    window.clearTimeout(timer);
    socket?.close();
  };
}

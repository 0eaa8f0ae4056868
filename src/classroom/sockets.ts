import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { WebSocket } from 'ws';
import { z } from 'zod';
import { routes, ticketPrefix, type TicketView } from './api.js';
import { createHub, type Hub } from './hub.js';
import { Refusal } from './problem.js';
import { exerciseFor, studentOf, type Room } from './room.js';
import { whoAsks } from './routes.js';
import { createTickets, hashOf } from './secrets.js';
import type { Serving } from './server.js';
import type { PersonState } from './state.js';
import { workOf } from './state.js';
import { mayType } from './teacher.js';
import { joinShell, sayOver, type TerminalTicket } from './terminal-socket.js';
import { terminalsOf } from './work-view.js';

/** How long a ticket holds, s. */
const ticketSeconds = 30;
const mostTickets = 20_000;
/** Sockets of one person at once: tabs and terminals. */
const mostSockets = 60;
/** Between two pings, ms; who answers none is gone. */
const pingMs = 20_000;

/** For the other end to answer a good-bye, ms. */
const goodbyeMs = 300;

type Ticket = { for: 'live'; person: string } | TerminalTicket;

const zTicket = z.union([
  z.strictObject({ for: z.literal('live') }),
  z.strictObject({
    for: z.literal('terminal'),
    exercise: z.string().max(200),
    place: z.string().max(200),
    mode: z.enum(['type', 'look']),
    person: z.string().max(200).optional(),
  }),
]);

function terminalTicket(
  room: Room,
  who: PersonState,
  asked: Extract<z.output<typeof zTicket>, { for: 'terminal' }>,
): Ticket {
  const { exercise, place, mode } = asked;
  const whose = asked.person ?? who.id;
  if (whose !== who.id) {
    if (who.role !== 'teacher') throw new Refusal('not-allowed', 'That is another student’s lab.');
    studentOf(room, whose);
    if (mode === 'type' && !mayType(room, who.id, whose, exercise, place))
      throw new Refusal('not-allowed', 'Ask the student first; they have to say yes.');
  }
  const work = workOf(room.book.state, whose, exercise);
  if (work.lab === null) throw new Refusal('not-now', 'There is no lab with that terminal now.');
  const namespace = /^[a-z][a-z0-9-]*\/netns:[\w.-]{1,64}$/.test(place);
  if (!namespace && !terminalsOf(room, exerciseFor(room, exercise, whose), work).includes(place))
    throw new Refusal('not-found', 'The lab has no such terminal now.');
  return { for: 'terminal', person: who.id, whose, exercise, place, mode, lab: work.lab };
}

function offered(request: FastifyRequest): string {
  const protocols = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((one) => one.trim());
  return protocols.find((one) => one.startsWith(ticketPrefix))?.slice(ticketPrefix.length) ?? '';
}

/** Ends sockets whose other end went away without a word. */
function watchOver(socket: WebSocket): void {
  let answered = true;
  const timer = setInterval(() => {
    if (!answered) return socket.terminate();
    answered = false;
    socket.ping();
  }, pingMs);
  socket.on('pong', () => (answered = true));
  socket.on('close', () => clearInterval(timer));
  socket.on('error', () => socket.terminate());
}

/** The two kinds of sockets, and the tickets for them. Returns what says good-bye to all of them. */
export function addSockets(app: FastifyInstance, serving: Serving): (over: boolean) => void {
  const { room } = serving;
  const tickets = createTickets<Ticket>(ticketSeconds * 1000, mostTickets);
  const hub: Hub = createHub(room);
  /** With whose they are, and by which session they came. */
  const open = new Map<WebSocket, { person: string; session: string }>();
  const terminals = new WeakSet<WebSocket>();
  const admitted = new WeakMap<FastifyRequest, Ticket>();
  // Who is let in no more is cut off at once: a good-bye would be waited for.
  const cutOff = (which: (one: { person: string; session: string }) => boolean): void => {
    for (const [socket, one] of open) if (which(one)) socket.terminate();
  };
  room.book.onEvent((event) => {
    if (event.type === 'person:code') cutOff(({ person }) => person === event.person);
    else if (event.type === 'session:closed') cutOff(({ session }) => session === event.token);
  });

  app.post(routes.ticket, (request): TicketView => {
    const who = whoAsks(serving, request);
    const parsed = zTicket.safeParse(request.body);
    if (!parsed.success) throw new Refusal('not-valid', 'A ticket is for `live` or a `terminal`.');
    const asked = parsed.data;
    const bound: Ticket = asked.for === 'live' ? { for: 'live', person: who.id } : terminalTicket(room, who, asked);
    return { ticket: tickets.give(bound), holdsFor: ticketSeconds };
  });

  const admit = (kind: Ticket['for']) => async (request: FastifyRequest, _reply: FastifyReply) => {
    if (request.headers.upgrade === undefined) throw new Refusal('not-valid', 'This is the address of a socket.');
    const ticket = tickets.take(offered(request));
    // The ticket is for one person: with the cookie of another it is a stolen one.
    if (!ticket || ticket.for !== kind || ticket.person !== whoAsks(serving, request).id)
      throw new Refusal('not-in', 'The ticket is not good, or not any more; ask for another.');
    if ((room.online.get(ticket.person) ?? 0) >= mostSockets)
      throw new Refusal('too-many', 'Too many pages and terminals are open; close some.');
    admitted.set(request, ticket);
  };
  const begin = (socket: WebSocket, person: string, request: FastifyRequest): void => {
    const session = hashOf(request.cookies[serving.cookie.name] ?? '');
    // Between the answer to the upgrade and now, the session may have ended.
    if (!room.book.state.sessions.has(session)) return socket.terminate();
    open.set(socket, { person, session });
    watchOver(socket);
    room.online.set(person, (room.online.get(person) ?? 0) + 1);
    room.changed(person, null);
    socket.on('close', () => {
      open.delete(socket);
      room.online.set(person, (room.online.get(person) ?? 1) - 1);
      room.changed(person, null);
    });
  };

  app.get(routes.live, { websocket: true, preValidation: admit('live') }, (socket, request) => {
    const { person } = admitted.get(request)!;
    begin(socket, person, request);
    hub.join(socket, person);
  });
  app.get(routes.terminal, { websocket: true, preValidation: admit('terminal') }, (socket, request) => {
    const ticket = admitted.get(request) as TerminalTicket;
    begin(socket, ticket.person, request);
    terminals.add(socket);
    joinShell(room, socket, ticket, request.query as Record<string, string | undefined>);
  });
  return (over) => {
    hub.close(over);
    for (const socket of open.keys()) {
      if (over && terminals.has(socket)) sayOver(socket);
      socket.close(1001);
      setTimeout(() => socket.terminate(), goodbyeMs).unref();
    }
  };
}

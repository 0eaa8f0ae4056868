import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import cookie from '@fastify/cookie';
import helmet from '@fastify/helmet';
import rateLimit from '@fastify/rate-limit';
import files from '@fastify/static';
import websocket from '@fastify/websocket';
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { isNetrigError, messageOf, NetrigError } from '../errors.js';
import { routes, socketProtocol } from './api.js';
import { isLoopback, type ClassListen } from './class-file.js';
import type { GivenLink } from './links.js';
import { personOf } from './persons.js';
import { Refusal } from './problem.js';
import type { Room } from './room.js';
import { addRoutes } from './routes.js';
import { addSockets } from './sockets.js';

/** Where the build puts the pages. */
const pagesDirectory = fileURLToPath(new URL('../../src/pages/', import.meta.url));

/** The largest frame of a socket, and the largest body, bytes: a paste fits, a flood does not. */
const mostBytes = 64 * 1024;
/** Requests of one person, or of one address that is nobody’s yet, in a minute. */
const mostRequests = 600;

export interface ServerOptions {
  room: Room;
  listen: ClassListen;
  /** For the name of the cookie: cookies of one address are shared over its ports. */
  name: string;
  pages?: string;
  /** Gives a person a new link; left out where nobody has one by a roster. */
  newLink?: (person: string) => Promise<GivenLink>;
}

export interface ClassServer {
  /** How browsers reach it, without a slash at the end. */
  url: string;
  /** @param over The class has ended, not only its server: open pages say so, and try no more. */
  close(over?: boolean): Promise<void>;
}

/** What routes and sockets know of the server. */
export interface Serving {
  room: Room;
  cookie: { name: string; secure: boolean };
  newLink: ((person: string) => Promise<GivenLink>) | null;
}

function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** How browsers reach a server that listens there, without a slash at the end. */
export function addressOf(listen: ClassListen, port: number): string {
  return listen.url ?? `${listen.tls ? 'https' : 'http'}://${hostPort(listen.host, port)}`;
}

/** Origins that pages of this server have. */
function originsOf({ host, url, tls }: ClassListen, port: number): Set<string> {
  const scheme = tls ? 'https' : 'http';
  const own = [`${scheme}://${hostPort(host, port)}`];
  if (isLoopback(host)) own.push(`${scheme}://localhost:${port}`);
  if (url) own.push(new URL(url).origin);
  return new Set(own);
}

/** Where sockets begin; an upgrade anywhere else would hold a connection for nothing. */
const sockets: ReadonlySet<string> = new Set([routes.live, routes.terminal]);

/**
 * What no page of ours sends is refused before anything is done with it: names of other hosts (a name that was made to resolve
 * to this address), sockets and changes from pages of other origins, and what a form can send.
 */
function guard(origins: ReadonlySet<string>): (request: FastifyRequest) => Promise<void> {
  const hosts = new Set([...origins].map((origin) => new URL(origin).host));
  return async ({ headers, method, url }) => {
    if (!hosts.has(headers.host ?? ''))
      throw new Refusal('other-origin', 'This server does not answer under that name.');
    const { origin } = headers;
    const upgrade = headers.upgrade !== undefined;
    if (origin !== undefined || upgrade) {
      if (!origins.has(origin ?? '')) throw new Refusal('other-origin', 'Pages of other origins may not do this.');
    }
    if (upgrade && !sockets.has(url.split('?')[0]!))
      throw new Refusal('not-valid', 'This is not the address of a socket.');
    if (method !== 'GET' && method !== 'HEAD' && url.startsWith('/api/') && headers['x-netrig'] !== '1')
      throw new Refusal('other-origin', 'The header x-netrig is missing.');
  };
}

const notWritten =
  'The machine of the class cannot write anything down just now, so nothing of it was done. Tell your teacher, and try again.';

function answerProblem(error: unknown, reply: FastifyReply, warn: (text: string) => void): void {
  const { statusCode, message } = error as { statusCode?: number; message?: string };
  if (error instanceof Refusal) void reply.code(error.status).send({ code: error.code, message: error.message });
  else if (statusCode === 429)
    void reply.code(429).send({ code: 'too-many', message: 'Too many requests; wait a minute.', retryAfter: 60 });
  else if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    void reply.code(statusCode).send({ code: 'not-valid', message: message ?? 'The request is not valid.' });
  else if (isNetrigError(error, 'NETRIG_CLASS_RECORD')) {
    warn(`${error.message} ${error.hint}`);
    void reply.code(500).send({ code: 'failed', message: notWritten });
  } else {
    warn(messageOf(error));
    void reply.code(500).send({ code: 'failed', message: 'Something went wrong here; it was written down.' });
  }
}

function tlsOf(listen: ClassListen): { https?: { cert: Buffer; key: Buffer } } {
  if (!listen.tls) return {};
  try {
    return { https: { cert: readFileSync(listen.tls.certificate), key: readFileSync(listen.tls.key) } };
  } catch (error) {
    throw new NetrigError('NETRIG_CLASS_LISTEN', `The certificate or its key cannot be read: ${messageOf(error)}.`, {
      cause: error,
    });
  }
}

/** Loaded by pages of this server only, which run no script that stands in them. */
const contentPolicy = {
  useDefaults: false,
  directives: {
    defaultSrc: ["'none'"],
    scriptSrc: ["'self'"],
    styleSrc: ["'self'", "'unsafe-inline'"],
    imgSrc: ["'self'", 'data:'],
    fontSrc: ["'self'"],
    connectSrc: ["'self'"],
    baseUri: ["'none'"],
    formAction: ["'none'"],
    frameAncestors: ["'none'"],
  },
};

async function addPages(app: FastifyInstance, pages: string): Promise<void> {
  await app.register(files, { root: join(pages, 'assets'), prefix: '/assets/', index: false, dotfiles: 'deny' });
  const page = (file: string) => (_request: FastifyRequest, reply: FastifyReply) => reply.sendFile(file, pages);
  app.get('/', page('index.html'));
  app.get('/join', page('join.html'));
  app.get('/teacher', page('teacher.html'));
}

/**
 * Serves a class: its API, its sockets, its pages.
 *
 * @throws NETRIG_CLASS_LISTEN.
 */
export async function serveClass({ room, listen, name, pages, newLink }: ServerOptions): Promise<ClassServer> {
  const secure = listen.tls !== null || (listen.url?.startsWith('https:') ?? false);
  const serving: Serving = {
    room,
    cookie: { name: `${secure ? '__Host-' : ''}netrig-${name}`, secure },
    newLink: newLink ?? null,
  };
  const app = fastify({
    bodyLimit: mostBytes,
    // A connection that a browser keeps for its next request must not keep the server from ending.
    forceCloseConnections: true,
    // A proxy of this machine says who asks.
    trustProxy: listen.url !== null ? 'loopback' : false,
    ...(tlsOf(listen) as object),
  }) as unknown as FastifyInstance;
  let origins: Set<string> = new Set();
  app.setErrorHandler((error, _request, reply) => answerProblem(error, reply, (text) => room.warn(text)));
  app.setNotFoundHandler((_request, reply) => {
    void reply.code(404).send({ code: 'not-found', message: 'There is nothing at this address.' });
  });
  await app.register(helmet, { contentSecurityPolicy: contentPolicy, strictTransportSecurity: secure });
  await app.register(cookie);
  await app.register(rateLimit, {
    max: mostRequests,
    timeWindow: '1 minute',
    // A person who comes in again has no more of it.
    keyGenerator: (request) => personOf(room.book, request.cookies[serving.cookie.name])?.id ?? request.ip,
  });
  await app.register(websocket, {
    options: {
      maxPayload: mostBytes,
      handleProtocols: (offered: Set<string>) => (offered.has(socketProtocol) ? socketProtocol : false),
    },
  });
  // After the hook of the sockets' plugin: it closes the connection of an upgrade that is refused here.
  app.addHook('onRequest', (request) => guard(origins)(request));
  addRoutes(app, serving);
  const endSockets = addSockets(app, serving);
  await addPages(app, pages ?? pagesDirectory);
  try {
    await app.listen({ host: listen.host, port: listen.port });
  } catch (error) {
    await app.close();
    throw new NetrigError('NETRIG_CLASS_LISTEN', `${hostPort(listen.host, listen.port)}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  const bound = app.server.address();
  const port = typeof bound === 'object' && bound ? bound.port : listen.port;
  origins = originsOf(listen, port);
  return {
    url: addressOf(listen, port),
    async close(over = false) {
      endSockets(over);
      await app.close();
    },
  };
}

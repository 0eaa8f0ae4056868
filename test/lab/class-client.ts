import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket } from 'ws';
import type {
  ApiProblem,
  ExerciseView,
  LiveMessage,
  SessionView,
  TerminalFromServer,
  TicketRequest,
  TicketView,
  WorkView,
} from '../../src/classroom/api.js';
import { readCsv, writeCsv } from '../../src/classroom/csv.js';
import { netrig, root, type Started } from './netrig-command.js';

export interface TriedClass {
  file: string;
  /** Where it keeps everything. */
  directory: string;
  start(): Promise<Started & { url: string }>;
  /** Codes by the ids of persons, as last given out. */
  codes(): Map<string, string>;
  run(...args: string[]): ReturnType<typeof netrig>['ended'];
  remove(): void;
}

/** A class of its own on this machine, with its own state. `text` goes behind what every class has. */
export function tryClass(
  students: readonly string[],
  text: string,
  exercises: string,
  names: Readonly<Record<string, string>> = {},
): TriedClass {
  const base = mkdtempSync(join(tmpdir(), 'ntrc-'));
  const file = join(base, 'class.yaml');
  writeFileSync(
    join(base, 'roster.csv'),
    writeCsv([['id', 'name'], ...students.map((id) => [id, names[id] ?? `Student ${id}`])]),
  );
  writeFileSync(file, `class: tried\nroster: roster.csv\nserver: { listen: "127.0.0.1:0" }\n${exercises}\n${text}\n`);
  const env = { XDG_STATE_HOME: base };
  const directory = join(base, 'netrig', 'classes', 'tried');
  return {
    file,
    directory,
    async start() {
      const started = netrig(['class', 'start', file], { cwd: root, env });
      await started.saw(/Ctrl-C ends/);
      // That is said on standard error, the address on standard output: either may come first.
      await started.saw(/^http:\S+$/m);
      const url = /^http:\S+$/m.exec(started.output())![0];
      return { ...started, url };
    },
    codes() {
      const rows = readCsv(readFileSync(join(directory, 'links.csv'), 'utf8')).slice(1);
      return new Map(rows.map(({ cells }) => [cells[0]!, cells[4]!]));
    },
    run: (...args) => netrig(['class', ...args, file], { cwd: root, env }).ended,
    remove: () => rmSync(base, { recursive: true, force: true }),
  };
}

export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly problem: ApiProblem,
  ) {
    super(`${status} ${problem.code}: ${problem.message}`);
  }
}

/** One browser, as far as the server can tell. */
export class Client {
  cookie = '';

  constructor(
    readonly url: string,
    private readonly exercise = 'forward',
  ) {}

  async call<T>(
    method: 'GET' | 'POST',
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<T> {
    const response = await fetch(this.url + path, {
      method,
      headers: {
        cookie: this.cookie,
        ...(method === 'POST' ? { 'content-type': 'application/json', 'x-netrig': '1', origin: this.url } : {}),
        ...headers,
      },
      ...(method === 'POST' ? { body: JSON.stringify(body ?? {}) } : {}),
    });
    const set = response.headers.get('set-cookie');
    if (set) this.cookie = set.split(';')[0]!;
    const answer = (await response.json()) as T;
    if (!response.ok) throw new Refused(response.status, answer as ApiProblem);
    return answer;
  }

  async join(code: string): Promise<SessionView> {
    return this.call('POST', '/api/join', { code });
  }

  act(what: string, body: unknown = {}): Promise<WorkView> {
    return this.call('POST', `/api/exercises/${this.exercise}/${what}`, body);
  }

  work(): Promise<WorkView> {
    return this.call('GET', `/api/exercises/${this.exercise}/work`);
  }

  view(): Promise<ExerciseView> {
    return this.call('GET', `/api/exercises/${this.exercise}`);
  }

  /** Waits until the work is as wanted; fails with what it is instead. */
  async until(what: string, holds: (work: WorkView) => boolean, ms = 60_000): Promise<WorkView> {
    let work = await this.work();
    for (const end = Date.now() + ms; !holds(work); work = await this.work()) {
      if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}; ${JSON.stringify(work)}`);
      await delay(100);
    }
    return work;
  }

  /** Asks for a lab and waits for it. */
  async lab(): Promise<WorkView> {
    await this.act('lab', { do: 'start' });
    return this.until('a lab', ({ lab }) => lab.state === 'up');
  }

  async judged(what: 'check' | 'hand-in', body: unknown = {}): Promise<WorkView> {
    await this.act(what, body);
    return this.until('the end of the round', ({ round }) => round === null);
  }

  async ticket(request: TicketRequest): Promise<string> {
    return (await this.call<TicketView>('POST', '/api/ticket', request)).ticket;
  }

  /** Opens a socket as a page of this server does; rejects with the status where it is refused. */
  async socket(path: string, ticket: string, headers: Record<string, string> = {}): Promise<WebSocket> {
    const socket = new WebSocket(this.url.replace(/^http/, 'ws') + path, ['netrig.1', `ticket.${ticket}`], {
      headers: { cookie: this.cookie, ...headers },
      origin: headers['origin'] ?? this.url,
    });
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('unexpected-response', (_request, response) => reject(new Error(`status ${response.statusCode}`)));
      socket.once('error', reject);
    });
    return socket;
  }

  async terminal(place: string, options: TerminalOptions = {}): Promise<PageTerminal> {
    const { mode = 'type', person, query = 'cols=80&rows=24', grants = true } = options;
    const ticket = await this.ticket({
      for: 'terminal',
      exercise: this.exercise,
      place,
      mode,
      ...(person === undefined ? {} : { person }),
    });
    // Listening begins before the first frame can come.
    const socket = new WebSocket(
      `${this.url.replace(/^http/, 'ws')}/api/terminal?${query}`,
      ['netrig.1', `ticket.${ticket}`],
      {
        headers: { cookie: this.cookie },
        origin: this.url,
      },
    );
    const terminal = new PageTerminal(socket, grants);
    await once(socket, 'open');
    return terminal;
  }

  /** Collects what the live socket tells. */
  async live(): Promise<{ messages: LiveMessage[]; socket: WebSocket }> {
    const ticket = await this.ticket({ for: 'live' });
    const messages: LiveMessage[] = [];
    const socket = new WebSocket(`${this.url.replace(/^http/, 'ws')}/api/live`, ['netrig.1', `ticket.${ticket}`], {
      headers: { cookie: this.cookie },
      origin: this.url,
    });
    socket.on('message', (data: Buffer) => messages.push(JSON.parse(data.toString('utf8')) as LiveMessage));
    await once(socket, 'open');
    return { messages, socket };
  }
}

/** Of a program that writes for ever only the end is looked at. */
const mostKept = 64 * 1024;

export interface TerminalOptions {
  mode?: 'type' | 'look';
  person?: string;
  query?: string;
  /** `false`: a page that never says what is on its screen. */
  grants?: boolean;
}

/** A page’s end of a terminal: what it shows, and whether it ever met a gap or had a byte twice. */
export class PageTerminal {
  readonly told: TerminalFromServer[] = [];
  /** Output since the last screen, the end of it. */
  bytes = Buffer.alloc(0);
  /** The number of the next byte; `null` before the first screen or byte. */
  next: number | null = null;
  gaps = 0;
  screen = '';
  onBytes: ((bytes: Buffer) => void) | null = null;

  constructor(
    readonly socket: WebSocket,
    private readonly grants: boolean,
  ) {
    socket.on('message', (data: Buffer, binary: boolean) => {
      if (!binary) {
        this.take(JSON.parse(data.toString('utf8')) as TerminalFromServer);
        return;
      }
      const at = Number(data.readBigUInt64BE());
      const bytes = data.subarray(8);
      if (this.next !== null && at !== this.next) this.gaps += 1;
      this.next = at + bytes.length;
      if (this.onBytes) this.onBytes(bytes);
      else this.bytes = Buffer.concat([this.bytes, bytes]).subarray(-mostKept);
      if (this.grants) socket.send(JSON.stringify({ type: 'ack', at: this.next }));
    });
    socket.on('error', () => undefined);
  }

  private take(message: TerminalFromServer): void {
    this.told.push(message);
    if (message.type !== 'screen') return;
    this.screen = message.data;
    this.next = message.at;
    if (this.grants) this.socket.send(JSON.stringify({ type: 'ack', at: message.at }));
    this.bytes = Buffer.alloc(0);
  }

  get shell(): string {
    const open = this.told.find((one) => one.type === 'open');
    return open?.type === 'open' ? open.shell : '';
  }

  type(text: string): void {
    this.socket.send(Buffer.from(text));
  }

  /** What was seen so far, the screen first. */
  get text(): string {
    return this.screen + this.bytes.toString('utf8');
  }

  async saw(pattern: RegExp, ms = 20_000): Promise<void> {
    for (const end = Date.now() + ms; !pattern.test(this.text); await delay(20))
      if (Date.now() > end)
        throw new Error(`not seen within ${ms} ms: ${pattern}; but ${JSON.stringify(this.text.slice(-400))}`);
  }

  async close(): Promise<void> {
    if (this.socket.readyState === this.socket.CLOSED) return;
    this.socket.close();
    await once(this.socket, 'close');
  }
}

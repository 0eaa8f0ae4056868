import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { WebSocket } from 'ws';
import { attackProgram, linesOf } from './attacks.js';
import { Client, Refused, tryClass, type TriedClass } from './class-client.js';
import { missing } from './local-labs.js';
import { root, type Started } from './netrig-command.js';

const exercises = `exercises: [{ file: ${join(root, 'test/fixtures/class/forward.yaml')}, feedback: way }]`;
const limits = 'limits: { labs: 3, starting: 2, reserve: 0, memory: 600M, pids: 600 }';
const script = '<img src=x onerror=alert(1)>';

/** Memory of a process that is not shared with others, bytes. */
function residentOf(pid: number): number {
  const match = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
  return Number(match![1]) * 1024;
}

const MiB = 1024 * 1024;

(missing ? describe.skip : describe)(`A hostile student${missing ? ` (needs ${missing})` : ''}`, function () {
  this.timeout(240_000);
  let tried: TriedClass;
  let running: Started & { url: string };
  let ada: Client;
  let mallory: Client;
  let teacher: Client;

  before(async () => {
    tried = tryClass(['ada', 'mallory'], limits, exercises);
    running = await tried.start();
    const codes = tried.codes();
    [ada, mallory, teacher] = [new Client(running.url), new Client(running.url), new Client(running.url)];
    await ada.join(codes.get('ada')!);
    await mallory.join(codes.get('mallory')!);
    await teacher.join(codes.get('teacher-1')!);
    await Promise.all([ada.lab(), mallory.lab()]);
  });

  /** Ada’s work goes on as if nobody else were there. */
  async function adaIsWell(): Promise<void> {
    const terminal = await ada.terminal('left');
    terminal.type('echo well-$((20+3))\r');
    await terminal.saw(/well-23/);
    await terminal.close();
    expect((await ada.judged('check', { tasks: ['c07'] })).tasks.find(({ id }) => id === 'c07')!.verdict).to.equal(
      'pass',
    );
  }

  async function onHost(place: string, line: string): Promise<string> {
    const terminal = await mallory.terminal(place);
    terminal.type(`${line}; echo over-$((40+2))\r`);
    await terminal.saw(/over-42/, 60_000);
    const { text } = terminal;
    await terminal.close();
    return text;
  }

  after(async () => {
    const { status, stderr } = await tried.run('stop');
    expect(status, stderr).to.equal(0);
    tried.remove();
  });

  it('gains no mark by programs that lie', async () => {
    const lie =
      'for p in ping ip ss fping arping; do w=$(command -v $p) && printf "#\\041/bin/sh\\necho 2 received, 0%%%% loss\\nexit 0\\n" >$w; done';
    await onHost('left', lie);
    await onHost('right', lie);
    const red = await mallory.judged('check', { tasks: ['c03'] });
    expect(red.tasks[0]!.verdict).to.equal('fail');
    const handed = await mallory.judged('hand-in');
    expect(handed.handedIn!.counts!.points).to.equal(0);
  });

  it('reaches neither the server, nor the machine, nor another lab from a host', async () => {
    const port = new URL(running.url).port;
    const own = Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address));
    const addresses = [...new Set(['127.0.0.1', ...own])].filter((address) => !address.includes(':'));
    const tries = addresses.map(
      (address) => `(timeout 2 bash -c "</dev/tcp/${address}/${port}" 2>/dev/null && echo REACHED ${address})`,
    );
    const told = await onHost('left', `clear; ${tries.join('; ')}`);
    expect(told).not.to.match(/^REACHED/m);
    // That the line can say it: the host's own listener is reached.
    const control = await onHost(
      'router',
      `perl -MIO::Socket::INET -e '$s=IO::Socket::INET->new(Listen=>5,LocalPort=>${port}); sleep 4' & sleep 1; timeout 2 bash -c "</dev/tcp/127.0.0.1/${port}" && echo "REACH"ED itself`,
    );
    expect(control).to.match(/REACHED itself/);
  });

  it('gets nowhere as root of a host', async function () {
    if (process.arch !== 'x64') return this.skip();
    const program = Buffer.from(attackProgram('harmless')).toString('base64');
    const terminal = await mallory.terminal('router');
    for (const part of program.match(/.{1,2000}/g)!) terminal.type(`printf %s ${part} >>/root/attack; clear\r`);
    terminal.type(
      'base64 -d /root/attack >/root/attack.pl; perl /root/attack.pl >/root/told 2>&1; echo done-$((50+5))\r',
    );
    await terminal.saw(/done-55/, 120_000);
    await terminal.close();
    const told = await onHost(
      'router',
      'clear; grep -c " | refused: " /root/told; grep " | reached: " /root/told | cut -c1-200; echo counted',
    );
    const [, refused] = /(\d+)\s+(?:.*reached.*\s+)*counted/.exec(told) ?? [];
    expect(Number(refused), told).to.be.greaterThan(14);
    expect([...linesOf(told)].filter(([, seen]) => seen.startsWith('reached: '))).to.deep.equal([]);
    await adaIsWell();
  });

  it('fills no memory by a flood on a terminal, in either direction', async () => {
    const before = residentOf(running.child.pid!);
    const silent = await mallory.terminal('right', { grants: false });
    silent.type('yes\r');
    const typing = await mallory.terminal('left');
    let open = true;
    typing.socket.on('close', () => (open = false));
    const frame = Buffer.alloc(32 * 1024, 'x');
    for (let sent = 0; sent < 400 && open; sent += 1) {
      typing.socket.send(frame);
      if (sent % 50 === 0) await delay(20);
    }
    await adaIsWell();
    expect(residentOf(running.child.pid!) - before).to.be.below(150 * MiB);
    // What writes for ever waits; it is answered once it is stopped.
    const looking = await mallory.terminal('right');
    // Where much was skipped, a screen comes in its place, on which the sign of Ctrl-C need not be any more.
    looking.type('\u0003');
    await delay(1000);
    looking.type('echo calm-$((10+1))\r');
    // Neither the page that takes nothing nor what was typed at the other terminal holds this one up.
    await looking.saw(/calm-11/);
    typing.socket.terminate();
    silent.socket.terminate();
    await looking.close();
  });

  it('is cut off for frames that no page sends', async () => {
    const terminal = await mallory.terminal('router');
    const closed = new Promise<number>((resolve) => terminal.socket.once('close', resolve));
    terminal.socket.send(Buffer.alloc(200 * 1024));
    expect(await closed).to.equal(1009);
    const broken = await mallory.terminal('router');
    const ended = new Promise<number>((resolve) => broken.socket.once('close', resolve));
    broken.socket.send('{"type":');
    expect(await ended).to.equal(1007);
    const live = await mallory.live();
    const gone = new Promise<number>((resolve) => live.socket.once('close', resolve));
    live.socket.send('x');
    expect(await gone).to.equal(1008);
    await adaIsWell();
  });

  it('opens no socket where there is none to be had', async () => {
    for (const path of ['/api/session', '/', '/api/teacher', '/nothing']) {
      const socket = new WebSocket(`${running.url.replace(/^http/, 'ws')}${path}`, ['netrig.1'], {
        headers: { cookie: mallory.cookie },
        origin: running.url,
      });
      const answer = await new Promise<string>((resolve) => {
        socket.once('open', () => resolve('open'));
        socket.once('unexpected-response', (_request, response) => resolve(String(response.statusCode)));
        socket.once('error', ({ message }) => resolve(message));
      });
      socket.terminate();
      expect(answer, path).to.match(/^4\d\d$/);
    }
  });

  it('ends nothing by messages that are no objects', async () => {
    const terminal = await mallory.terminal('left');
    for (const text of ['null', '[]', '5', '"x"', '{"type":null}', '{"type":"size","cols":{},"rows":[]}'])
      terminal.socket.send(text);
    terminal.type('\recho still-$((40+2))\r');
    await terminal.saw(/still-42/);
    await terminal.close();
    await adaIsWell();
  });

  it('holds up nobody by sequences that ask a terminal for more than a screen holds', async () => {
    const costly = ['[2147483647S', '[2147483647T', '[2147483647L', '[2147483647M', '[2147483647b', '[2147483647I'];
    for (const sequence of costly) {
      await onHost('left', `printf 'A\\033${sequence}'`);
      await adaIsWell();
    }
    const flood = await mallory.terminal('left');
    flood.type("yes $(printf '\\033[24S') | tr -d '\\n' | head -c 20000000 &\r");
    await adaIsWell();
    await flood.close();
  });

  it('gets in with no ticket of others, twice with none, and with no forged origin', async () => {
    const status = (
      url: string,
      ticket: string,
      headers: Record<string, string>,
      origin: string | undefined,
    ): Promise<string> =>
      new Promise((resolve) => {
        const socket = new WebSocket(`${url.replace('http', 'ws')}/api/live`, ['netrig.1', `ticket.${ticket}`], {
          headers,
          ...(origin === undefined ? {} : { origin }),
        });
        socket.on('unexpected-response', (_request, response) => resolve(String(response.statusCode)));
        socket.on('open', () => {
          socket.terminate();
          resolve('open');
        });
        socket.on('error', () => undefined);
      });
    const { url, cookie } = mallory;
    const adas = await ada.ticket({ for: 'live' });
    expect(await status(url, adas, { cookie }, url)).to.equal('401');
    const own = await mallory.ticket({ for: 'live' });
    for (const origin of [
      'null',
      'http://evil.example',
      `${url}.evil.example`,
      url.replace('http:', 'https:'),
      undefined,
    ])
      expect(await status(url, own, { cookie }, origin), String(origin)).to.equal('403');
    expect(await status(url, own, { cookie }, url)).to.equal('open');
    expect(await status(url, own, { cookie }, url)).to.equal('401');
    expect(await status(url, 'nonsense', { cookie }, url)).to.equal('401');
    // A session that was left is over, whoever has its cookie.
    const second = new Client(url);
    await second.join(tried.codes().get('mallory')!);
    const stolen = second.cookie;
    await second.call('POST', '/api/leave');
    Object.assign(second, { cookie: stolen });
    expect(await second.call('GET', '/api/session').catch((error: Error) => error.message)).to.match(/^401/);
  });

  it('puts no markup into a page, by no name and no output', async () => {
    await mallory.act('help', { wanted: true, note: `${script}\u001b]52;c;eA==\u0007\u202e` });
    const table = JSON.stringify(await teacher.call('GET', '/api/teacher'));
    // Text stays text; what a terminal or a reader’s eye would obey is taken away.
    expect(table).to.include('<img src=x');
    expect(table).not.to.match(/\\u001b|\\u202e|\u202e/i);
    const html = JSON.stringify(await mallory.view());
    expect(html).not.to.match(/<img|<script/);
    const answer = await fetch(`${running.url}/api/session`, { headers: { cookie: mallory.cookie } });
    expect(answer.headers.get('content-type')).to.match(/^application\/json/);
    expect(answer.headers.get('x-content-type-options')).to.equal('nosniff');
    expect(answer.headers.get('content-security-policy')).to.match(/default-src 'none';script-src 'self';/);
  });

  // The last one: for a minute there is nothing more to be had.
  it('keeps nobody from coming in by wrong codes from the address of all', async () => {
    const guesser = new Client(running.url);
    const answers = new Set<number>();
    for (let guess = 0; guess < 300; guess += 1)
      await guesser.join(`AAAA-${guess}`).catch((error: unknown) => answers.add((error as Refused).status));
    expect([...answers]).to.deep.equal([401]);
    await new Client(running.url).join(tried.codes().get('ada')!);
  });

  it('is stopped at a flood of requests, and nobody else is', async () => {
    const { hostname, port } = new URL(running.url);
    const statuses = new Map<number, number>();
    const { Agent } = await import('node:http');
    const agent = new Agent({ keepAlive: true, maxSockets: 20 });
    const one = (): Promise<void> =>
      new Promise((resolve) => {
        const asked = request(
          { hostname, port, path: '/api/session', agent, headers: { cookie: mallory.cookie } },
          (response) => {
            statuses.set(response.statusCode!, (statuses.get(response.statusCode!) ?? 0) + 1);
            response.resume();
            response.on('end', resolve);
          },
        );
        asked.on('error', () => resolve());
        asked.end();
      });
    // Fifty times what is allowed in a minute.
    let left = 30_000;
    const flood = Promise.all(
      Array.from({ length: 20 }, async () => {
        while ((left -= 1) >= 0) await one();
      }),
    );
    await adaIsWell();
    await flood;
    agent.destroy();
    expect(statuses.get(429)).to.be.greaterThan(27_000);
    expect(statuses.get(200) ?? 0).to.be.at.most(3000);
    await adaIsWell();
  });
});

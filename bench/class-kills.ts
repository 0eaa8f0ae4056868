import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ClassView } from '../src/classroom/api.js';
import { parseRecord } from '../src/classroom/record.js';
import { Client, tryClass, type PageTerminal, type TriedClass } from '../test/lab/class-client.js';
import type { Started } from '../test/lab/netrig-command.js';
import type { Bench, BenchContext, Result } from './measure.js';

const exercise = join(import.meta.dirname, '..', '..', 'test', 'fixtures', 'class', 'forward.yaml');
const students = ['writes', 'tries', 'resets'];

interface Lost {
  records: number;
  labs: number;
  bytes: number;
  doubled: number;
}

/** A terminal that counts upwards, followed over all breaks. */
class Counting {
  terminal: PageTerminal | null = null;
  private rest = '';
  private shell = '';
  private next = 0;
  last = 0;
  lost = 0;
  doubled = 0;

  /** Goes on where the last page was; the first time, it starts to count. */
  async join(client: Client): Promise<void> {
    const query = this.shell === '' ? 'cols=80&rows=24' : `from=${this.next}&shell=${this.shell}`;
    const terminal = await client.terminal('left', { query });
    terminal.onBytes = (bytes) => this.take(bytes);
    // What came with the answer that opened the socket.
    this.take(terminal.bytes);
    this.terminal = terminal;
    for (let tries = 0; tries < 400 && terminal.shell === ''; tries += 1) await delay(10);
    if (this.shell === '')
      terminal.type('stty -echo; PS1=; i=0; while :; do i=$((i+1)); echo "=$i="; sleep 0.02; done\r');
    else if (terminal.shell !== this.shell || terminal.told.some(({ type }) => type === 'screen')) this.lost += 1;
    this.shell = terminal.shell;
  }

  leave(): void {
    this.next = this.terminal?.next ?? this.next;
    this.lost += this.terminal?.gaps ?? 0;
    this.terminal = null;
  }

  private take(bytes: Buffer): void {
    const lines = (this.rest + bytes.toString('latin1')).split('\n');
    this.rest = lines.pop()!;
    for (const line of lines) {
      const number = Number(/=(\d+)=/.exec(line)?.[1] ?? NaN);
      if (Number.isNaN(number)) continue;
      if (number <= this.last) this.doubled += 1;
      else if (number > this.last + 1) this.lost += number - this.last - 1;
      this.last = Math.max(this.last, number);
    }
  }
}

/** What goes on while the process is killed: notes that are acknowledged one by one, rounds of checks, labs begun anew. */
class Bustle {
  acknowledged = 0;
  private stopped = false;
  private readonly done: Promise<unknown>;

  constructor(writes: Client, tries: Client, resets: Client, from: number) {
    this.acknowledged = from;
    this.done = Promise.all([
      this.loop(async () => {
        await writes.act('help', { wanted: true, note: `note ${this.acknowledged + 1}` });
        this.acknowledged += 1;
      }),
      this.loop(() => tries.act('check', { tasks: ['c07'] })),
      this.loop(async () => {
        await delay(400);
        await resets.act('lab', { do: 'reset' });
      }),
    ]);
  }

  private async loop(act: () => Promise<unknown>): Promise<void> {
    while (!this.stopped) {
      await act().catch(() => undefined);
      await delay(30);
    }
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.done;
  }
}

/** Notes that the record has, and that were acknowledged and are not in it. */
function lostRecords(directory: string, acknowledged: number): number {
  const path = join(directory, 'record.jsonl');
  const text = readFileSync(path, 'utf8');
  const events = parseRecord(text.slice(0, text.lastIndexOf('\n') + 1), path);
  const notes = new Set(events.flatMap((event) => (event.type === 'help:asked' ? [event.note] : [])));
  return Array.from({ length: acknowledged }, (_, index) => `note ${index + 1}`).filter((note) => !notes.has(note))
    .length;
}

async function kill(
  tried: TriedClass,
  running: Started & { url: string },
  all: readonly Client[],
): Promise<Started & { url: string }> {
  running.child.kill('SIGKILL');
  await running.ended;
  const again = await tried.start();
  for (const client of all) Object.assign(client, { url: again.url });
  return again;
}

async function campaign(rounds: number, context: BenchContext): Promise<Result[]> {
  const tried = tryClass(
    students,
    'limits: { labs: 6, starting: 1, reserve: 0 }',
    `exercises: [{ file: ${exercise} }]`,
  );
  const lost: Lost = { records: 0, labs: 0, bytes: 0, doubled: 0 };
  const back: number[] = [];
  const all: number[] = [];
  try {
    let running = await tried.start();
    const codes = tried.codes();
    const clients = students.map(() => new Client(running.url));
    const teacher = new Client(running.url);
    await teacher.join(codes.get('teacher-1')!);
    for (const [index, student] of students.entries()) await clients[index]!.join(codes.get(student)!);
    await Promise.all(clients.map((client) => client.lab()));
    const [writes, tries, resets] = clients as [Client, Client, Client];
    const counting = new Counting();
    let acknowledged = 0;
    for (let round = 1; round <= rounds && !context.signal.aborted; round += 1) {
      await counting.join(writes);
      const bustle = new Bustle(writes, tries, resets, acknowledged);
      await delay(randomInt(50, 1500));
      const killed = performance.now();
      const again = kill(tried, running, [...clients, teacher]);
      await bustle.stop();
      running = await again;
      const from = performance.now();
      counting.leave();
      // The note that was on its way is either in the record or was never acknowledged.
      acknowledged = bustle.acknowledged;
      const table = await teacher.call<ClassView>('GET', '/api/teacher');
      back.push(performance.now() - from);
      all.push(performance.now() - killed);
      lost.records += lostRecords(tried.directory, acknowledged);
      for (const name of ['writes', 'tries'])
        if (table.students.find(({ person }) => person.id === name)!.work[0]!.lab !== 'up') lost.labs += 1;
      if (round % 10 === 0) context.note(`${round} kills, ${acknowledged} notes, ${counting.last} lines`);
    }
    await counting.join(writes);
    await delay(1000);
    counting.leave();
    lost.bytes = counting.lost;
    lost.doubled = counting.doubled;
    await resets.until('the last lab', ({ lab }) => lab.state === 'up');
    running.child.kill('SIGTERM');
    await running.ended;
    const figure = (title: string, value: number[], unit: 'ms' | '' = '', atMost: number | null = 0): Result => ({
      kind: 'figure',
      title,
      unit,
      values: value,
      atMost,
    });
    return [
      figure(`acknowledged notes that are not in the record, over ${rounds} kills`, [lost.records]),
      figure('labs that were lost', [lost.labs]),
      figure('lines of a terminal that were lost', [lost.bytes]),
      figure('lines of a terminal that came twice', [lost.doubled]),
      figure('from the address of the new process to the right table of the teacher', back, 'ms', 5000),
      figure('from the kill to the right table, with the start of the process by hand', all, 'ms', null),
      figure('lines that the terminal came to', [counting.last], '', null),
    ];
  } finally {
    await tried.run('stop');
    tried.remove();
  }
}

export const classKillsBench: Bench = {
  name: 'class-kills',
  what: 'a class whose process is killed (kill -9) at 50 moments while it is busy: records, labs and bytes that are lost',
  onlyNamed: true,
  run: (context) => campaign(context.quick ? 5 : 50, context),
};

import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client, tryClass, type PageTerminal } from '../test/lab/class-client.js';
import type { Bench, BenchContext, Figure, Result } from './measure.js';

const exercise = join(import.meta.dirname, '..', '..', 'test', 'fixtures', 'class', 'forward.yaml');
const prompt = 'READY> ';
/** For anything that is measured, ms. */
const longestMs = 60_000;

/** CSI sequences of ECMA-48: a screen ends with some that set the cursor and its colours. */
function plain(text: string): string {
  return text.replace(/\u001b\[[0-9;?]*[A-Za-z]/g, '');
}

/** ms until what the page shows is as wanted, looked at with each frame that comes. */
function until(terminal: PageTerminal, holds: (text: string) => boolean): Promise<number> {
  const from = performance.now();
  return new Promise((resolve, reject) => {
    const end = (): void => {
      clearTimeout(timer);
      terminal.socket.off('message', look);
    };
    const look = (): void => {
      if (!holds(plain(terminal.text))) return;
      end();
      resolve(performance.now() - from);
    };
    const timer = setTimeout(() => {
      end();
      reject(new Error(`not within ${longestMs} ms; the page ends with ${JSON.stringify(terminal.text.slice(-200))}`));
    }, longestMs);
    terminal.socket.on('message', look);
    look();
  });
}

async function atPrompt(client: Client, place: string): Promise<PageTerminal> {
  const terminal = await client.terminal(place);
  await until(terminal, (text) => /[#$] $/.test(text));
  terminal.type(`PS1='${prompt}'\r`);
  await until(terminal, (text) => /\n\r?READY> $/.test(text));
  return terminal;
}

/** A program that writes without a pause is stopped by Ctrl-C: ms until the prompt is there. */
async function interrupted(terminal: PageTerminal): Promise<number> {
  terminal.type('yes\r');
  await until(terminal, (text) => text.endsWith('y\r\ny\r\n'));
  await delay(1500);
  const back = until(terminal, (text) => text.endsWith(prompt));
  terminal.type('\u0003');
  return back;
}

/** ms from a line that is typed to what it prints. */
async function answered(terminal: PageTerminal, round: number): Promise<number> {
  const back = until(terminal, (text) => text.includes(`=${round}=`));
  terminal.type(`echo =$((${round}))=\r`);
  const ms = await back;
  await delay(100);
  return ms;
}

async function repeated(rounds: number, context: BenchContext, one: (round: number) => Promise<number>) {
  const values: number[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    context.signal.throwIfAborted();
    values.push(await one(round));
  }
  return values;
}

interface Counted {
  lost: number;
  doubled: number;
  lines: number;
}

/** A program that counts, and a page that is loaded anew so often: what it shows must have each number once. */
async function reloads(client: Client, times: number, context: BenchContext): Promise<Counted> {
  const counted: Counted = { lost: 0, doubled: 0, lines: 0 };
  let last = 0;
  const count = (text: string, onScreen: boolean): void => {
    for (const [, digits] of text.matchAll(/=(\d+)=/g)) {
      const number = Number(digits);
      if (number === last + 1) last = number;
      // A screen also has lines that were seen before; what comes after it must not.
      else if (number > last) [counted.lost, last] = [counted.lost + number - last - 1, number];
      else if (!onScreen) counted.doubled += 1;
    }
  };
  for (let time = 0; time <= times; time += 1) {
    context.signal.throwIfAborted();
    const terminal = await client.terminal('left');
    let [rest, drawn] = ['', false];
    const onScreen = (): void => {
      if (drawn || !terminal.told.some(({ type }) => type === 'screen')) return;
      drawn = true;
      count(plain(terminal.screen), true);
      // A line that the screen has a part of goes on in the output.
      rest = /=?\d*$/.exec(plain(terminal.screen))![0];
    };
    const take = (bytes: Buffer): void => {
      onScreen();
      const lines = (rest + bytes.toString('latin1')).split('\n');
      rest = lines.pop()!;
      count(lines.join('\n'), false);
    };
    terminal.onBytes = take;
    // On a busy machine the first of them come with the socket.
    if (terminal.bytes.length > 0) take(terminal.bytes);
    await until(terminal, () => terminal.told.some(({ type }) => type === 'screen'));
    onScreen();
    if (time === 0) terminal.type('stty -echo; PS1=; i=0; while :; do i=$((i+1)); echo "=$i="; sleep 0.002; done\r');
    await delay(time === 0 ? 1000 : 30 + (time % 7) * 20);
    terminal.socket.terminate();
    counted.lost += terminal.gaps;
  }
  counted.lines = last;
  return counted;
}

const figure = (title: string, values: number[], unit: 'ms' | '', atMost: number | null): Figure => ({
  kind: 'figure',
  title,
  unit,
  values,
  atMost,
});

async function measured(rounds: number, times: number, context: BenchContext): Promise<Result[]> {
  const tried = tryClass(
    ['ada', 'mallory'],
    'limits: { labs: 3, starting: 2, reserve: 0 }',
    `exercises: [{ file: ${exercise} }]`,
  );
  try {
    const running = await tried.start();
    const codes = tried.codes();
    const [ada, mallory] = [new Client(running.url), new Client(running.url)];
    await ada.join(codes.get('ada')!);
    await mallory.join(codes.get('mallory')!);
    await Promise.all([ada.lab(), mallory.lab()]);
    const own = await atPrompt(ada, 'router');
    const calm = await repeated(rounds, context, (round) => answered(own, round));
    const alone = await repeated(rounds, context, () => interrupted(own));
    context.note('now another student floods three terminals, one of which takes nothing');
    const floods = [
      await mallory.terminal('left'),
      await mallory.terminal('router'),
      await mallory.terminal('right', { grants: false }),
    ];
    for (const flood of floods) flood.type('yes\r');
    await delay(2000);
    const beside = await repeated(rounds, context, (round) => answered(own, 1000 + round));
    const amid = await repeated(rounds, context, () => interrupted(own));
    for (const flood of floods) flood.socket.terminate();
    context.note('now a page that is loaded anew');
    const counted = await reloads(ada, times, context);
    running.child.kill('SIGTERM');
    await running.ended;
    return [
      figure('from Ctrl-C in `yes` to the prompt', alone, 'ms', 200),
      figure('the same while three terminals of another student write `y` without a pause', amid, 'ms', null),
      figure('from a line typed to its answer', calm, 'ms', null),
      figure('the same beside the three', beside, 'ms', null),
      figure(`lines that were lost over ${times} reloads of a page`, [counted.lost], '', 0),
      figure('lines that came twice', [counted.doubled], '', 0),
      figure('lines that the terminal came to', [counted.lines], '', null),
    ];
  } finally {
    await tried.run('stop');
    tried.remove();
  }
}

export const classTerminalsBench: Bench = {
  name: 'class-terminals',
  what: 'terminals of a class: how soon Ctrl-C ends a flood, alone and beside others, and what 100 reloads lose',
  onlyNamed: true,
  run: (context) => (context.quick ? measured(3, 10, context) : measured(15, 100, context)),
};

import { expect } from 'chai';
import { join } from 'node:path';
import { Client, tryClass } from './class-client.js';
import { root } from './netrig-command.js';

const exercise = join(root, 'test', 'fixtures', 'class', 'forward.yaml');

/** What an open page of a student, and one of a teacher, were told last when their server ended. */
async function toldAtTheEnd(end: 'stop' | 'signal'): Promise<unknown[]> {
  const tried = tryClass(['ada'], 'limits: { labs: 1, reserve: 0 }', `exercises: [{ file: ${exercise} }]`);
  try {
    const running = await tried.start();
    const codes = tried.codes();
    const pages = [];
    for (const person of ['ada', 'teacher-1']) {
      const client = new Client(running.url);
      await client.join(codes.get(person)!);
      pages.push(await client.live());
    }
    const closed = pages.map(({ socket }) => new Promise((resolve) => socket.once('close', resolve)));
    if (end === 'stop') await tried.run('stop');
    else running.child.kill('SIGTERM');
    await running.ended;
    await Promise.all(closed);
    return pages.map(({ messages }) => messages.at(-1));
  } finally {
    await tried.run('stop');
    tried.remove();
  }
}

describe('The end of a class', function () {
  this.timeout(120_000);

  it('is told to open pages where the class ends for good', async () => {
    expect(await toldAtTheEnd('stop')).to.deep.equal([
      { type: 'bye', over: true },
      { type: 'bye', over: true },
    ]);
  });

  it('is not where only its server ends: pages come again', async () => {
    expect(await toldAtTheEnd('signal')).to.deep.equal([
      { type: 'bye', over: false },
      { type: 'bye', over: false },
    ]);
  });
});

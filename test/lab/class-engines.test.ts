import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { Client, tryClass, type TriedClass } from './class-client.js';
import { missing } from './local-labs.js';
import { netrig, root } from './netrig-command.js';

const exercises = `exercises: [{ file: ${join(root, 'test/fixtures/class/engines.yaml')} }]`;
const limits = 'limits: { labs: 2, starting: 1, reserve: 0 }';

(missing ? describe.skip : describe)(
  `Containers of a student’s lab${missing ? ` (needs ${missing})` : ''}`,
  function () {
    this.timeout(180_000);
    let tried: TriedClass;
    let ada: Client;

    before(async () => {
      tried = tryClass(['ada'], limits, exercises);
      const { url } = await tried.start();
      ada = new Client(url, 'engines');
      await ada.join(tried.codes().get('ada')!);
      await ada.lab();
    });

    after(async () => {
      const { status, stderr } = await tried.run('stop');
      expect(status, stderr).to.equal(0);
      tried.remove();
    });

    /**
     * What runs on a host to hear what the engine says: a shell, and while there is an engine its curl. Whoever looks at the
     * containers for a moment is not among it.
     */
    async function listeners(): Promise<number> {
      const line = "pgrep -fc 'http://[d]ocker/events' || true";
      const ended = await netrig(['exec', 'client', '--', 'sh', '-c', line], {
        cwd: root,
        env: { XDG_STATE_HOME: dirname(tried.file) },
      }).ended;
      return Number(ended.stdout.trim());
    }

    it('come and go on the page as the engine says so, and nothing asks it once the page is gone', async () => {
      expect(await listeners()).to.equal(0);
      const { socket } = await ada.live();
      const terminal = await ada.terminal('client');
      terminal.type('docker run -d --name shop --network none busybox sleep 1000\r');
      const shown = await ada.until('the container', ({ containers }) =>
        containers.some(({ name }) => name === 'shop'),
      );
      expect(shown.containers.find(({ name }) => name === 'shop')).to.include({ host: 'client', image: 'busybox' });
      expect(await listeners()).to.be.within(1, 2);
      terminal.type('docker rename shop store\r');
      await ada.until('its new name', ({ containers }) => containers.some(({ name }) => name === 'store'));
      terminal.type('docker rm -f store\r');
      await ada.until('its end', ({ containers }) => containers.length === 0);
      terminal.type('systemctl restart docker; docker run -d --name again --network none busybox sleep 1000\r');
      await ada.until('the engine that began again', ({ containers }) =>
        containers.some(({ name, state }) => name === 'again' && state === 'running'),
      );
      await terminal.close();
      socket.terminate();
      let left = await listeners();
      for (let tries = 0; tries < 100 && left > 0; tries += 1) {
        await delay(200);
        left = await listeners();
      }
      expect(left).to.equal(0);
    });
  },
);

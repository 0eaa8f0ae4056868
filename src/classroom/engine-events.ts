import { setTimeout as delay } from 'node:timers/promises';
import { engineRuns, runningEngineEvents } from '../places/engine.js';
import type { LabSession } from '../session/session.js';

/** What changes which containers there are, and where. Health checks and what is executed in containers are not among it. */
const filters = JSON.stringify({
  type: ['container', 'network'],
  event: ['create', 'start', 'die', 'destroy', 'rename', 'pause', 'unpause', 'connect', 'disconnect'],
});

/** Of one stream of events, s. */
const longestStreamS = 300;

// The engine's own stream of events through curl: nothing runs while nothing happens. An engine that nobody has used yet is not
// started for it. An empty line comes when the stream begins, and when it ended, be it with its engine or because its time was
// over: writing it ends a listener whose connection was lost, and that nobody could tell to end.
const script = `while :; do
  if ${engineRuns}; then
    echo
    ${runningEngineEvents(filters, longestStreamS)}
    echo
  fi
  sleep 4
done`;

/** For a connection to a host, ms. */
const connectMs = 10_000;
/** Events that come together are one, ms; and between two looks at one engine: what is said meanwhile waits in the host. */
const togetherMs = 100;
const betweenMs = 1000;

/**
 * Calls `look` whenever an engine of the lab began or ended, or its containers changed, until `signal`; or until a host can be heard
 * no more. Never rejects.
 */
export async function followEngine(
  open: LabSession,
  host: string,
  signal: AbortSignal,
  look: () => Promise<void>,
): Promise<void> {
  const changed = async (): Promise<void> => {
    await delay(togetherMs);
    if (signal.aborted) return;
    await look();
    await delay(betweenMs);
  };
  try {
    const connection = await open.connection(host, AbortSignal.any([signal, AbortSignal.timeout(connectMs)]));
    await connection.spawn(script, { signal, keepBytes: 1024, onOutput: changed }).done;
  } catch {
    // A host that is about to go, or to begin again, has nothing to show.
  }
}

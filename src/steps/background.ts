import { formatDuration } from '../model/duration.js';
import { quoteArg } from '../ssh/quote.js';
import type { BackgroundProcess } from './kind.js';
import { lastWords } from './on-hosts.js';

const directory = '/var/log/netrig';

/** Paths on a host for one background process; no two processes of a lab share one. */
export function pathsFor(number: number): { log: string; ended: string } {
  const base = `${directory}/${number}-${process.hrtime.bigint().toString(36)}`;
  return { log: `${base}.log`, ended: `${base}.ended` };
}

/** A shell function that puts ms into `ms`: by what every Linux has, for the `date` of busybox knows seconds alone. */
export const hostClock = 'now() { read -r up idle </proc/uptime; ms=${up%.*}${up#*.}0; }';

/** Starts a command line in a session of its own, so that it outlives the SSH channel and one signal reaches all of it; prints its process group. */
export function launchScript(command: string, log: string, ended: string): string {
  const around = `${hostClock}
now; s=$ms; sh -c "$1"; c=$?; now; echo $c $((ms - s)) >"$2"`;
  return [
    `mkdir -p ${directory}`,
    `setsid sh -c ${quoteArg(around)} sh ${quoteArg(command)} ${quoteArg(ended)} >${quoteArg(log)} 2>&1 </dev/null & echo $!`,
  ].join('\n');
}

/** How a process ended: its exit status and how long it had run. `null`: killed together with the shell that would have said so. */
export type Ending = { status: number; afterMs: number } | null;

/** Reads what `launchScript` wrote at the end: `3 1250`. */
export function parseEnding(text: string): Ending {
  const match = /^(\d{1,3}) (\d{1,15})\s*$/.exec(text);
  return match ? { status: Number(match[1]), afterMs: Number(match[2]) } : null;
}

/** "with exit status 3 after 1.3 s", "by signal 15 after 1.3 s". A shell says 128 + n of a command that signal n killed (POSIX). */
export function howEnded(ending: Ending): string {
  if (ending === null) return 'killed with the shell around it, so that its exit status is not known';
  const how =
    ending.status > 128
      ? `by signal ${ending.status - 128} (status ${ending.status})`
      : `with exit status ${ending.status}`;
  return `${how} after ${formatDuration(ending.afterMs)}`;
}

/** Prints one line, `alive` or `ended` with what is known of the end, then the last bytes of the log. */
export function lookScript(one: BackgroundProcess, logBytes: number): string {
  return [
    `kill -0 -- -${one.pgid} 2>/dev/null && echo alive || echo ended "$(cat ${quoteArg(one.ended)} 2>/dev/null)"`,
    `tail -c ${logBytes} ${quoteArg(one.log)}`,
  ].join('; ');
}

/** What `lookScript` printed: `null` for a process that is there, else the sentence that says how it ended. `log`: where its log begins. */
export function readLook(one: BackgroundProcess, stdout: string): { ended: string | null; log: number } {
  const cut = stdout.indexOf('\n');
  const [state, ...rest] = stdout.slice(0, cut).split(' ');
  const log = Buffer.byteLength(stdout.slice(0, cut + 1));
  if (state === 'alive') return { ended: null, log };
  const words = lastWords(stdout.slice(cut + 1));
  const said = words === '' ? ' It said nothing.' : ` Its last words: ${words}`;
  return {
    ended: `On ${one.host} the background process ended before its lab did, ${howEnded(parseEnding(rest.join(' ')))}: ${one.command.trim()}.${said}`,
    log,
  };
}

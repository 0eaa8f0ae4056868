import { hostProcBeside } from '../model/beside.js';
import { quoteArgv } from '../ssh/quote.js';

/*
 * The ways to a host's Docker engine. systemd listens at its socket for it (docker.socket): whoever only connects there starts an
 * engine that a step has stopped, or that a host has on demand, and with it docker0, rules and forwarding. So there are two ways:
 * for what the check itself names (a container, a network, the engine), which may start it, and for all that is asked on the side, which goes
 * to an engine that runs and to no other.
 */

const socket = '/var/run/docker.sock';
/** The same from beside; /var/run is an absolute link on a host, which would lead elsewhere there. */
const socketBeside = `${hostProcBeside}/1/root/run/docker.sock`;

/** Where dockerd writes its pid, unless it is told otherwise. */
const enginePidFile = '/run/docker.pid';

/** The socket of the engine that a check names something of. Connecting to it starts the engine. */
export const namedEngineSocket = (fromBeside: boolean): string => (fromBeside ? socketBeside : socket);

/** Asks the engine by curl, `path` of its API, for something that a check names. Starts the engine where it does not run. */
export function namedEngineArgv(path: string, fromBeside: boolean): string[] {
  return curl(namedEngineSocket(fromBeside), path, 20);
}

function curl(at: string, path: string, maxTimeS: number): string[] {
  const options = ['-sS', '--noproxy', '*', '--max-time', String(maxTimeS)];
  return ['curl', ...options, '--unix-socket', at, `http://docker${path}`];
}

/**
 * A shell command that holds where the host's engine runs: the file of its pid names a process that is a dockerd. One that was killed leaves
 * the file, and its pid to others. Uses the variables `p` and `c`.
 */
export const engineRuns = `{ p= c=; read -r p <${enginePidFile}; read -r c <"/proc/$p/comm"; [ "$c" = dockerd ]; } 2>/dev/null`;

/** Stands between several answers: no JSON text holds a line that begins so. */
export const betweenAnswers = '\u001e';

/**
 * A shell command that asks the host's engine, if it runs, `paths` of its API; their answers are printed with `betweenAnswers` between
 * them. An engine that does not run is not started: the command ends with 9 then.
 */
export function runningEngineAnswers(paths: readonly string[], maxTimeS = 10): string {
  const asked = paths.map((path) => quoteArgv(curl(socket, path, maxTimeS))).join(`; printf '\\036'; `);
  return `( ${engineRuns} || exit 9; ${asked} )`;
}

/** A shell command that prints what the host's engine, if it runs, says from now on (`GET /events`), for at most `maxTimeS`. */
export function runningEngineEvents(filters: string, maxTimeS: number): string {
  const options = ['--silent', '--no-buffer', '--max-time', String(maxTimeS), '--unix-socket', socket];
  const query = ['--get', '--data-urlencode', `filters=${filters}`, 'http://docker/events'];
  return `( ${engineRuns} || exit 9; exec ${quoteArgv(['curl', ...options, ...query])} )`;
}

/** The same condition in Perl, of the pid `$p` and its name `$comm`; and the command that asks what was found to run so. */
export const engineRunsPerl = `($comm eq 'dockerd' and slurp('${enginePidFile}') =~ /^\\s*(\\d+)\\s*$/ and $1 == $p)`;
export const runningEngineCurl = `curl -s --noproxy "*" --max-time 3 --unix-socket ${socket}`;

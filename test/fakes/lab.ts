import { parseCidr } from '../../src/model/cidr.js';
import type { Outcome } from '../../src/model/verdict.js';
import type { CheckKind } from '../../src/checks/kind.js';
import type { ProbeContext, ProbeHost } from '../../src/places/context.js';
import type { ExecOptions, ExecResult, RemoteProcess } from '../../src/ssh/ssh.js';
import { keepOutput } from '../../src/ssh/kept-output.js';
import { quoteArgv } from '../../src/ssh/quote.js';
import { answerByWorld } from './world-answers.js';
import { commandOf, composedScript, entered } from './shell.js';
import type { ComposedPart } from './shell.js';
import { makeWorld } from './world.js';
import type { FakePlace, FakeWorld, World } from './world.js';

/** One thing that a tool is asked in the fake lab. */
export interface Asked {
  /** Where it runs: `a`, `a/web`, `a/netns:blue`. */
  at: string;
  place: FakePlace;
  /** `ping`, `fping`, `perl` (the connect probe), `ip`, `curl`, `arping`, … */
  tool: string;
  argv: string[];
  /** For ping, fping, arping and the connect probe the address asked; for the connect probe the port, too. */
  address: string | null;
  port: number | null;
  /** The part of a composed script; `null` for a command by itself. */
  part: string | null;
  stdin: string;
  /** How long `timeout` lets it run. */
  limitMs?: number;
}

export type Said = string | { stdout?: string; stderr?: string; exitCode?: number | null; timedOut?: boolean };

/**
 * One row: what a tool says. All that is left out matches anything; the first row that matches answers. A row for `fping` or
 * `perl` answers for each target by itself (`10.0.0.2 is alive (0.05 ms)`; `open 0.4`, `silent`, `error remote ECONNREFUSED`).
 */
export interface Row {
  at?: string;
  tool: string | readonly string[];
  /** The address asked; of a tool that asks none, any word of the argv. */
  about?: string;
  port?: number;
  when?: (asked: Asked) => boolean;
  says: Said | ((asked: Asked) => Said);
}

export interface FakeLab {
  context: ProbeContext;
  world: World;
  /** All that was asked, in order. */
  asked: Asked[];
  /** One attempt of a check over this lab. Throws what the kind's schema does. */
  check<Spec>(kind: CheckKind<Spec>, spec: unknown): Promise<Outcome>;
}

export interface FakeOptions extends FakeWorld {
  /** What tools say that is not what the world is like. */
  said?: readonly Row[];
  /** Files of hosts, by `host:path`. */
  files?: Record<string, string>;
  /** A process that goes on; without it, none can be started. */
  spawns?: (host: string, argv: readonly string[], options: ExecOptions) => RemoteProcess;
  /** ms left for the attempt; default 30,000. */
  timeLeftMs?: number | (() => number);
}

/** What a stream of this text leaves of itself, as the connection to a host keeps it. */
function kept(text: string, keepBytes = 1 << 20): { text: string; raw: Buffer; bytes: number } {
  const output = keepOutput(keepBytes);
  output.add(Buffer.from(text));
  return { text: output.text(), raw: output.bytes(), bytes: output.total };
}

function result(host: string, command: string, said: Said, keepBytes?: number): ExecResult {
  const full = typeof said === 'string' ? { stdout: said } : said;
  const { exitCode = 0, timedOut = false } = full;
  const stdout = kept(full.stdout ?? '', keepBytes);
  const stderr = kept(full.stderr ?? '', keepBytes);
  return {
    host,
    command,
    exitCode: timedOut ? null : exitCode,
    timedOut,
    aborted: false,
    durationMs: 5,
    stdout: stdout.text,
    stderr: stderr.text,
    stdoutRaw: stdout.raw,
    stdoutBytes: stdout.bytes,
    stderrBytes: stderr.bytes,
  };
}

const matches = (row: Row, asked: Asked): boolean =>
  (row.at === undefined || row.at === asked.at) &&
  [row.tool].flat().includes(asked.tool) &&
  (row.about === undefined ||
    (asked.address === null ? asked.argv.includes(row.about) : row.about === asked.address)) &&
  (row.port === undefined || row.port === asked.port) &&
  (row.when?.(asked) ?? true);

class Machine {
  readonly asked: Asked[] = [];
  constructor(
    readonly world: World,
    readonly rows: readonly Row[],
  ) {}

  place(host: string, where: ReturnType<typeof entered>['where']): FakePlace {
    const label =
      where === null
        ? host
        : 'path' in where
          ? `${host}/netns:${where.path.split('/').at(-1)!}`
          : `${host}/${Object.keys(this.world.hosts[host]?.containers ?? {})[where.pid - 1000]}`;
    const found = this.world.places.find((one) => one.label === label);
    if (!found) throw new Error(`the fake lab has no place ${label}`);
    return found;
  }

  /** Rows first, then what the world is like. */
  ask(asked: Asked): Said {
    this.asked.push(asked);
    const row = this.rows.find((one) => matches(one, asked));
    if (row) return typeof row.says === 'function' ? row.says(asked) : row.says;
    const said = answerByWorld(this.world, asked);
    if (said === null)
      throw new Error(`no row of the fake lab says what ${asked.at} answers to: ${quoteArgv(asked.argv)}`);
    return said;
  }

  /** Tools that take many targets are answered for each by itself. */
  run(base: Omit<Asked, 'address' | 'port' | 'tool'>): Said {
    const { argv } = base;
    const tool = argv[0]!;
    if (tool === 'timeout') {
      const limit = argv.findIndex((word, at) => at > 0 && /^\d+(\.\d+)?$/.test(word));
      return this.run({ ...base, argv: argv.slice(limit + 1), limitMs: Number(argv[limit]) * 1000 });
    }
    if (tool === 'ip' && argv.includes('-batch')) {
      const own = base.stdin
        .split('\n')
        .map((line) => this.run({ ...base, argv: ['ip', ...line.split(' ')], stdin: '' }));
      const of = (one: Said): Exclude<Said, string> => (typeof one === 'string' ? { stdout: one } : one);
      const broken = own.find((one) => of(one).timedOut);
      return (
        broken ?? {
          stdout: own.map((one) => `${(of(one).stdout ?? '').trimEnd()}\n`).join(''),
          stderr: own.map((one) => of(one).stderr ?? '').join(''),
          exitCode: own.some((one) => (of(one).exitCode ?? 0) !== 0) ? 1 : 0,
        }
      );
    }
    if (tool === 'fping') {
      const targets = argv.filter((word) => parseCidr(`${word}/32`) !== null || word.includes(':'));
      const said = targets.map((address) => this.ask({ ...base, tool, address, port: null }));
      const odd = said.find((one) => typeof one !== 'string');
      return odd ?? { stdout: `${said.join('\n')}\n`, exitCode: 0 };
    }
    if (tool === 'perl' && ['tcp', 'talk', 'framed', 'udp'].includes(argv[2]!)) {
      const targets = argv.slice(6);
      const lines: string[] = [];
      for (let at = 0; at * 3 < targets.length; at += 1) {
        const own = targets.slice(at * 3, at * 3 + 3);
        const said = this.ask({
          ...base,
          argv: [...argv.slice(0, 6), ...own],
          tool,
          address: own[0]!,
          port: Number(own[1]),
        });
        if (typeof said !== 'string') return said;
        lines.push(`${at} ${said}`);
      }
      return `${[...lines, 'done'].join('\n')}\n`;
    }
    // netrig's own listener to ICMP runs curl: what is asked is a request.
    if (tool === 'perl' && argv[5] === 'curl')
      return this.ask({ ...base, argv: argv.slice(5), tool: 'curl', address: argv[3]!, port: Number(argv[4]) });
    const last = argv.at(-1)!;
    const address = ['ping', 'arping'].includes(tool) ? last : null;
    return this.ask({ ...base, tool, address, port: null });
  }

  part(
    place: FakePlace,
    part: ComposedPart,
    prelude: string,
    stdin: string,
  ): { output: string; exitCode: number } | null {
    const base = { at: place.label, place, part: part.name, stdin };
    const said = part.shell.includes('"$j"')
      ? this.run({ ...base, argv: commandOf(/j=\$\((curl [^\n]*?) 2>\/dev\/null\)/.exec(prelude)?.[1] ?? '') })
      : this.inner(place, part.shell, base);
    const full = typeof said === 'string' ? { stdout: said } : said;
    if (full.timedOut) return null;
    const merged = part.apart ? (full.stdout ?? '') : `${full.stdout ?? ''}${full.stderr ?? ''}`;
    return { output: merged, exitCode: full.exitCode ?? 0 };
  }

  inner(outer: FakePlace, shell: string, base: Omit<Asked, 'address' | 'port' | 'tool' | 'argv'>): Said {
    // A command that reads lines, and whose errors come after all that it says.
    const reads = /^\{ e=\$\((.*) 2>&1 >&3 <<'\.'\n([\s\S]*)\n\.\n\)/.exec(shell);
    if (reads) return this.inner(outer, reads[1]!, { ...base, stdin: reads[2]! });
    // What is asked on the side of an engine that runs; those of this lab do.
    const ofRunning = /^\( \{ p= c=;.*? \|\| exit 9; (.*) \)$/.exec(shell);
    if (ofRunning) return this.inner(outer, ofRunning[1]!, base);
    const words = commandOf(shell);
    const pipe = words.indexOf('|');
    // What stands before the pipe is `printf` of the lines that the tool behind it reads.
    const stdin = pipe < 0 ? base.stdin : words.slice(2, pipe).join('\n');
    const { where, argv } = entered(pipe < 0 ? words : words.slice(pipe + 1));
    const place = where === null ? outer : this.place(outer.host, where);
    const at = { ...base, stdin, place, at: place.label };
    if (argv[0] === 'sh') return this.inner(place, argv[2]!, at);
    return this.run({ ...at, argv });
  }

  exec(host: string, command: string | readonly string[], options: ExecOptions = {}): ExecResult {
    const text = typeof command === 'string' ? command : quoteArgv(command);
    const stdin = String(options.stdin ?? '');
    const outer = typeof command === 'string' && composedScript(command) ? null : entered(commandOf(text));
    const place = this.place(host, outer?.where ?? null);
    const shell = outer?.argv[0] === 'sh' ? outer.argv[2]! : text;
    const script = composedScript(shell);
    if (!script) {
      const said = this.inner(place, outer?.where ? quoteArgv(outer.argv) : shell, {
        at: place.label,
        place,
        part: null,
        stdin,
      });
      return result(host, text, said, options.keepBytes);
    }
    let stdout = '';
    for (const part of script.parts) {
      const answer = this.part(place, part, script.prelude, stdin);
      if (answer === null) return result(host, text, { stdout, timedOut: true });
      stdout += `${answer.output}\n${script.mark} ${part.name} ${answer.exitCode}\n`;
    }
    return result(host, text, stdout, options.keepBytes);
  }
}

/**
 * A lab without hosts: a `ProbeContext` whose `exec` answers as the world says (addresses, routes, neighbours, engines), or as a
 * row says. What nobody answers is thrown, so that no check is judged by an answer that was not written down. A check kind's
 * whole way from what the tools said to its verdict runs over it.
 */
export function fakeLab(options: FakeOptions): FakeLab {
  const world = makeWorld(options);
  const machine = new Machine(world, options.said ?? []);
  const host = (name: string): ProbeHost => {
    const plan = world.plan.hosts.find((one) => one.name === name);
    if (!plan) throw new Error(`the fake lab has no host ${name}`);
    return {
      name,
      plan,
      exec: async (command, execOptions) => {
        const answer = machine.exec(name, command, execOptions);
        await execOptions?.onOutput?.('stdout', answer.stdoutRaw);
        return answer;
      },
      spawn: (command, spawnOptions = {}) => {
        if (!options.spawns) throw new Error('the fake lab starts no processes');
        return options.spawns(name, typeof command === 'string' ? [command] : command, spawnOptions);
      },
      writeFile: async () => undefined,
      putTree: async () => undefined,
      readFile: async (path) => {
        const text = options.files?.[`${name}:${path}`];
        if (text === undefined) throw new Error(`the fake lab has no file ${path} on ${name}`);
        return Buffer.from(text);
      },
    };
  };
  const left = options.timeLeftMs ?? 30_000;
  const context: ProbeContext = {
    plan: world.plan,
    host,
    signal: new AbortController().signal,
    timeLeftMs: typeof left === 'function' ? left : () => left,
    attach: async (title, name, mime) => ({ title, file: name, mime }),
  };
  return {
    context,
    world,
    asked: machine.asked,
    check: (kind, spec) => kind.run(kind.schema.parse(spec), context),
  };
}

import { Command, InvalidArgumentError, Option } from 'commander';
import { parseDuration } from '../model/duration.js';
import { parseShard, type Shard } from './shard.js';

function wholeNumber(least: number) {
  return (text: string): number => {
    if (!/^\d+$/.test(text) || Number(text) < least)
      throw new InvalidArgumentError(`It takes a whole number from ${least} up.`);
    return Number(text);
  };
}

function portNumber(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) < 1 || Number(text) > 65_535)
    throw new InvalidArgumentError('It takes a port number from 1 to 65535.');
  return Number(text);
}

function ipVersion(text: string): number {
  if (text !== '4' && text !== '6') throw new InvalidArgumentError('It takes 4 or 6.');
  return Number(text);
}

function collect(text: string, before: string[]): string[] {
  return [...before, ...text.split(',').filter((part) => part !== '')];
}

function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms === null) throw new InvalidArgumentError('It takes a duration such as 30s or 2m.');
  return ms;
}

function pattern(text: string): string {
  try {
    new RegExp(text);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : 'It is no regular expression.');
  }
  return text;
}

/** `image=debian-12,debian-13` */
function matrixValues(text: string, before: Record<string, string[]>): Record<string, string[]> {
  const match = /^([A-Za-z][\w-]*)=(.+)$/.exec(text);
  if (!match) throw new InvalidArgumentError('It takes a name with values, such as image=debian-12,debian-13.');
  return { ...before, [match[1]!]: [...(before[match[1]!] ?? []), ...match[2]!.split(',')] };
}

function shard(text: string): Shard {
  const parsed = parseShard(text);
  if (!parsed) throw new InvalidArgumentError('It takes a part and how many there are: 2/3 is the second of three.');
  return parsed;
}

export interface RunFlags {
  provider?: string;
  inventory?: string;
  yes?: boolean;
  isolation: string;
  checkOnly?: boolean;
  matrix: Record<string, string[]>;
  grep?: string;
  tag: string[];
  shard?: Shard;
  jobs?: number;
  bail?: boolean;
  keepOnFail?: boolean;
  retries: number;
  json?: boolean;
  reporter?: string;
  reports: string;
  allure?: boolean;
  /** `false` by --no-allure-report, which was needed when the page was made of every run. */
  allureReport: boolean;
}

export interface CoverageFlags {
  scenarios: string;
  reports: string;
  json?: boolean;
}

export interface CompareFlags {
  reports: string;
  last?: boolean;
  html?: string;
  markdown?: string;
  heading?: string;
  json?: boolean;
}

export interface MutateFlags {
  provider?: string;
  matrix: Record<string, string[]>;
  limit?: number;
  untilNoticed?: number;
  sample?: string;
  jobs?: number;
  bail?: boolean;
  json?: boolean;
  write?: string;
  reports?: string;
}

export interface LabFlags {
  lab?: string;
  timeout?: number;
  stdin?: boolean;
}

export interface TraceFlags {
  lab?: string;
  tcp?: number;
  udp?: number;
  dns?: string;
  fromPort?: number;
  family?: number;
  json?: boolean;
  pcap?: string;
}

export interface WatchFlags extends TraceFlags {
  count?: number;
}

export interface CaptureFlags {
  lab?: string;
  interface?: string;
  filter?: string;
}

export interface Handlers {
  run(paths: string[], flags: RunFlags): Promise<number>;
  up(
    file: string,
    flags: {
      provider?: string;
      inventory?: string;
      yes?: boolean;
      scenario?: string;
      steps: boolean;
      isolation: string;
    },
  ): Promise<number>;
  check(flags: { lab?: string; grep?: string; json?: boolean; reports: string }): Promise<number>;
  exec(endpoint: string, command: string[], flags: LabFlags): Promise<number>;
  ssh(host: string, flags: LabFlags): Promise<number>;
  trace(from: string, to: string, flags: TraceFlags): Promise<number>;
  watch(from: string, to: string, flags: WatchFlags): Promise<number>;
  capture(where: string, flags: CaptureFlags): Promise<number>;
  ps(flags: { json?: boolean }): Promise<number>;
  down(labs: string[], flags: { all?: boolean }): Promise<number>;
  gc(flags: { inventory?: string; json?: boolean }): Promise<number>;
  validate(paths: string[], flags: { json?: boolean }): Promise<number>;
  migrate(paths: string[], flags: { write?: boolean; check?: boolean }): Promise<number>;
  imagesList(flags: { json?: boolean }): Promise<number>;
  imagesBuild(names: string[], flags: { force?: boolean }): Promise<number>;
  imagesRemove(names: string[], flags: { all?: boolean }): Promise<number>;
  doctor(flags: { json?: boolean; provider?: string; inventory?: string }): Promise<number>;
  report(run: string | undefined, flags: { reports: string; format: string[]; json?: boolean }): Promise<number>;
  coverage(runs: string[], flags: CoverageFlags): Promise<number>;
  compare(runs: string[], flags: CompareFlags): Promise<number>;
  mutate(paths: string[], flags: MutateFlags): Promise<number>;
  init(where: string, flags: { force?: boolean }): Promise<number>;
}

/**
 * The whole command line: the one definition from which parsing, `--help` and `docs/cli.md` come. Each handler gives the exit
 * status.
 */
export function buildProgram(version: string, handlers: Handlers, setStatus: (status: number) => void): Command {
  const does =
    <Arguments extends unknown[]>(handler: (...values: Arguments) => Promise<number>) =>
    async (...values: unknown[]): Promise<void> =>
      // Commander appends itself after the declared arguments and flags.
      setStatus(await handler(...(values.slice(0, -1) as Arguments)));

  const program = new Command('netrig')
    .description(
      'Brings up a network lab of real hosts from one YAML scenario, applies its steps, proves what is reachable, and says why when it is not.',
    )
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand(false)
    .enablePositionalOptions()
    .showSuggestionAfterError()
    .configureHelp({ sortSubcommands: false })
    .addHelpText(
      'after',
      `
Exit status: 0 all passed (skipped checks are named), 1 something failed or could not be known,
2 wrong usage or scenario, 3 the lab or its provider broke, 130 interrupted.

Start with:  netrig init && netrig run`,
    );

  const provider = () => new Option('-p, --provider <name>', 'where hosts come from, over what the scenario asks for');
  const inventory = () =>
    new Option('-i, --inventory <file>', 'machines that exist already, for the provider ssh (see docs/ssh.md)');
  const isolation = () =>
    new Option(
      '--isolation <mode>',
      'how hosts of the local provider are kept from this machine: users (root in a host is an unprivileged user here), none (it is root here), auto (users where this machine can; for files from outside the working directory always)',
    )
      .choices(['auto', 'users', 'none'])
      .default('auto');
  const yes = () => new Option('-y, --yes', 'agree to changes on machines that exist already');
  const reports = () => new Option('--reports <dir>', 'where runs write').default('reports');
  const lab = () =>
    new Option('-l, --lab <id>', 'which lab; the beginning of its id is enough (default: the only one that is up)');
  const json = (what: string) => new Option('--json', `print ${what} as JSON`);

  program
    .command('run')
    .summary('bring labs up, run their steps and checks, write reports, take the labs down')
    .description(
      'Runs scenarios: brings each lab up, applies its steps, makes its checks, writes reports to reports/<run>/ and takes the lab down.',
    )
    .argument('[paths...]', 'scenario files or directories with some', ['scenarios'])
    .addOption(provider())
    .addOption(inventory())
    .addOption(isolation())
    .addOption(yes())
    .addOption(
      new Option(
        '--check-only',
        'apply no steps and change nothing: only make the checks that look and probe, on machines that exist already',
      ),
    )
    .addOption(
      new Option(
        '-g, --grep <pattern>',
        'only steps and checks whose title (scenario: title check title) matches; steps that a check needs are run all the same',
      ).argParser(pattern),
    )
    .addOption(
      new Option('-t, --tag <tags>', 'only scenarios with one of these tags (comma-separated, repeatable)')
        .argParser(collect)
        .default([], 'all'),
    )
    .addOption(
      new Option(
        '-m, --matrix <name=values>',
        'only these values of a scenario’s matrix (comma-separated, repeatable); `image` also sets the image of hosts that leave theirs open',
      )
        .argParser(matrixValues)
        .default({}, 'all'),
    )
    .addOption(
      new Option(
        '--shard <part/parts>',
        'only this part of the scenario files, such as 2/3, to spread a set over several machines; each file is in exactly one part',
      ).argParser(shard),
    )
    .addOption(
      new Option('-j, --jobs <n>', 'scenario files at once (default: one per processor, at most 4)').argParser(
        wholeNumber(1),
      ),
    )
    .addOption(new Option('-b, --bail', 'stop at the first check that does not pass'))
    .addOption(
      new Option('-k, --keep-on-fail', 'leave a lab up when something in it did not pass; `netrig down` ends it'),
    )
    .addOption(
      new Option(
        '-r, --retries <n>',
        'run a scenario again on fresh hosts when it did not pass; one that then passes is marked as flaky',
      )
        .argParser(wholeNumber(0))
        .default(0),
    )
    .addOption(json('the results'))
    .addOption(
      new Option('--reporter <name>', 'a Mocha reporter instead of the live console (spec, dot, json, tap, …)'),
    )
    .addOption(reports())
    .addOption(
      new Option(
        '--allure',
        'make an Allure page, too, once the results have been told; it takes Java and half a minute (in CI, where the variable CI is set, the results for Allure are written all the same)',
      ),
    )
    .addOption(new Option('--no-allure-report', 'over --allure: not the Allure page').hideHelp())
    .action(does(handlers.run));

  program
    .command('validate')
    .summary('check scenario files without starting anything')
    .description(
      'Reads scenario files and says everything that is wrong in them, with file, line and column. Starts nothing.',
    )
    .argument('[paths...]', 'scenario files or directories with some', ['scenarios'])
    .addOption(json('the findings'))
    .action(does(handlers.validate));

  program
    .command('migrate')
    .summary('rewrite scenario files of the former language')
    .description(
      'Says what of scenario files is of the former language, line by line, and with --write rewrites it. Comments, order and everything else stay as they are. docs/migrating.md has the whole table.',
    )
    .argument('<paths...>', 'scenario files or directories with some')
    .option('-w, --write', 'rewrite the files')
    .option('--check', 'end with 1 where something is of the former language, and write nothing')
    .action(does(handlers.migrate));

  program
    .command('up')
    .summary('bring a lab up and leave it up')
    .description(
      'Brings up the lab of a scenario, applies its steps, and returns while the lab stays. Prints the lab’s id.',
    )
    .argument('<file>', 'scenario file')
    .addOption(provider())
    .addOption(inventory())
    .addOption(isolation())
    .addOption(yes())
    .addOption(
      new Option(
        '-s, --scenario <id>',
        'which one, where a matrix makes several of the file: `ports[image=debian-12]`',
      ),
    )
    .addOption(new Option('--no-steps', 'hosts and segments only: apply none of the steps'))
    .action(does(handlers.up));

  program
    .command('check')
    .summary('make the checks of a lab that is up')
    .description(
      'Makes the checks of the scenario that a lab was brought up from, against the lab as it is now. Writes reports; the lab stays.',
    )
    .addOption(lab())
    .addOption(new Option('-g, --grep <pattern>', 'only checks whose title matches').argParser(pattern))
    .addOption(json('the results'))
    .addOption(reports())
    .action(does(handlers.check));

  program
    .command('exec')
    .summary('run a command on a host or in a container of a lab')
    .description(
      'Runs a command on a host (HOST) or in a container (HOST/CONTAINER) of a lab that is up, and ends with its exit status.',
    )
    .argument('<endpoint>', 'host, or host/container')
    .argument('<command...>', 'command with its arguments, after --')
    .addOption(lab())
    .addOption(new Option('-i, --stdin', 'pass standard input on to the command'))
    .addOption(new Option('--timeout <duration>', 'end the command after this long').argParser(duration))
    .passThroughOptions()
    .action(does(handlers.exec));

  program
    .command('ssh')
    .summary('open a shell on a host or in a container of a lab')
    .description('Opens an interactive shell on a host (HOST) or in a container (HOST/CONTAINER) of a lab that is up.')
    .argument('<endpoint>', 'host, or host/container')
    .addOption(lab())
    .action(does(handlers.ssh));

  program
    .command('trace')
    .summary('follow one packet through a lab that is up, hop by hop')
    .description(
      'Sends one packet (an echo request, where nothing else is said) and follows it through all hosts of a lab that is up: interfaces, the rules that it meets, translations, tunnels, and the way of the answer. Where it is stopped, it says by what, and how to mend it. Ends with 1 when there was no answer.',
    )
    .argument('<from>', 'where it starts: host, host/container or host/netns:name')
    .argument('<to>', 'where it goes: one of those, an address, or a name')
    .addOption(lab())
    .addOption(new Option('--tcp <port>', 'a TCP connection attempt to that port').argParser(portNumber))
    .addOption(new Option('--udp <port>', 'a UDP datagram to that port').argParser(portNumber))
    .addOption(new Option('--dns <name>', 'a question for the address of that name, to port 53'))
    .addOption(new Option('--from-port <n>', 'the source port; any, where left out').argParser(portNumber))
    .addOption(new Option('--family <4|6>', 'IP version for hosts and names; 4 by default').argParser(ipVersion))
    .addOption(json('it'))
    .addOption(
      new Option(
        '--pcap <file>',
        'write what was captured of it as one pcapng file; its interfaces are named HOST:INTERFACE',
      ),
    )
    .action(does(handlers.trace));

  program
    .command('watch')
    .summary('tell the way of a packet whenever it changes, while one works in the lab')
    .description(
      'Sends a packet every second and tells its way, and why it is stopped, whenever that changes. Ctrl-C ends it.',
    )
    .argument('<from>', 'where it starts: host, host/container or host/netns:name')
    .argument('<to>', 'where it goes: one of those, an address, or a name')
    .addOption(lab())
    .addOption(new Option('--tcp <port>', 'TCP connection attempts to that port').argParser(portNumber))
    .addOption(new Option('--udp <port>', 'UDP datagrams to that port').argParser(portNumber))
    .addOption(new Option('--dns <name>', 'questions for the address of that name, to port 53'))
    .addOption(new Option('--family <4|6>', 'IP version for hosts and names; 4 by default').argParser(ipVersion))
    .addOption(new Option('-n, --count <n>', 'end after so many packets').argParser(wholeNumber(1)))
    .addOption(json('each change'))
    .action(does(handlers.watch));

  program
    .command('capture')
    .summary('stream what a place of a lab sends and gets, for Wireshark')
    .description(
      'Writes what a host, container or namespace sends and gets to standard output as a pcap stream, until Ctrl-C: netrig capture node1/web | wireshark -k -i -',
    )
    .argument('<where>', 'host, host/container or host/netns:name')
    .addOption(lab())
    .addOption(new Option('-I, --interface <name>', 'only that interface (default: all)'))
    .addOption(new Option('-f, --filter <expression>', 'only packets that fit, in the language of pcap-filter(7)'))
    .action(does(handlers.capture));

  program
    .command('ps')
    .summary('list labs that are up')
    .description('Lists the labs that are up, with their hosts and addresses.')
    .addOption(json('them'))
    .action(does(handlers.ps));

  program
    .command('down')
    .summary('take labs down')
    .description('Takes down labs that were left up, and everything they made.')
    .argument('[labs...]', 'ids, or their beginnings (default: the only one that is up)')
    .addOption(new Option('-a, --all', 'all labs'))
    .action(does(handlers.down));

  program
    .command('gc')
    .summary('remove what killed runs left behind')
    .description(
      'Finds labs whose holder was killed and removes what is left of them. Labs that are in use are not touched. With an inventory, the machines in it are asked, too.',
    )
    .addOption(inventory())
    .addOption(json('what was removed'))
    .action(does(handlers.gc));

  const images = program
    .command('images')
    .summary('list, build and remove host images')
    .description('Host images: root file systems of Debian releases with their Docker engine, cached on this machine.');
  images
    .command('list')
    .summary('list images and whether they are built')
    .description('Lists host images, what each carries, and whether it is built.')
    .addOption(json('them'))
    .action(does(handlers.imagesList));
  images
    .command('build')
    .summary('build images')
    .description(
      'Builds host images from the Debian mirror that this machine’s own apt configuration names. An image that is there already is left alone.',
    )
    .argument('<names...>', 'image names, or `all`')
    .addOption(new Option('-f, --force', 'build again even if it is there'))
    .action(does(handlers.imagesBuild));
  images
    .command('rm')
    .summary('remove built images')
    .description('Removes built images from the cache. They are built again when a scenario needs them.')
    .argument('[names...]', 'image names')
    .addOption(new Option('-a, --all', 'all that are built, and what interrupted builds left'))
    .action(does(handlers.imagesRemove));

  program
    .command('doctor')
    .summary('say what this machine can do, what is missing, how to mend it')
    .description(
      'Tries what the providers need on this machine and says what is there, what is missing and how to mend it. Changes nothing.',
    )
    .addOption(new Option('-p, --provider <name>', 'only this provider'))
    .addOption(inventory())
    .addOption(json('the findings'))
    .action(does(handlers.doctor));

  program
    .command('report')
    .summary('make the reports of a run again')
    .description('Makes reports again from the record of a run (run.jsonl).')
    .argument('[run]', 'id of the run, or its directory (default: the latest)')
    .addOption(reports())
    .addOption(
      new Option(
        '--format <formats>',
        'which (comma-separated): results, junit, code-quality, summary, html, allure, allure-report',
      )
        .argParser(collect)
        .default([], 'those of every run'),
    )
    .addOption(json('the results'))
    .action(does(handlers.report));

  program
    .command('coverage')
    .summary('say which item of the catalogue is settled by which check')
    .description(
      'Lists every item of the catalogue with the checks that cover it and what they came to on each engine, from the records of runs and the scenario files. Ends with 1 when an item has neither a check nor a reason in uncovered.yaml.',
    )
    .argument(
      '[runs...]',
      'ids of runs, or their directories; a later run stands for an earlier one (default: the latest)',
    )
    .addOption(
      new Option(
        '-s, --scenarios <dir>',
        'directory of the scenario files, with the catalogue items.yaml and uncovered.yaml',
      ).default('scenarios'),
    )
    .addOption(reports())
    .addOption(json('it'))
    .action(does(handlers.coverage));

  program
    .command('compare')
    .summary('put runs of the same scenarios side by side')
    .description(
      'Puts runs side by side: other providers, other engines, or yesterday and today. Lists the checks whose verdicts differ, what got slower or faster, what is new or gone. Ends with 1 when something that passed in the first run, or was not in it, fails, breaks or cannot be known in another.',
    )
    .argument('[runs...]', 'ids of runs, or their directories; the others are held against the first')
    .addOption(new Option('--last', 'the two latest runs: what the last one changed'))
    .addOption(reports())
    .addOption(new Option('--html <file>', 'write it as an HTML page, too'))
    .addOption(new Option('--markdown <file>', 'write it as a Markdown page, too'))
    .addOption(new Option('--heading <text>', 'heading of the Markdown page'))
    .addOption(json('it'))
    .action(does(handlers.compare));

  program
    .command('mutate')
    .summary('find out what the checks of scenarios would notice')
    .description(
      'Removes or alters one step, line, option or value of a scenario at a time, runs it on fresh hosts, and lists which checks went red and which mutations nobody noticed. The scenario itself must pass first. Ends with 1 when a mutation was noticed by nobody and no comment "# survives: REASON" at its place says why; with --until-noticed, when a scenario has fewer mutations that a check noticed.',
    )
    .argument('<paths...>', 'scenario files or directories with some')
    .addOption(provider())
    .addOption(
      new Option(
        '-m, --matrix <name=values>',
        'only these values of a scenario’s matrix (comma-separated, repeatable); without it, the first of each',
      )
        .argParser(matrixValues)
        .default({}, 'the first of each'),
    )
    .addOption(
      new Option(
        '-n, --limit <n>',
        'run at most this many mutations of a scenario, those first that a check is likeliest to notice',
      ).argParser(wholeNumber(1)),
    )
    .addOption(
      new Option(
        '-u, --until-noticed <n>',
        'go from mutation to mutation of a scenario until so many were noticed by a check',
      ).argParser(wholeNumber(1)),
    )
    .addOption(new Option('-s, --sample <seed>', 'take mutations by chance instead; the same seed takes the same ones'))
    .addOption(
      new Option('-j, --jobs <n>', 'runs at once (default: one per processor, at most 4)').argParser(wholeNumber(1)),
    )
    .addOption(new Option('-b, --bail', 'end the run of a mutation at the first check that notices it'))
    .addOption(new Option('-w, --write <file>', 'write the result as a Markdown page, too'))
    .addOption(
      new Option(
        '--reports <dir>',
        'keep the mutated files and the records of all runs below this directory (default: nothing is kept)',
      ),
    )
    .addOption(json('the results'))
    .action(does(handlers.mutate));

  program
    .command('init')
    .summary('write a first scenario')
    .description(
      'Writes scenarios/first.yaml, or the file that is named, with a small scenario that runs as it stands, to start from.',
    )
    .argument('[where]', 'a directory, or a file by a name that ends in .yaml', '.')
    .addOption(new Option('-f, --force', 'write over a file that is there'))
    .action(does(handlers.init));

  return program;
}

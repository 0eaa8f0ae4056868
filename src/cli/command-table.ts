import { foreignKinds } from '../foreign/kinds.js';
import type { Handlers } from './flags.js';
import {
  collect,
  duration,
  ipVersion,
  matrixValues,
  pattern,
  portNumber,
  shard,
  wholeNumber,
} from './option-values.js';

export interface ArgumentRow {
  /** `<needed>`, `[optional]`, with `...` where it may be given several times. */
  name: string;
  description: string;
  default?: string | readonly string[];
}

export interface OptionRow {
  /** `-s, --long <metavariable>`; without a metavariable a switch, as `--no-…` one that is on unless it is given. */
  flags: string;
  description: string;
  choices?: readonly string[];
  /** One of `option-values.ts`. */
  parse?(text: string, before: unknown): unknown;
  default?: string | number | readonly string[] | Readonly<Record<string, string[]>>;
  /** How the default is told in help, where its value says little. */
  defaultShown?: string;
  /** Taken, but not in help. */
  hidden?: true;
}

/** The last thing that a handler is given: the values of the options, by their names. */
type FlagsOf<Name extends keyof Handlers> =
  Parameters<Handlers[Name]> extends [...arguments: never[], flags: infer Flags] ? Flags : never;

interface CommandWords {
  name: string;
  /** For the list of commands. */
  summary: string;
  /** For the help of the command itself. */
  description: string;
}

/** A command that does something: each flag that its handler reads has its option here, and there is no other. */
export type CommandRow = {
  [Name in keyof Handlers]: CommandWords & {
    runs: Name;
    arguments?: readonly ArgumentRow[];
    options: { readonly [Flag in keyof FlagsOf<Name>]-?: OptionRow };
    /** What stands after the first argument is that argument's, also where it looks like an option. */
    passThrough?: true;
  };
}[keyof Handlers];

export interface CommandGroup extends CommandWords {
  commands: readonly CommandRow[];
}

const provider: OptionRow = {
  flags: '-p, --provider <name>',
  description: 'where hosts come from, over what the scenario asks for',
};
const inventory: OptionRow = {
  flags: '-i, --inventory <file>',
  description: 'machines that exist already, for the provider ssh (see docs/ssh.md)',
};
const isolation: OptionRow = {
  flags: '--isolation <mode>',
  description:
    'how hosts of the local provider are kept from this machine: users (root in a host is an unprivileged user here), none (it is root here), auto (users where this machine can; for files from outside the working directory always)',
  choices: ['auto', 'users', 'none'],
  default: 'auto',
};
const offline: OptionRow = {
  flags: '--offline',
  description: 'ask no registry and no mirror: what the cache lacks is an error',
};
const yes: OptionRow = { flags: '-y, --yes', description: 'agree to changes on machines that exist already' };
const reports: OptionRow = { flags: '--reports <dir>', description: 'where runs write', default: 'reports' };
const lab: OptionRow = {
  flags: '-l, --lab <id>',
  description: 'which lab; the beginning of its id is enough (default: the only one that is up)',
};
const family: OptionRow = {
  flags: '--family <4|6>',
  description: 'IP version for hosts and names; 4 by default',
  parse: ipVersion,
};
function json(what: string): OptionRow {
  return { flags: '--json', description: `print ${what} as JSON` };
}

const scenarioPaths: ArgumentRow = {
  name: '[paths...]',
  description: 'scenario files or directories with some',
  default: ['scenarios'],
};
const classFile: ArgumentRow = { name: '<file>', description: 'file of the class, such as class.yaml' };
const endpoint: ArgumentRow = { name: '<endpoint>', description: 'host, or host/container' };
const fromEndpoint: ArgumentRow = {
  name: '<from>',
  description: 'where it starts: host, host/container or host/netns:name',
};
const toEndpoint: ArgumentRow = { name: '<to>', description: 'where it goes: one of those, an address, or a name' };

/** Every command, in the order of `--help`: parsing, `--help` and `docs/cli.md` all come from here. */
export const commandTable: readonly (CommandRow | CommandGroup)[] = [
  {
    name: 'run',
    runs: 'run',
    summary: 'bring labs up, run their steps and checks, write reports, take the labs down',
    description:
      'Runs scenarios: brings each lab up, applies its steps, makes its checks, writes reports to reports/<run>/ and takes the lab down.',
    arguments: [scenarioPaths],
    options: {
      provider,
      inventory,
      isolation,
      offline,
      yes,
      checkOnly: {
        flags: '--check-only',
        description:
          'apply no steps and change nothing: only make the checks that look and probe, on machines that exist already',
      },
      grep: {
        flags: '-g, --grep <pattern>',
        description:
          'only steps and checks whose title (scenario: title check title) matches; steps that a check needs are run all the same',
        parse: pattern,
      },
      tag: {
        flags: '-t, --tag <tags>',
        description: 'only scenarios with one of these tags (comma-separated, repeatable)',
        parse: collect,
        default: [],
        defaultShown: 'all',
      },
      matrix: {
        flags: '-m, --matrix <name=values>',
        description:
          'only these values of a scenario’s matrix (comma-separated, repeatable); `image` also sets the image of hosts that leave theirs open',
        parse: matrixValues,
        default: {},
        defaultShown: 'all',
      },
      shard: {
        flags: '--shard <part/parts>',
        description:
          'only this part of the scenario files, such as 2/3, to spread a set over several machines; each file is in exactly one part',
        parse: shard,
      },
      jobs: {
        flags: '-j, --jobs <n>',
        description: 'scenario files at once (default: one per processor, at most 4)',
        parse: wholeNumber(1),
      },
      bail: { flags: '-b, --bail', description: 'stop at the first check that does not pass' },
      keepOnFail: {
        flags: '-k, --keep-on-fail',
        description: 'leave a lab up when something in it did not pass; `netrig down` ends it',
      },
      retries: {
        flags: '-r, --retries <n>',
        description:
          'run a scenario again on fresh hosts when it did not pass; one that then passes is marked as flaky',
        parse: wholeNumber(0),
        default: 0,
      },
      json: json('the results'),
      reporter: {
        flags: '--reporter <name>',
        description: 'a Mocha reporter instead of the live console (spec, dot, json, tap, …)',
      },
      reports,
      allure: {
        flags: '--allure',
        description:
          'make an Allure page, too, once the results have been told; it takes Java and half a minute (in CI, where the variable CI is set, the results for Allure are written all the same)',
      },
      allureReport: { flags: '--no-allure-report', description: 'over --allure: not the Allure page', hidden: true },
    },
  },
  {
    name: 'validate',
    runs: 'validate',
    summary: 'check scenario files without starting anything',
    description:
      'Reads scenario files and says everything that is wrong in them, with file, line and column; of valid files, as hints, what is hardly meant. Starts nothing.',
    arguments: [scenarioPaths],
    options: {
      strict: { flags: '--strict', description: 'end with 2 where there are hints' },
      json: json('the findings'),
    },
  },
  {
    name: 'lock',
    runs: 'lock',
    summary: 'write down which images and packages a scenario stands on',
    description:
      'Writes digests of container images and versions of Debian packages to FILE.lock.json beside each scenario, as the cache has them, fetching what it lacks. Later runs take those, or say what is gone.',
    arguments: [scenarioPaths],
    options: { offline },
  },
  {
    name: 'migrate',
    runs: 'migrate',
    summary: 'rewrite scenario files of the former language',
    description:
      'Says what of scenario files is of the former language, line by line, and with --write rewrites it. Comments, order and everything else stay as they are. docs/migrating.md has the whole table.',
    arguments: [{ name: '<paths...>', description: 'scenario files or directories with some' }],
    options: {
      write: { flags: '-w, --write', description: 'rewrite the files' },
      check: {
        flags: '--check',
        description: 'end with 1 where something is of the former language, and write nothing',
      },
    },
  },
  {
    name: 'up',
    runs: 'up',
    summary: 'bring a lab up and leave it up',
    description:
      'Brings up the lab of a scenario, applies its steps, and returns while the lab stays. Prints the lab’s id.',
    arguments: [{ name: '<file>', description: 'scenario file' }],
    options: {
      provider,
      inventory,
      isolation,
      offline,
      yes,
      scenario: {
        flags: '-s, --scenario <id>',
        description: 'which one, where a matrix makes several of the file: `ports[image=debian-12]`',
      },
      steps: { flags: '--no-steps', description: 'hosts and segments only: apply none of the steps' },
      unsolved: {
        flags: '--unsolved',
        description: 'of an exercise, its set-up alone: the lab as students find it; `netrig check` looks at the tasks',
      },
    },
  },
  {
    name: 'play',
    runs: 'play',
    summary: 'open a scenario as a guided lab in the browser',
    description:
      'Serves a scenario as a page on loopback: its lab with a drawing and a terminal for each host and container, its steps to run by a click or to type by hand, its checks, what a tutorial claims beside what holds, and the way of a packet. Prints the link; Ctrl-C ends the lab. After a crash the same command goes on with the lab as it was.',
    arguments: [{ name: '<file>', description: 'scenario file' }],
    options: {
      port: {
        flags: '--port <number>',
        description: 'port on 127.0.0.1; without it, a free one',
        parse: portNumber,
        default: 0,
        defaultShown: 'a free one',
      },
      provider,
      isolation,
      scenario: {
        flags: '-s, --scenario <id>',
        description: 'only this one, where a matrix makes several of the file: `ports[image=debian-12]`',
      },
    },
  },
  {
    name: 'check',
    runs: 'check',
    summary: 'make the checks of a lab that is up',
    description:
      'Makes the checks of the scenario that a lab was brought up from, against the lab as it is now. Writes reports; the lab stays.',
    options: {
      lab,
      grep: { flags: '-g, --grep <pattern>', description: 'only checks whose title matches', parse: pattern },
      json: json('the results'),
      reports,
    },
  },
  {
    name: 'exec',
    runs: 'exec',
    summary: 'run a command on a host or in a container of a lab',
    description:
      'Runs a command on a host (HOST) or in a container (HOST/CONTAINER) of a lab that is up, and ends with its exit status.',
    arguments: [endpoint, { name: '<command...>', description: 'command with its arguments, after --' }],
    passThrough: true,
    options: {
      lab,
      stdin: { flags: '-i, --stdin', description: 'pass standard input on to the command' },
      timeout: { flags: '--timeout <duration>', description: 'end the command after this long', parse: duration },
    },
  },
  {
    name: 'ssh',
    runs: 'ssh',
    summary: 'open a shell on a host or in a container of a lab',
    description: 'Opens an interactive shell on a host (HOST) or in a container (HOST/CONTAINER) of a lab that is up.',
    arguments: [endpoint],
    options: {
      lab,
    },
  },
  {
    name: 'trace',
    runs: 'trace',
    summary: 'follow one packet through a lab that is up, hop by hop',
    description:
      'Sends one packet (an echo request, where nothing else is said) and follows it through all hosts of a lab that is up: interfaces, the rules that it meets, translations, tunnels, and the way of the answer. Where it is stopped, it says by what, and how to mend it. Ends with 1 when there was no answer.',
    arguments: [fromEndpoint, toEndpoint],
    options: {
      lab,
      tcp: { flags: '--tcp <port>', description: 'a TCP connection attempt to that port', parse: portNumber },
      udp: { flags: '--udp <port>', description: 'a UDP datagram to that port', parse: portNumber },
      dns: { flags: '--dns <name>', description: 'a question for the address of that name, to port 53' },
      fromPort: { flags: '--from-port <n>', description: 'the source port; any, where left out', parse: portNumber },
      family,
      json: json('it'),
      pcap: {
        flags: '--pcap <file>',
        description: 'write what was captured of it as one pcapng file; its interfaces are named HOST:INTERFACE',
      },
    },
  },
  {
    name: 'watch',
    runs: 'watch',
    summary: 'tell the way of a packet whenever it changes, while one works in the lab',
    description:
      'Sends a packet every second and tells its way, and why it is stopped, whenever that changes. Ctrl-C ends it.',
    arguments: [fromEndpoint, toEndpoint],
    options: {
      lab,
      tcp: { flags: '--tcp <port>', description: 'TCP connection attempts to that port', parse: portNumber },
      udp: { flags: '--udp <port>', description: 'UDP datagrams to that port', parse: portNumber },
      dns: { flags: '--dns <name>', description: 'questions for the address of that name, to port 53' },
      family,
      count: { flags: '-n, --count <n>', description: 'end after so many packets', parse: wholeNumber(1) },
      json: json('each change'),
    },
  },
  {
    name: 'capture',
    runs: 'capture',
    summary: 'stream what a place of a lab sends and gets, for Wireshark',
    description:
      'Writes what a host, container or namespace sends and gets to standard output as a pcap stream, until Ctrl-C: netrig capture node1/web | wireshark -k -i -',
    arguments: [{ name: '<where>', description: 'host, host/container or host/netns:name' }],
    options: {
      lab,
      interface: { flags: '-I, --interface <name>', description: 'only that interface (default: all)' },
      filter: {
        flags: '-f, --filter <expression>',
        description: 'only packets that fit, in the language of pcap-filter(7)',
      },
    },
  },
  {
    name: 'ps',
    runs: 'ps',
    summary: 'list labs that are up',
    description: 'Lists the labs that are up, with their hosts and addresses.',
    options: {
      json: json('them'),
    },
  },
  {
    name: 'down',
    runs: 'down',
    summary: 'take labs down',
    description: 'Takes down labs that were left up, and everything they made.',
    arguments: [{ name: '[labs...]', description: 'ids, or their beginnings (default: the only one that is up)' }],
    options: {
      all: { flags: '-a, --all', description: 'all labs' },
    },
  },
  {
    name: 'gc',
    runs: 'gc',
    summary: 'remove what killed runs left behind',
    description:
      'Finds labs whose holder was killed and removes what is left of them. Labs that are in use are not touched. With an inventory, the machines in it are asked, too.',
    options: {
      inventory,
      json: json('what was removed'),
    },
  },
  {
    name: 'images',
    summary: 'list, build and remove host images',
    description: 'Host images: root file systems of Debian releases with their Docker engine, cached on this machine.',
    commands: [
      {
        name: 'list',
        runs: 'imagesList',
        summary: 'list images and whether they are built',
        description:
          'Lists host images, what each carries, and whether it is built; then what else the cache holds: container images, stores of engines with them, layers of packages, with sizes and whether a lab uses them now.',
        options: {
          json: json('them'),
        },
      },
      {
        name: 'build',
        runs: 'imagesBuild',
        summary: 'build images',
        description:
          'Builds host images from the Debian mirror that this machine’s own apt configuration names. An image that is there already is left alone.',
        arguments: [{ name: '<names...>', description: 'image names, or `all`' }],
        options: {
          force: { flags: '-f, --force', description: 'build again even if it is there' },
        },
      },
      {
        name: 'rm',
        runs: 'imagesRemove',
        summary: 'remove built images',
        description:
          'Removes images, and what else the cache holds, by the names that the list has. It is made again when a scenario needs it. What a lab uses stays.',
        arguments: [{ name: '[names...]', description: 'names of the list' }],
        options: {
          all: { flags: '-a, --all', description: 'all that is in the cache, and what interrupted builds left' },
        },
      },
    ],
  },
  {
    name: 'doctor',
    runs: 'doctor',
    summary: 'say what this machine can do, what is missing, how to mend it',
    description:
      'Tries what the providers need on this machine and says what is there, what is missing and how to mend it. Changes nothing.',
    options: {
      provider: { flags: '-p, --provider <name>', description: 'only this provider' },
      inventory,
      json: json('the findings'),
    },
  },
  {
    name: 'report',
    runs: 'report',
    summary: 'make the reports of a run again',
    description: 'Makes reports again from the record of a run (run.jsonl).',
    arguments: [{ name: '[run]', description: 'id of the run, or its directory (default: the latest)' }],
    options: {
      reports,
      format: {
        flags: '--format <formats>',
        description: 'which (comma-separated): results, junit, code-quality, summary, html, allure, allure-report',
        parse: collect,
        default: [],
        defaultShown: 'those of every run',
      },
      json: json('the results'),
    },
  },
  {
    name: 'coverage',
    runs: 'coverage',
    summary: 'say which item of the catalogue is settled by which check',
    description:
      'Lists every item of the catalogue with the checks that cover it and what they came to on each engine, from the records of runs and the scenario files. Ends with 1 when an item has neither a check nor a reason in uncovered.yaml.',
    arguments: [
      {
        name: '[runs...]',
        description: 'ids of runs, or their directories; a later run stands for an earlier one (default: the latest)',
      },
    ],
    options: {
      scenarios: {
        flags: '-s, --scenarios <dir>',
        description: 'directory of the scenario files, with the catalogue items.yaml and uncovered.yaml',
        default: 'scenarios',
      },
      reports,
      json: json('it'),
    },
  },
  {
    name: 'compare',
    runs: 'compare',
    summary: 'put runs of the same scenarios side by side',
    description:
      'Puts runs side by side: other providers, other engines, or yesterday and today. Lists the checks whose verdicts differ, what got slower or faster, what is new or gone. Ends with 1 when something that passed in the first run, or was not in it, fails, breaks or cannot be known in another.',
    arguments: [
      { name: '[runs...]', description: 'ids of runs, or their directories; the others are held against the first' },
    ],
    options: {
      last: { flags: '--last', description: 'the two latest runs: what the last one changed' },
      reports,
      html: { flags: '--html <file>', description: 'write it as an HTML page, too' },
      markdown: { flags: '--markdown <file>', description: 'write it as a Markdown page, too' },
      heading: { flags: '--heading <text>', description: 'heading of the Markdown page' },
      json: json('it'),
    },
  },
  {
    name: 'mutate',
    runs: 'mutate',
    summary: 'find out what the checks of scenarios would notice',
    description:
      'Removes or alters one step, line, option or value of a scenario at a time, runs it on fresh hosts, and lists which checks went red and which mutations nobody noticed. The scenario itself must pass first. Ends with 1 when a mutation was noticed by nobody and no comment "# survives: REASON" at its place says why; with --until-noticed, when a scenario has fewer mutations that a check noticed.',
    arguments: [{ name: '<paths...>', description: 'scenario files or directories with some' }],
    options: {
      provider,
      matrix: {
        flags: '-m, --matrix <name=values>',
        description:
          'only these values of a scenario’s matrix (comma-separated, repeatable); without it, the first of each',
        parse: matrixValues,
        default: {},
        defaultShown: 'the first of each',
      },
      limit: {
        flags: '-n, --limit <n>',
        description: 'run at most this many mutations of a scenario, those first that a check is likeliest to notice',
        parse: wholeNumber(1),
      },
      untilNoticed: {
        flags: '-u, --until-noticed <n>',
        description: 'go from mutation to mutation of a scenario until so many were noticed by a check',
        parse: wholeNumber(1),
      },
      sample: {
        flags: '-s, --sample <seed>',
        description: 'take mutations by chance instead; the same seed takes the same ones',
      },
      jobs: {
        flags: '-j, --jobs <n>',
        description: 'runs at once (default: two per processor, at most 8)',
        parse: wholeNumber(1),
      },
      bail: { flags: '-b, --bail', description: 'end the run of a mutation at the first check that notices it' },
      write: { flags: '-w, --write <file>', description: 'write the result as a Markdown page, too' },
      reports: {
        flags: '--reports <dir>',
        description:
          'keep the mutated files and the records of all runs below this directory (default: nothing is kept)',
      },
      json: json('the results'),
    },
  },
  {
    name: 'prove',
    runs: 'prove',
    summary: 'prove that exercises can be solved, and that nothing else passes',
    description:
      'Brings exercises up on fresh hosts: with the set-up alone no task is done and every guard holds; with the solution all are done, also on a second lab, with the values of another student and stage by stage; and each line of the solution is missed by a task when it is left out. What does not hold is a flaw, told by name (see docs/teaching.md). Ends with 1 when there is one.',
    arguments: [{ name: '<paths...>', description: 'scenario files that are exercises, or directories with some' }],
    options: {
      provider,
      jobs: {
        flags: '-j, --jobs <n>',
        description: 'labs at once (default: two per processor, at most 8)',
        parse: wholeNumber(1),
      },
      lines: { flags: '--no-lines', description: 'do not try the solution without each of its lines' },
      reports: {
        flags: '--reports <dir>',
        description: 'keep the records of all labs below this directory (default: nothing is kept)',
      },
      json: json('the proofs'),
    },
  },
  {
    name: 'class',
    summary: 'a class: labs, pages and grades for many students on one machine',
    description:
      'Holds a class on this machine: each student of a roster gets a lab of each exercise, a page with tasks and terminals, and grades that stand on a record of everything that happened.',
    commands: [
      {
        name: 'start',
        runs: 'classStart',
        summary: 'start a class, or go on with it where it was',
        description:
          'Serves the pages of a class until Ctrl-C. What happened before is in its record: after a crash it goes on where it was. Prints its address; the links of teachers and students are written to a file, once.',
        arguments: [classFile],
        options: {
          newLinks: {
            flags: '--new-links',
            description: 'give everybody a new link; the former ones are good no more',
          },
        },
      },
      {
        name: 'status',
        runs: 'classStatus',
        summary: 'say whether a class runs, who came, what was handed in',
        description: 'Says whether a class runs and where, who came, and what was handed in.',
        arguments: [classFile],
        options: { json: json('it') },
      },
      {
        name: 'link',
        runs: 'classLink',
        summary: 'give one person a new link',
        description:
          'Gives one student or teacher a new link, and prints it; links.csv has it in place of the former one. The former one is good no more, and pages that came in by it are cut off. Nobody else’s are; labs and work stay. The class may run or not.',
        arguments: [classFile, { name: '<id>', description: 'id of the roster; teachers are teacher-1, teacher-2, …' }],
        options: {},
      },
      {
        name: 'stop',
        runs: 'classStop',
        summary: 'end a class: its server, its labs, its terminals',
        description:
          'Ends a class, takes its labs down and writes its grades. The record stays. Prints the directory of the grades.',
        arguments: [classFile],
        options: {},
      },
      {
        name: 'rehearse',
        runs: 'classRehearse',
        summary: 'try whether this machine holds a class of so many',
        description:
          'Boots, solves, hands in and judges for so many students at once, on labs of its own, and says how long it took, what it took of the machine, and which limit more students would meet first. Ends with 1 when somebody did not get all points.',
        arguments: [classFile],
        options: {
          students: {
            flags: '-n, --students <n>',
            description: 'how many',
            parse: wholeNumber(1),
            default: 30,
          },
          exercise: {
            flags: '-e, --exercise <id>',
            description: 'only that exercise (default: each, one after the other)',
          },
          json: json('what was measured'),
        },
      },
      {
        name: 'grade',
        runs: 'classGrade',
        summary: 'grade answers that were handed in as files',
        description:
          'Grades a folder of answers: for each student a folder with HOST/solution.sh or a scenario file, or a scenario file alone. Each gets fresh hosts with the set-up of the exercise, then the answer, then the checks of the exercise. Writes wide.csv, long.csv and gradescope/STUDENT/results.json (see docs/teaching.md). Ends with 1 when an answer could not be graded, or a task of one not be judged.',
        arguments: [
          { name: '<folder>', description: 'the folder of answers' },
          { name: '<exercise>', description: 'scenario file that is an exercise' },
        ],
        options: {
          output: { flags: '-o, --output <dir>', description: 'where the sheet goes', default: 'grades' },
          class: {
            flags: '-c, --class <file>',
            description:
              'file of a class that was started here: each student has the values that it drew (default: all have the example’s)',
          },
          timeout: {
            flags: '--timeout <duration>',
            description: 'how long one solution.sh may take',
            parse: duration,
            default: 300_000,
            defaultShown: '5m',
          },
          isolation: { ...isolation, default: 'users' },
          jobs: {
            flags: '-j, --jobs <n>',
            description: 'labs at once (default: one per processor, at most 4)',
            parse: wholeNumber(1),
          },
          reports: {
            flags: '--reports <dir>',
            description: 'keep the records of all labs below this directory (default: nothing is kept)',
          },
          json: json('the grades'),
        },
      },
      {
        name: 'handout',
        runs: 'classHandout',
        summary: 'write an exercise without its solution, to work on at home',
        description:
          'Writes the exercise into a directory as students take it home: the scenario with its set-up and the tasks that are shown, without solution, hidden tasks and comments, and README.md with the text, how to begin and what to hand in. What comes back is graded by `netrig class grade`. The set-up and the hints stand in the file for everybody to read.',
        arguments: [
          { name: '<exercise>', description: 'scenario file that is an exercise' },
          { name: '<directory>', description: 'where it goes: a directory that is not there yet, or is empty' },
        ],
        options: {
          class: {
            flags: '-c, --class <file>',
            description:
              'file of a class: a folder for each student of its roster, with the values that are drawn for them (default: one handout, with the example’s values)',
          },
        },
      },
      {
        name: 'regrade',
        runs: 'classRegrade',
        summary: 'grade again from the record',
        description:
          'Grades all hand-ins again from the record of the class, with the points that the exercises have now, and writes the grades: CSV, a page for each student, results for Gradescope.',
        arguments: [classFile],
        options: {
          output: { flags: '-o, --output <dir>', description: 'where the grades go', default: 'grades' },
          json: json('the grades'),
        },
      },
    ],
  },
  {
    name: 'init',
    runs: 'init',
    summary: 'write a first scenario',
    description:
      'Writes scenarios/first.yaml, or the file that is named, with a small scenario that runs as it stands, to start from.',
    arguments: [{ name: '[where]', description: 'a directory, or a file by a name that ends in .yaml', default: '.' }],
    options: {
      force: { flags: '-f, --force', description: 'write over a file that is there' },
    },
  },
  {
    name: 'import',
    runs: 'importForeign',
    summary: 'make a scenario of a lab of another tool',
    description:
      'Reads a containerlab topology of Linux nodes, a Kathará lab.conf with its start-up files, or a Compose file, and writes a scenario beside it: addresses that its commands set stand at the segments, what is left of them are steps, and its files stay where they are. What could not be carried over is listed, here and in comments of the scenario. Starts nothing.',
    arguments: [{ name: '<file>', description: 'the file, or a directory with a lab.conf or a Compose file' }],
    options: {
      as: {
        flags: '--as <kind>',
        description: 'what it is, where its name and keys do not tell',
        choices: foreignKinds,
      },
      to: { flags: '--to <file>', description: 'name of the scenario file (default: that of the lab, .netrig.yaml)' },
      force: { flags: '-f, --force', description: 'write over a file that is there' },
    },
  },
];

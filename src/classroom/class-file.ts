import { readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { messageOf, NetrigError } from '../errors.js';
import { feedbackLevels, type FeedbackLevel } from '../model/feedback.js';
import { parseSize, type ResourceLimits } from '../model/size.js';
import { formatDiagnostics, sortedDiagnostics, type Diagnostic } from '../scenario/diagnostic.js';
import { check } from '../scenario/issues.js';
import { shownPath } from '../scenario/shared-files.js';
import { decodeSource, isDataMap, readSource, type SourceWording } from '../scenario/source.js';
import { readRoster, type RosterRow } from './roster.js';

export interface ClassExercise {
  /** For addresses and the record: as given, or the name of the file. */
  id: string;
  /** Scenario file, absolute. */
  file: string;
  /** ms since the epoch; `null`: no such date. */
  opens: number | null;
  closes: number | null;
  /** Until when hand-ins are taken after the end, and what their points are multiplied by. */
  late: { until: number; factor: number } | null;
  /** `null`: as the exercise says. */
  feedback: FeedbackLevel | null;
}

export interface ClassLimits {
  /** Labs at once, with those of the reserve. */
  labs: number;
  /** Labs that boot at once. */
  starting: number;
  /** Rounds of checks at once. */
  rounds: number;
  /** Labs of each open exercise that are booted before anybody wants them. */
  reserve: number;
  /** Of each lab. */
  lab: ResourceLimits;
}

export interface ClassListen {
  host: string;
  port: number;
  /** How browsers reach it, where that is not what it listens on (a proxy): `https://labs.example.org`. */
  url: string | null;
  tls: { certificate: string; key: string } | null;
  /** A public address without TLS is meant so. */
  plain: boolean;
}

export interface ClassFile {
  /** Absolute path. */
  file: string;
  name: string;
  title: string;
  exercises: ClassExercise[];
  students: RosterRow[];
  teachers: RosterRow[];
  limits: ClassLimits;
  listen: ClassListen;
}

const wording: SourceWording = {
  empty: 'the file is empty: a class begins with `class: NAME`',
  map: 'expected a map with `class`, `roster` and `exercises`',
};

const zId = (what: string) =>
  z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/, {
    error: `${what} has lower-case letters, digits and dashes, at most 32`,
  });
const zPath = z.string().min(1, { error: 'expected the path of a file' });

const zMoment = z
  .string({ error: 'expected a date with its time, such as 2026-12-07T22:00+01:00' })
  .regex(/^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)?$/, {
    error: 'expected a date with its time, such as 2026-12-07T22:00+01:00 (without a zone: the zone of this machine)',
  })
  .refine((text) => !Number.isNaN(Date.parse(text.replace(' ', 'T'))), { error: 'there is no such date' })
  .transform((text) => Date.parse(text.replace(' ', 'T')));

const zSize = z
  .string({ error: 'expected a size such as 400M or 1.5G' })
  .refine((text) => parseSize(text) !== null, { error: 'expected a size such as 400M or 1.5G' })
  .transform((text) => parseSize(text)!);

const zExercise = z
  .strictObject({
    file: zPath.describe('Scenario file with an `exercise`.'),
    id: zId('the id of an exercise').optional().describe('Default: the name of the file.'),
    opens: zMoment.optional(),
    closes: zMoment.optional(),
    late: z
      .strictObject({ until: zMoment, factor: z.number().min(0).max(1).default(1) })
      .optional()
      .describe('Hand-ins after the end: until when, and what their points are multiplied by.'),
    feedback: z
      .enum(feedbackLevels)
      .optional()
      .describe(
        'What a student is told of a task that did not pass: its verdict alone, also what was expected and seen, or also the way of the packet up to where it was stopped. Default: what the exercise says, else `seen`.',
      ),
  })
  .superRefine(({ opens, closes, late }, context) => {
    if (opens !== undefined && closes !== undefined && closes <= opens)
      context.addIssue({ code: 'custom', path: ['closes'], message: 'it closes before it opens' });
    if (late && closes === undefined)
      context.addIssue({ code: 'custom', path: ['late'], message: '`late` goes with `closes`' });
    if (late && closes !== undefined && late.until <= closes)
      context.addIssue({ code: 'custom', path: ['late', 'until'], message: 'it stands before `closes`' });
  });

const zTeacher = z.string().min(1).max(100);

export const zClass = z.strictObject({
  class: zId('the name of a class').describe('Its name; the record of what happened is kept under it.'),
  title: z.string().min(1).max(200).optional(),
  roster: zPath.describe('CSV file of the students: columns `id` and `name`.'),
  teachers: z.array(zTeacher).min(1).max(20).default(['Teacher']),
  exercises: z.array(zExercise).min(1, { error: 'name at least one exercise' }),
  limits: z
    .strictObject({
      labs: z.int().min(1).max(1000).default(30).describe('Labs at once.'),
      starting: z.int().min(1).max(16).default(2).describe('Labs that boot at once.'),
      rounds: z.int().min(1).max(16).default(2).describe('Rounds of checks at once.'),
      reserve: z.int().min(0).max(50).default(1).describe('Labs that are booted ahead, for each open exercise.'),
      memory: zSize.optional().describe('Memory of each lab, all its hosts together.'),
      pids: z.int().min(64).max(100_000).optional().describe('Processes of each lab.'),
      cpus: z.number().min(0.05).max(256).optional().describe('Processors’ worth of time of each lab.'),
    })
    .prefault({}),
  server: z
    .strictObject({
      listen: z
        .string()
        .regex(/^(?:[\d.]+|\[[0-9a-f:]+\]):\d{1,5}$/i, {
          error: 'expected an address and a port, such as 127.0.0.1:8480 or [::1]:8480',
        })
        .default('127.0.0.1:8480'),
      url: z
        .string()
        .regex(/^https?:\/\/[a-z0-9.:[\]-]+$/i, {
          error: 'expected a URL without a path, such as https://labs.example.org',
        })
        .optional()
        .describe('How browsers reach it, where that is not what it listens on.'),
      tls: z.strictObject({ certificate: zPath, key: zPath }).optional(),
      plain: z
        .boolean()
        .default(false)
        .describe('A public address without TLS is meant so (a proxy before it has TLS).'),
    })
    .prefault({}),
});

type Complain = (at: (string | number)[], message: string, where?: 'key' | 'value') => void;

/** A class from the text of its file, or all that is wrong with it. The roster that it names is read. */
export function readClass(text: string, file: string): { class: ClassFile | null; diagnostics: Diagnostic[] } {
  const source = readSource(text, file, wording);
  const diagnostics = [...source.diagnostics];
  if (!source.usable || !isDataMap(source.data)) return { class: null, diagnostics };
  const parsed = check(zClass, source.data, []);
  if (!parsed.ok) {
    diagnostics.push(...parsed.problems.map((problem) => source.diagnostic(problem.path, problem.message, problem.at)));
    return { class: null, diagnostics: sortedDiagnostics(diagnostics) };
  }
  const complain: Complain = (at, message, where) => void diagnostics.push(source.diagnostic(at, message, where));
  const found = classOf(parsed.value, path.resolve(file), complain);
  diagnostics.push(...found.mistakes);
  return { class: diagnostics.length === 0 ? found.class : null, diagnostics: sortedDiagnostics(diagnostics) };
}

function classOf(
  described: z.output<typeof zClass>,
  file: string,
  complain: Complain,
): { class: ClassFile; mistakes: Diagnostic[] } {
  const base = path.dirname(file);
  const { labs, starting, rounds, reserve, memory, pids, cpus } = described.limits;
  const { students, mistakes } = rosterOf(path.resolve(base, described.roster), complain);
  const found: ClassFile = {
    file,
    name: described.class,
    title: described.title ?? described.class,
    exercises: exercisesOf(described, base, complain),
    students,
    teachers: described.teachers.map((name, index) => ({ id: `teacher-${index + 1}`, name })),
    limits: {
      labs,
      starting,
      rounds,
      reserve,
      lab: { memory: memory ?? null, pids: pids ?? null, cpus: cpus ?? null, disk: null },
    },
    listen: listenOf(described.server, base, complain),
  };
  return { class: found, mistakes };
}

function exercisesOf(described: z.output<typeof zClass>, base: string, complain: Complain): ClassExercise[] {
  const ids = new Set<string>();
  return described.exercises.map((one, index) => {
    const id = one.id ?? idOf(one.file);
    if (ids.has(id))
      complain(
        ['exercises', index, one.id ? 'id' : 'file'],
        `there is an exercise "${id}" already: give one another \`id\``,
      );
    ids.add(id);
    return {
      id,
      file: path.resolve(base, one.file),
      opens: one.opens ?? null,
      closes: one.closes ?? null,
      late: one.late ?? null,
      feedback: one.feedback ?? null,
    };
  });
}

function idOf(file: string): string {
  const name = path.basename(file).replace(/\.ya?ml$/, '');
  return (
    name
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '-')
      .replace(/^-+|-+$/g, '')
      .slice(0, 32) || 'exercise'
  );
}

/** The students, and what is wrong with the roster, at its own lines. */
function rosterOf(file: string, complain: Complain): { students: RosterRow[]; mistakes: Diagnostic[] } {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    complain(['roster'], `the roster cannot be read: ${messageOf(error)}`);
    return { students: [], mistakes: [] };
  }
  // What a table program writes in the encoding of its machine would give persons other names.
  const decoded = decodeSource(bytes, shownPath(file));
  if (!('text' in decoded)) return { students: [], mistakes: decoded.diagnostics };
  const { text } = decoded;
  const { rows, mistakes } = readRoster(text);
  return {
    students: rows,
    mistakes: mistakes.map(({ line, message }) => rosterMistake(shownPath(file), text, line, message)),
  };
}

function rosterMistake(file: string, text: string, line: number, message: string): Diagnostic {
  const all = text.replace(/^\ufeff/, '').split(/\r\n?|\n/);
  if (all.length > 1 && all.at(-1) === '') all.pop();
  const first = Math.max(0, line - 3);
  const lines = all.slice(first, line + 2).map((row, index) => ({ number: first + index + 1, text: row }));
  return { file, line, column: 1, length: Math.max(1, all[line - 1]?.length ?? 0), path: '', message, lines };
}

function listenOf(described: z.output<typeof zClass>['server'], base: string, complain: Complain): ClassListen {
  const colon = described.listen.lastIndexOf(':');
  const host = described.listen.slice(0, colon).replace(/^\[|\]$/g, '');
  const port = Number(described.listen.slice(colon + 1));
  if (port > 65_535) complain(['server', 'listen'], 'ports end at 65535');
  const tls = described.tls
    ? { certificate: path.resolve(base, described.tls.certificate), key: path.resolve(base, described.tls.key) }
    : null;
  if (!isLoopback(host) && tls === null && !described.plain)
    complain(
      ['server', 'listen'],
      `${host} is not loopback, and codes would cross the network readable: give \`tls\`, or say \`plain: true\` where a proxy on this machine has TLS`,
    );
  return { host, port, url: described.url ?? null, tls, plain: described.plain };
}

/** 127.0.0.0/8 (RFC 1122) and ::1. */
export function isLoopback(host: string): boolean {
  return /^127(\.\d{1,3}){3}$/.test(host) || host === '::1';
}

/** @throws NETRIG_CLASS_FILE with every mistake and its place, or when the file cannot be read. */
export function loadClass(file: string): ClassFile {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw new NetrigError('NETRIG_CLASS_FILE', `The class ${file} cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
  const decoded = decodeSource(bytes, file);
  const { class: found, diagnostics } =
    'text' in decoded ? readClass(decoded.text, file) : { class: null, diagnostics: decoded.diagnostics };
  if (found) return found;
  throw new NetrigError(
    'NETRIG_CLASS_FILE',
    `${diagnostics.length} ${diagnostics.length === 1 ? 'mistake' : 'mistakes'} in the class; nothing was started.\n${formatDiagnostics(diagnostics, { color: false })}`,
  );
}

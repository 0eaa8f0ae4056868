import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { mostMinutes, routes, type GradesView, type NewLinkView, type SessionView } from './api.js';
import { classView, gradesView, gradingOf } from './class-view.js';
import { longCsv, wideCsv } from './grades.js';
import { enter, leave, personOf } from './persons.js';
import { Refusal } from './problem.js';
import { givenExercise, studentOf, type Room } from './room.js';
import type { Serving } from './server.js';
import type { PersonState } from './state.js';
import {
  answerTyping,
  askHelp,
  askRound,
  leaveLab,
  openHint,
  resetOwnHost,
  runStep,
  stepTyped,
  wantLab,
} from './student.js';
import { askToType, decide, endFor, endHelp, giveTime, resetFor, sendMessage } from './teacher.js';
import { tracePacketIn } from './trace.js';
import { exerciseView, sessionView, workView } from './work-view.js';

const zWord = z.string().min(1).max(200);
const zAudience = z.union([z.literal('all'), z.array(zWord).min(1).max(2000)]);
const zPort = z.int().min(1).max(65_535);

/** Time that a teacher gives, or takes back, minutes. */
export const zMinutes = z
  .number()
  .refine((minutes) => Number.isInteger(minutes) && minutes !== 0 && Math.abs(minutes) <= mostMinutes, {
    error: ({ input }) =>
      `give whole minutes, 1 to ${mostMinutes} (ten days), or below 0 to take so many back; got ${String(input)}`,
  });

const bodies = {
  join: z.strictObject({ code: z.string().max(200) }),
  lab: z.strictObject({
    do: z.enum(['start', 'reset', 'end']),
    stage: zWord.optional(),
    host: zWord.optional(),
  }),
  check: z.strictObject({ tasks: z.array(zWord).max(500).optional() }),
  nothing: z.strictObject({}),
  hint: z.strictObject({ task: zWord }),
  help: z.strictObject({ wanted: z.boolean(), note: z.string().max(500).default('') }),
  typing: z.strictObject({ request: zWord, allow: z.boolean() }),
  step: z.strictObject({ step: zWord, upTo: z.boolean().default(false) }),
  stepTyped: z.strictObject({ step: zWord, on: zWord }),
  trace: z.strictObject({
    from: zWord,
    to: z.string().min(1).max(300),
    tcp: zPort.optional(),
    udp: zPort.optional(),
    dns: z.string().min(1).max(253).optional(),
  }),
  message: z.strictObject({ to: zAudience, text: z.string().min(1).max(2000) }),
  moreTime: z.strictObject({ to: zAudience, exercise: zWord, minutes: zMinutes }),
  reset: z.strictObject({ person: zWord, exercise: zWord, stage: zWord.optional(), host: zWord.optional() }),
  end: z.strictObject({ person: zWord, exercise: zWord }),
  askToType: z.strictObject({ person: zWord, exercise: zWord, place: zWord }),
  helped: z.strictObject({ person: zWord, exercise: zWord }),
  newLink: z.strictObject({ person: zWord }),
  decide: z.strictObject({
    id: z.union([zWord, z.array(zWord).min(1).max(20_000)]),
    credit: z.boolean(),
    why: z.string().min(1).max(500),
  }),
};

function bodyOf<T>(schema: z.ZodType<T>, request: FastifyRequest): T {
  const parsed = schema.safeParse(request.body ?? {});
  if (parsed.success) return parsed.data;
  const [first] = parsed.error.issues;
  throw new Refusal('not-valid', `${first?.path.join('.') || 'The body'}: ${first?.message ?? 'is not valid'}.`);
}

/** Who asks. @throws Refusal where nobody that is known does. */
export function whoAsks({ room, cookie }: Serving, request: FastifyRequest): PersonState {
  const person = personOf(room.book, request.cookies[cookie.name]);
  if (person) return person;
  throw new Refusal('not-in', 'You are not in; open the link that you were given.');
}

function teacherWho(serving: Serving, request: FastifyRequest): PersonState {
  const person = whoAsks(serving, request);
  if (person.role === 'teacher') return person;
  throw new Refusal('not-allowed', 'That is for teachers.');
}

/**
 * Attempts to come in from one address, a minute. A whole class may have one, behind a proxy, and whoever types wrong codes is not to keep
 * the others out; codes have 80 bits, which nobody guesses at that pace.
 */
const mostEntries = 1200;

function addEntrance(app: FastifyInstance, serving: Serving): void {
  const { room, cookie } = serving;
  const limit = {
    config: {
      rateLimit: { max: mostEntries, timeWindow: '1 minute', keyGenerator: (request: FastifyRequest) => request.ip },
    },
  };
  app.post(routes.join, limit, async (request, reply): Promise<SessionView> => {
    const { code } = bodyOf(bodies.join, request);
    const entered = await enter(room.book, code);
    if (!entered) throw new Refusal('not-in', 'That code is not known here; look whether all of it was copied.');
    reply.setCookie(cookie.name, entered.token, {
      path: '/',
      httpOnly: true,
      sameSite: 'strict',
      secure: cookie.secure,
      maxAge: 14 * 24 * 3600,
    });
    return sessionView(room, entered.person);
  });
  app.post(routes.leave, async (request, reply) => {
    await leave(room.book, request.cookies[cookie.name]);
    reply.clearCookie(cookie.name, { path: '/' });
    return {};
  });
  app.get(routes.session, (request): SessionView => sessionView(room, whoAsks(serving, request)));
}

type ExerciseRequest = FastifyRequest<{ Params: { exercise: string }; Querystring: { person?: string } }>;

/** Whose work is meant: one's own, or for teachers that of `?person=`. */
function whose(serving: Serving, request: ExerciseRequest): { who: PersonState; person: string; id: string } {
  const who = whoAsks(serving, request);
  const id = request.params.exercise;
  givenExercise(serving.room, id);
  const { person } = request.query;
  if (person === undefined || person === who.id) return { who, person: who.id, id };
  if (who.role !== 'teacher') throw new Refusal('not-allowed', 'That is another student’s.');
  return { who, person: studentOf(serving.room, person).id, id };
}

function addStudentRoutes(app: FastifyInstance, serving: Serving): void {
  const { room } = serving;
  app.get(routes.exercise, (request: ExerciseRequest) => {
    const { person, id } = whose(serving, request);
    return exerciseView(room, id, person);
  });
  app.get(routes.work, (request: ExerciseRequest) => {
    const { person, id } = whose(serving, request);
    return workView(room, person, id);
  });
  const act = <T>(
    route: string,
    schema: z.ZodType<T>,
    run: (person: string, id: string, body: T) => Promise<void>,
  ): void => {
    app.post(route, async (request: ExerciseRequest) => {
      const { who, id } = whose(serving, request);
      await run(who.id, id, bodyOf(schema, request));
      return workView(room, who.id, id);
    });
  };
  act(routes.lab, bodies.lab, (person, id, body) => {
    if (body.host !== undefined && (body.do !== 'reset' || body.stage !== undefined))
      throw new Refusal('not-valid', '`host` goes with `reset`, and without a stage.');
    if (body.host !== undefined) return resetOwnHost(room, person, id, body.host);
    if (body.do === 'end') return leaveLab(room, person, id);
    return wantLab(room, person, id, body.stage ?? null, body.do === 'reset');
  });
  act(routes.check, bodies.check, (person, id, { tasks }) => askRound(room, person, id, 'try', tasks));
  act(routes.handIn, bodies.nothing, (person, id) => {
    if (room.solo) throw new Refusal('not-allowed', 'There is nobody to hand it in to.');
    return askRound(room, person, id, 'hand-in');
  });
  act(routes.hint, bodies.hint, (person, id, { task }) => openHint(room, person, id, task));
  act(routes.help, bodies.help, (person, id, { wanted, note }) => askHelp(room, person, id, wanted, note));
  act(routes.typing, bodies.typing, (person, _id, { request, allow }) => answerTyping(room, person, request, allow));
  act(routes.step, bodies.step, (person, id, { step, upTo }) => runStep(room, person, id, step, upTo));
  act(routes.stepTyped, bodies.stepTyped, (person, id, { step, on }) => stepTyped(room, person, id, step, on));
  app.post(routes.trace, async (request: ExerciseRequest) => {
    const { who, id } = whose(serving, request);
    if (!room.solo) throw new Refusal('not-allowed', 'The way of a packet is yours to find here.');
    return tracePacketIn(room, who.id, id, bodyOf(bodies.trace, request));
  });
}

function addTeacherRoutes(app: FastifyInstance, serving: Serving): void {
  const { room } = serving;
  app.get(routes.teacher, (request) => classView(room, teacherWho(serving, request).id));
  const act = <T>(route: string, schema: z.ZodType<T>, run: (teacher: string, body: T) => Promise<void>): void => {
    app.post(route, async (request) => {
      const { id } = teacherWho(serving, request);
      await run(id, bodyOf(schema, request));
      return {};
    });
  };
  act(routes.message, bodies.message, (teacher, { to, text }) => sendMessage(room, teacher, to, text));
  act(routes.moreTime, bodies.moreTime, (_teacher, { to, exercise, minutes }) => giveTime(room, to, exercise, minutes));
  act(routes.resetFor, bodies.reset, (_teacher, body) =>
    resetFor(room, body.person, body.exercise, { stage: body.stage ?? null, host: body.host ?? null }),
  );
  act(routes.endFor, bodies.end, (_teacher, { person, exercise }) => endFor(room, person, exercise));
  act(routes.askToType, bodies.askToType, (teacher, body) =>
    askToType(room, teacher, body.person, body.exercise, body.place),
  );
  act(routes.helped, bodies.helped, (teacher, { person, exercise }) => endHelp(room, teacher, person, exercise));
  act(routes.decide, bodies.decide, (teacher, { id, credit, why }) =>
    decide(room, teacher, typeof id === 'string' ? [id] : id, credit, why),
  );
  app.post(routes.newLink, async (request): Promise<NewLinkView> => {
    teacherWho(serving, request);
    const { person } = bodyOf(bodies.newLink, request);
    studentOf(room, person);
    if (!serving.newLink) throw new Refusal('not-allowed', 'Nobody gets in by a link here.');
    const { code } = await serving.newLink(person);
    return { code };
  });
  app.get(routes.grades, (request): GradesView => {
    teacherWho(serving, request);
    return gradesView(room);
  });
  const csv = (route: string, name: string, make: (room: Room) => string): void => {
    app.get(route, (request, reply: FastifyReply) => {
      teacherWho(serving, request);
      return reply
        .header('content-type', 'text/csv; charset=utf-8')
        .header('content-disposition', `attachment; filename="${name}"`)
        .send(make(room));
    });
  };
  csv(routes.gradesWide, 'grades-wide.csv', (all) => wideCsv(gradingOf(all)));
  csv(routes.gradesLong, 'grades-long.csv', (all) => longCsv(gradingOf(all)));
}

/** The JSON API, as `api.ts` has it. */
export function addRoutes(app: FastifyInstance, serving: Serving): void {
  addEntrance(app, serving);
  addStudentRoutes(app, serving);
  addTeacherRoutes(app, serving);
}

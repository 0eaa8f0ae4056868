import { z } from 'zod';
import { oneOrMany, zAddress, zCidr, zDuration } from '../language/fields.js';
import { shown, suggestion } from '../language/wording.js';
import { hostCapacity, parseCidr } from '../model/cidr.js';
import { feedbackLevels } from '../model/feedback.js';
import { causes, rootCauses } from '../model/verdict.js';

/** The part of the language that makes an exercise of a scenario; `schema.ts` joins it to the rest. */

export const stepRoles = ['setup', 'solution'] as const;
export type StepRole = (typeof stepRoles)[number];

/** When a student sees a check: its title, its verdict and its hint. */
export const checkShown = ['always', 'after-hand-in', 'never'] as const;
export type CheckShown = (typeof checkShown)[number];

/** The key of a hint for whatever has no hint of its own. */
export const otherwise = 'otherwise';
const hintKeys: readonly string[] = [...new Set<string>([...causes, ...rootCauses, otherwise])];

const mostPoints = 1000;
const mostAddressBits = 24;

const zText = z
  .string({ error: (issue) => `expected Markdown text, got ${shown(issue.input)}` })
  .regex(/\S/, { error: 'expected Markdown text, got nothing but blanks' })
  .max(20_000, { error: 'a text has at most 20000 characters' });

const zOneLine = z
  .string({ error: (issue) => `expected a line of text, got ${shown(issue.input)}` })
  .regex(/^[^\r\n]*\S[^\r\n]*\s*$/, { error: 'expected one line of text' })
  .max(200, { error: 'a title has at most 200 characters' })
  .transform((text) => text.trim());

const zStageName = z
  .string({ error: (issue) => `expected the name of a stage, got ${shown(issue.input)}` })
  .regex(/^[a-z][a-z0-9-]{0,31}$/, {
    error: (issue) =>
      `a stage’s name has lower-case letters, digits and dashes and begins with a letter (at most 32), got ${shown(issue.input)}`,
  })
  .meta({ title: 'stage', description: 'The name of a stage of the exercise.' });

const zStage = z
  .union(
    [
      zOneLine,
      z.strictObject({
        title: zOneLine.describe('Title of the stage.'),
        text: zText.optional().describe('What the student is to do in it, in Markdown.'),
      }),
    ],
    {
      error: (issue) => `expected the title of a stage, or \`{ title: …, text: … }\`, got ${shown(issue.input)}`,
    },
  )
  .transform((value) => (typeof value === 'string' ? { title: value, text: '' } : { text: '', ...value }));

export const zExercise = z
  .strictObject({
    text: z
      .union(
        [
          zText,
          z.strictObject({
            file: z
              .string()
              .min(1)
              .describe('Markdown file beside the scenario or below its folder, with variables as in any text.'),
          }),
        ],
        { error: (issue) => `expected Markdown text, or \`{ file: NAME.md }\`, got ${shown(issue.input)}` },
      )
      .describe('What the student is to do: Markdown, or `{ file: NAME.md }` for a file beside the scenario.'),
    time: zDuration.optional().describe('How long a student has. Default: no limit.'),
    feedback: z
      .enum(feedbackLevels)
      .optional()
      .describe(
        'What students are told of a task that did not pass: `verdict`, `seen` (also what was expected and seen), or `way` (also the way of the packet up to where it was stopped). A class may say otherwise. Default: `seen`.',
      ),
    handout: z
      .literal(true)
      .optional()
      .describe(
        'The file was handed out to students: `netrig run`, `check`, `play` and `trace` tell of it what `feedback` lets be known, and not what would mend it. `netrig class handout` writes it.',
      ),
    stages: z
      .record(zStageName, zStage)
      .refine((stages) => Object.keys(stages).length > 0, { error: 'name at least one stage' })
      .optional()
      .describe('Stages in their order: a map from a name to a title, or to `{ title: …, text: … }`.'),
  })
  .meta({
    id: 'Exercise',
    description:
      'Makes an exercise of the scenario: its set-up is done for the student, its solution is the author’s, and its checks with `points` are the tasks. `netrig prove` shows that it can be solved, and that nothing passes at the start, nor without any line of its solution.',
  });

const zRange = z
  .string({ error: (issue) => `expected a range such as 1..200, got ${shown(issue.input)}` })
  .regex(/^-?\d{1,9}\.\.-?\d{1,9}$/, { error: (issue) => `expected a range such as 1..200, got ${shown(issue.input)}` })
  .transform((text) => {
    const [from, to] = text.split('..').map(Number) as [number, number];
    return { from, to };
  })
  .refine(({ from, to }) => from < to, { error: 'the range is empty or has one number only' })
  .meta({ title: 'range', description: 'A range of whole numbers, both ends in it.' });

export const zParameter = z
  .strictObject({
    integer: zRange.optional().describe('A whole number of a range: `1..200`.'),
    port: zRange
      .refine(({ from, to }) => from >= 1 && to <= 65_535, { error: 'ports are 1 to 65535' })
      .optional()
      .describe('A port of a range: `8000..8999`.'),
    address: zCidr
      .refine((text) => addressesFit(text), {
        error: `the subnet holds two addresses at least and 2^${mostAddressBits} at most`,
      })
      .optional()
      .describe('An address that a host of the subnet may own: `10.20.30.0/24`.'),
    except: oneOrMany(zAddress).optional().describe('Of `address`: those that are never drawn.'),
    word: z
      .array(
        z
          .string()
          .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$/, { error: 'a word has letters, digits, dashes and underscores' }),
      )
      .min(2, { error: 'name at least two words' })
      .refine((words) => new Set(words).size === words.length, { error: 'a word stands here a second time' })
      .optional()
      .describe('A word of a list.'),
  })
  .superRefine((value, context) => {
    const forms = ['integer', 'port', 'address', 'word'].filter((key) => key in value);
    if (forms.length !== 1)
      context.addIssue({
        code: 'custom',
        message: `a parameter is one of \`integer\`, \`port\`, \`address\` or \`word\`${forms.length > 1 ? `, and this is ${forms.join(' and ')}` : ''}`,
      });
    if (value.except && !value.address)
      context.addIssue({ code: 'custom', path: ['except'], message: '`except` goes with `address`' });
  });

function addressesFit(text: string): boolean {
  const subnet = parseCidr(text);
  if (subnet === null) return true;
  const capacity = hostCapacity(subnet);
  return capacity >= 2n && capacity <= 1n << BigInt(mostAddressBits);
}

/** Steps of an exercise. The key `for` is another one: it repeats an item over a table of cases. */
export const exerciseStepFrame = {
  role: z
    .enum(stepRoles, { error: (issue) => `expected setup or solution, got ${shown(issue.input)}` })
    .optional()
    .describe(
      'In an exercise: `setup` is done before the student comes, `solution` is what the student is to find. Default: `setup`.',
    ),
  stage: zStageName
    .optional()
    .describe('In an exercise: the stage that the step belongs to. Default: before the first one.'),
};

const zHintText = z
  .string({ error: (issue) => `expected a hint, got ${shown(issue.input)}` })
  .regex(/\S/, { error: 'expected a hint, got nothing but blanks' })
  .max(2000, { error: 'a hint has at most 2000 characters' });

/** Checks of an exercise. */
export const exerciseCheckFrame = {
  points: z
    .number({ error: (issue) => `expected a number of points, got ${shown(issue.input)}` })
    .min(0, { error: 'points are not negative' })
    .max(mostPoints, { error: `a check has at most ${mostPoints} points` })
    .optional()
    .describe('In an exercise: what the check is worth. A check without points is not graded.'),
  guard: z
    .boolean({ error: (issue) => `expected true or false, got ${shown(issue.input)}` })
    .optional()
    .describe('In an exercise: the check is true from the start, and costs its points where it is broken.'),
  stage: zStageName.optional().describe('In an exercise: the stage that the check is a task of.'),
  shown: z
    .enum(checkShown, {
      error: (issue) =>
        `expected ${checkShown.join(', ')}, got ${shown(issue.input)}${suggestion(issue.input, checkShown)}`,
    })
    .optional()
    .describe(
      'In an exercise: when students see the check. Default: `always`. One that is hidden is graded all the same.',
    ),
  hint: z
    .union([zHintText, z.record(z.string(), zHintText)], {
      error: (issue) =>
        `expected a hint, or hints by cause such as \`{ refused: …, timeout: …, otherwise: … }\`, got ${shown(issue.input)}`,
    })
    .superRefine((value, context) => {
      if (typeof value === 'string') return;
      for (const key of Object.keys(value).filter((one) => !hintKeys.includes(one)))
        context.addIssue({
          code: 'custom',
          path: [key],
          message: `no cause ${shown(key)}${suggestion(key, hintKeys) || `; causes are ${hintKeys.join(', ')}`}`,
        });
    })
    .transform((value): Partial<Record<string, string>> => (typeof value === 'string' ? { [otherwise]: value } : value))
    .optional()
    .describe(
      'In an exercise: what helps a student for whom the check fails: a text, or one for each cause or root cause, with `otherwise` for the rest.',
    ),
};

export const exerciseStepKeys: readonly string[] = Object.keys(exerciseStepFrame);
export const exerciseCheckKeys: readonly string[] = Object.keys(exerciseCheckFrame);

export type ExerciseShape = z.output<typeof zExercise>;
export type ParameterShape = z.output<typeof zParameter>;

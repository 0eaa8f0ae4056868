import { z } from 'zod';
import { parseReference } from '../images/containers/reference.js';
import { zOwnPath } from '../language/own-path.js';
import { mapOrAssignments, oneOrMany, zPackage } from '../language/fields.js';
import { shown } from '../language/wording.js';

/** `images:` of a scenario: names alone, and names with where the image comes from. */

const zImageReference = z
  .string({ error: (issue) => `expected a container image's name, got ${shown(issue.input)}` })
  .refine((text) => parseReference(text) !== null, {
    error: (issue) =>
      `expected a container image's name as for \`docker pull\`, such as postgres:16, got ${shown(issue.input)}`,
  });

const zBuild = z
  .union([
    zOwnPath,
    z.strictObject({
      context: zOwnPath.describe('Directory of the files that `COPY` takes.'),
      dockerfile: zOwnPath.optional().describe('The Dockerfile, relative to the context. Default: `Dockerfile`.'),
      target: z.string().min(1).optional().describe('The stage that is the image. Default: the last one.'),
      args: mapOrAssignments('NAME').default({}).describe('Values of `ARG`, as a map or as `NAME=value` items.'),
    }),
  ])
  .transform((build) => (typeof build === 'string' ? { context: build, args: {} } : build));

const zSource = z
  .strictObject({
    build: zBuild
      .optional()
      .describe('A directory with a Dockerfile; or a map with `context`, `dockerfile`, `target` and `args`.'),
    packages: oneOrMany(zPackage)
      .optional()
      .describe('Debian packages (of bookworm), put over a small userland without any registry: `[iproute2, curl]`.'),
    registry: zImageReference
      .optional()
      .describe('A reference as for `docker pull`, where the name is one of your own.'),
    archive: zOwnPath
      .optional()
      .describe('A file that `docker save` wrote, or an OCI archive, of one image; beside the scenario or below.'),
  })
  .refine((source) => Object.values(source).filter((one) => one !== undefined).length === 1, {
    error: 'say where the image comes from, by one of `build`, `registry`, `archive` and `packages`',
  })
  .meta({ id: 'ContainerImage', description: 'Where a container image comes from.' });

/** What engines are to call an image: no digest, since what is made here has none before. */
const zGivenName = zImageReference.refine((text) => !text.includes('@'), {
  error: (issue) => `a name of your own has no digest, got ${shown(issue.input)}`,
});

const zImageMap = z.record(zGivenName, zSource);

export const zImages = z
  .union([
    zImageReference,
    zImageMap,
    z.array(z.union([zImageReference, zImageMap])).min(1, { error: 'the list is empty: name at least one' }),
  ])
  .meta({ title: 'container images' });

export type ImageSourceShape = z.output<typeof zSource>;
export type ImagesShape = z.output<typeof zImages>;

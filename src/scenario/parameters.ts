import { createHmac } from 'node:crypto';
import { NetrigError } from '../errors.js';
import { canonicalAddress, hostCapacity, nthAddress, parseCidr } from '../model/cidr.js';
import type { ParameterShape } from './exercise-schema.js';
import type { Scalar } from './variables.js';

/** What an exercise draws for each student, by name. */
export type ParameterDeclarations = Readonly<Record<string, ParameterShape>>;

/** Values of one student, by the parameters' names. */
export type ParameterValues = Readonly<Record<string, Scalar>>;

/** All values that a parameter can have, by number from 0. */
interface Domain {
  size: number;
  at(index: number): Scalar;
}

function rangeDomain({ from, to }: { from: number; to: number }): Domain {
  return { size: to - from + 1, at: (index) => from + index };
}

/** The values that stay when some are taken out: `gone` holds their numbers, in ascending order. */
function without(domain: Domain, gone: readonly number[]): Domain {
  return {
    size: domain.size - gone.length,
    at: (index) => domain.at(gone.reduce((at, one) => (one <= at ? at + 1 : at), index)),
  };
}

function addressDomain(text: string, except: readonly string[]): Domain {
  const subnet = parseCidr(text)!;
  // The first address of a /31 and of IPv6 subnets may be a host's, too (RFC 3021); nobody wants the latter drawn.
  const first = subnet.family === 4 && subnet.prefix >= 31 ? 0 : 1;
  const size = Number(hostCapacity(subnet)) - (subnet.family === 6 ? 1 : 0);
  const all: Domain = { size, at: (index) => nthAddress(subnet, first + index) };
  if (except.length === 0) return all;
  const unwanted = new Set(except.map(canonicalAddress));
  const gone: number[] = [];
  for (let index = 0; index < size && gone.length < unwanted.size; index += 1)
    if (unwanted.has(String(all.at(index)))) gone.push(index);
  return without(all, gone);
}

function domainOf({ integer, port, address, except, word }: ParameterShape): Domain {
  if (integer) return rangeDomain(integer);
  if (port) return rangeDomain(port);
  if (address !== undefined) return addressDomain(address, except ?? []);
  return { size: word!.length, at: (index) => word![index]! };
}

export interface DrawnFor {
  /** Known to the teacher alone; who has it can compute every student's values. */
  secret: string;
  /** The exercise's name. */
  exercise: string;
}

/** A number from 0 to `below`, the same for the same words. */
function drawnNumber({ secret, exercise }: DrawnFor, student: string, parameter: string, below: number): number {
  const digest = createHmac('sha256', secret)
    .update([exercise, student, parameter].map((word) => `${Buffer.byteLength(word)}:${word}`).join(''))
    .digest();
  // 2^64 numbers over at most 2^24 values: none is noticeably likelier.
  return Number(digest.readBigUInt64BE() % BigInt(below));
}

/**
 * Values for each student of a roster. No two students have one value of a parameter, where it has values enough; else no two
 * have all values alike. Who stands earlier in the roster keeps its values when others are added behind.
 *
 * @throws NETRIG_USAGE when there are more students than combinations.
 */
export function drawParameters(
  declared: ParameterDeclarations,
  from: DrawnFor,
  students: readonly string[],
): Map<string, ParameterValues> {
  const parameters = Object.entries(declared).map(([name, shape]) => {
    const domain = domainOf(shape);
    return { name, domain, unique: domain.size >= students.length, taken: new Set<number>() };
  });
  const out = new Map<string, ParameterValues>();
  if (parameters.length === 0) {
    for (const student of students) out.set(student, {});
    return out;
  }
  const combinations = parameters.reduce((product, { domain }) => product * domain.size, 1);
  if (combinations < students.length)
    throw new NetrigError(
      'NETRIG_USAGE',
      `The parameters of ${from.exercise} have ${combinations} different values, and there are ${students.length} students.`,
      { hint: 'Give a parameter a larger range, or add one.' },
    );
  const met = new Set<string>();
  for (const student of students) {
    const indexes = parameters.map(({ name, domain, unique, taken }) => {
      let index = drawnNumber(from, student, name, domain.size);
      while (unique && taken.has(index)) index = (index + 1) % domain.size;
      taken.add(index);
      return index;
    });
    while (met.has(indexes.join())) advance(indexes, parameters);
    met.add(indexes.join());
    out.set(student, Object.fromEntries(parameters.map(({ name, domain }, at) => [name, domain.at(indexes[at]!)])));
  }
  return out;
}

/** The next combination, as a counter whose digits are the parameters. */
function advance(indexes: number[], parameters: readonly { domain: Domain }[]): void {
  for (let at = 0; at < indexes.length; at += 1) {
    indexes[at] = (indexes[at]! + 1) % parameters[at]!.domain.size;
    if (indexes[at] !== 0) return;
  }
}

/** Values where no student is meant: for validation, `netrig run`, and examples. The same every time. */
export function exampleValues(declared: ParameterDeclarations, exercise: string, which = 'example'): ParameterValues {
  return drawParameters(declared, { secret: 'example', exercise }, [which]).get(which)!;
}

/** A value of another student in a text. */
export interface OthersValue {
  student: string;
  parameter: string;
  value: string;
}

/** Shorter ones turn up everywhere by chance. */
const leastTellingLength = 4;

/** The words of a text that may be a value; `192.0.2.7:8123` and `10.0.0.7/24` carry an address each, the former a port, too. */
function wordsIn(text: string): Set<string> {
  const words = new Set(text.match(/[A-Za-z0-9](?:[\w.:-]*\w)?/g) ?? []);
  for (const word of [...words]) for (const part of word.split(':')) words.add(part);
  return words;
}

/**
 * Looks in texts of a student for values of others, as whole words, where they are nobody else's and no value of their own: the
 * sign of a copied answer, and no proof of one. Values of fewer than four characters tell nothing by themselves and are left out.
 *
 * @param common What everybody has of the exercise: a value that stands there is nobody's mark.
 */
export function othersValuesIn(
  student: string,
  drawn: ReadonlyMap<string, ParameterValues>,
  common = '',
): (text: string) => OthersValue[] {
  const known = wordsIn(common);
  for (const value of Object.values(drawn.get(student) ?? {})) known.add(String(value));
  const owners = new Map<string, OthersValue[]>();
  for (const [other, values] of drawn) {
    if (other === student) continue;
    for (const [parameter, scalar] of Object.entries(values)) {
      const value = String(scalar);
      if (value.length < leastTellingLength || known.has(value)) continue;
      owners.set(value, [...(owners.get(value) ?? []), { student: other, parameter, value }]);
    }
  }
  for (const [value, all] of owners) if (new Set(all.map((one) => one.student)).size > 1) owners.delete(value);
  return (text) => [...wordsIn(text)].flatMap((word) => owners.get(word) ?? []);
}

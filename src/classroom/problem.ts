import type { ApiProblem } from './api.js';

const statuses: Record<ApiProblem['code'], number> = {
  'not-in': 401,
  'not-allowed': 403,
  'other-origin': 403,
  'not-found': 404,
  'not-now': 409,
  'not-valid': 422,
  'too-many': 429,
  failed: 500,
};

/** What a page is told instead of an answer. */
export class Refusal extends Error {
  readonly status: number;

  constructor(
    readonly code: ApiProblem['code'],
    message: string,
  ) {
    super(message);
    this.status = statuses[code];
  }
}

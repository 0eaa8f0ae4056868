/** A thread that reads scenario files beside others (`survey.ts`). */
import { parentPort, workerData } from 'node:worker_threads';
import { takeTurns, type SurveyOrder } from './survey.js';

void takeTurns(workerData as SurveyOrder).then((found) => parentPort!.postMessage(found));
